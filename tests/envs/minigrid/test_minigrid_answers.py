"""Plans and models, judged by minigrid itself."""

import copy

import numpy as np
import pytest
from minigrid_reference import FIRST_IDS, IDS, twins

import rltk
from rltk.envs.minigrid.cells import TRIPLES
from rltk.envs.minigrid.level import CARRYING, inner
from rltk.envs.minigrid.models.still import StillModel
from rltk.errors import SizeError

# Seconds each, since many things can be carried; or no plan, since things move or nothing ever ends.
LONG = ("ObstructedMaze", "KeyCorridorS", "BlockedUnlock", "PutNear-8x8", "Dynamic", "Playground", "LockedRoom")
PLANNED = [name for name in IDS if not any(word in name for word in LONG)]
PLANNED += ["MiniGrid-KeyCorridorS3R1-v0", "MiniGrid-ObstructedMaze-1Dl-v0", "MiniGrid-BlockedUnlockPickup-v0"]
LEVELS_AN_ID = -(-200 // len(PLANNED))


@pytest.mark.parametrize("name", PLANNED)
def test_plans_end_in_minigrid_with_the_return_that_was_predicted(name):
    """Two hundred levels in all: success on the plan's last step and no sooner, and what that pays to the last bit."""
    key = rltk.answer_key(f"rltk/{name}", range(100, 100 + LEVELS_AN_ID))
    env, _ = twins(name)
    for seed, plan, predicted in zip(key.levels, key.plans, key.optimal_return, strict=True):
        env.reset(seed=int(seed))
        if plan is None:  # a crossing may be walled up
            assert predicted == 0
            continue
        if len(plan) > env.max_steps:
            assert predicted == 0
            continue
        steps = [env.step(int(action))[1:4] for action in plan]
        assert not any(terminated for _, terminated, _ in steps[:-1])
        assert steps[-1][:2] == (predicted, True)
        assert key.optimum[int(seed) - 100] == 0.99 ** (len(plan) - 1)


@pytest.mark.parametrize("name", FIRST_IDS)
def test_the_model_is_what_minigrid_does(name):
    """Twenty states of a level drawn at random, reached in minigrid itself by the model's own arrows: every action
    there leads to the board, the agent and the ending that the model says."""
    theirs, mine = twins(name, max_steps=100_000)
    theirs.reset(seed=5)
    mine.reset(seed=5)
    if mine.moves_by_itself:
        pytest.skip("compared by its chances in test_minigrid_obstacles.py")
    try:
        model = StillModel(mine._core.level(0), int(mine.action_space.n), most=200_000)
    except SizeError:
        pytest.skip("more than 200,000 states")
    random = np.random.default_rng(5)
    next_state, outcome = model.reached.next_state, model.reached.outcome
    for state in random.integers(model.n_states, size=20).tolist():
        env = copy.deepcopy(theirs)
        for action in way_to(model, state):
            assert not env.step(action)[2]
        for action in range(model.n_actions):
            there = copy.deepcopy(env)
            _, reward, terminated, _, _ = there.step(action)
            assert terminated == (outcome[state, action] != 0)
            assert (reward > 0) == (outcome[state, action] == 1)
            if not terminated:
                assert_is_in_state(there, model, int(next_state[state, action]))


def way_to(model, state):
    """The actions that lead to a state."""
    actions = []
    while model.reached.parent[state] >= 0:
        actions.append(int(model.reached.action[state]))
        state = int(model.reached.parent[state])
    return actions[::-1]


def assert_is_in_state(env, model, state):
    """minigrid's board, agent and what it carries are those of the model's state."""
    (_, levels), *_ = model.batches(np.array([state]))
    assert np.array_equal(env.grid.encode().transpose(1, 0, 2), TRIPLES[inner(levels)[0]])
    x, y, direction = levels.body[0, :3].tolist()
    assert (*env.agent_pos, env.agent_dir) == (x, y, direction)
    carried = levels.body[0, CARRYING]
    assert (env.carrying is None) == (carried == 0)
    assert env.carrying is None or env.carrying.encode() == tuple(TRIPLES[carried])

"""Layouts are played: again and again, from anywhere, in any environment, without a limit; and what no model holds."""

import copy
import math
import pickle

import gymnasium as gym
import minigrid.wrappers
import numpy as np
import pytest
from layout_helpers import DOOR_KEY, HALL, HALL_PLAN, assert_stands, make
from minigrid_reference import FIRST_IDS, FORWARD, TOGGLE, twins

import rltk
from rltk.envs.minigrid import Layout, MiniGridEnv, cells, register
from rltk.envs.minigrid.level import FOREVER, MAX_STEPS, MISSION, STEPS
from rltk.envs.minigrid.levels.layout import EXAMPLE
from rltk.envs.minigrid.making.layout import layout_of
from rltk.errors import ArgumentError, ModelError, RltkError
from rltk.mdp import stream_of

# Playing


def test_a_layout_is_replayed_at_every_reset():
    """In one environment and in batches, in every mode; without arguments it is the example, which can be solved."""
    env, layout = make(), Layout.from_text(EXAMPLE)
    for seed in (0, 1, None):
        env.reset(seed=seed)
        assert_stands(env, layout)
        assert env.max_steps == 4 * 6 * 8
        env.step(FORWARD)
    env.reset()
    plan = env.shortest_plan()
    assert rltk.solve(env, gamma=0.9).value[0] == pytest.approx(0.9 ** (len(plan) - 1))
    assert [env.step(action)[1:3] for action in plan][-1] == (1 - 0.9 * len(plan) / 192, True)
    for mode in ("NextStep", "SameStep"):
        batch = gym.make_vec("rltk/MiniGrid-v0", num_envs=3, layout=HALL, autoreset_mode=mode)
        batch.reset(seed=0)
        for action in [FORWARD] * 7:
            batch.step(np.full(3, action))
        batch.reset()
        assert all(Layout.from_env(batch, i).codes.tolist() == layout_of(HALL).codes.tolist() for i in range(3))
    with pytest.raises(ArgumentError, match="a batch is made with layout"):
        batch.reset(options={"layout": HALL})
    with pytest.raises(ArgumentError, match="from 0 to 2"):
        Layout.from_env(batch, 3)


def test_random_starts():
    """Every free cell and direction, drawn from the environment's stream; the board stays the same."""
    env = make(layout=EXAMPLE, random_start=True)
    layout, seen = Layout.from_text(EXAMPLE), set()
    for seed in range(600):
        env.reset(seed=seed)
        seen.add((env.agent_pos, env.agent_dir))
        assert np.array_equal(env.grid.codes(), layout.codes)
    free = {(int(x), int(y)) for y, x in np.argwhere(layout.codes == cells.EMPTY)}
    assert seen == {(place, direction) for place in free for direction in range(4)}
    one, two = (
        make(layout=EXAMPLE, random_start=True),
        gym.make_vec("rltk/MiniGrid-v0", num_envs=2, layout=EXAMPLE, random_start=True),
    )
    two.reset(seed=3)
    for i in range(2):
        one.reset(seed=3 + i)
        assert Layout.from_env(one) == Layout.from_env(two, i)


@pytest.mark.parametrize("name", FIRST_IDS)
def test_any_environment_plays_a_layout_for_an_episode(name):
    """Its own levels come again with the next reset, as if nothing had been between."""
    env, twin = make(f"rltk/{name}"), make(f"rltk/{name}")
    env.reset(seed=5)
    twin.reset(seed=5)
    observation, _ = env.reset(options={"layout": EXAMPLE})
    layout = Layout.from_text(EXAMPLE)
    assert_stands(env, layout)
    assert (env.width, env.height) == (8, 6)
    assert observation["mission"] == env.mission == layout.mission
    assert observation["image"].shape == (7, 7, 3)
    assert env.get_frame(tile_size=8).shape == (48, 64, 3)
    if env.action_space.n == 7:
        plan = env.shortest_plan()
        assert env.mdp().n_states > 100
        state = env.get_state()
        for twice in range(2):
            rewards = [env.step(action)[1] for action in plan]
            assert rewards == [0.0] * (len(plan) - 1) + [env.success_reward(len(plan))], twice
            env.set_state(state)
        for copied in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
            assert copied.step(FORWARD)[0]["image"].tolist() == copy.deepcopy(env).step(FORWARD)[0]["image"].tolist()
            copied.reset()
            assert copied.grid.codes().shape == twin.grid.codes().shape
    env.reset(seed=6)
    twin.reset(seed=6)
    assert Layout.from_env(env) == Layout.from_env(twin)
    assert "info" not in env.step(0)[4]


def test_what_an_environment_keeps_and_what_the_layout_brings():
    """The environment's own limit goes before the layout's, and its view stays; the layout's rule and walls come."""
    env = make(DOOR_KEY, agent_view_size=5)
    door = Layout.from_text(
        "####\n#>l#\n####\n---\nrule='open'\ntarget_at=[2, 1]\nsee_through_walls=true\nmax_steps=9\n"
        "[agent]\ncarrying='red key'\n[legend]\nl='red door locked'"
    )
    env.reset(seed=0, options={"layout": door})
    assert (env.max_steps, env.agent_view_size, env.see_through_walls) == (9, 5, True)
    assert env.step(TOGGLE)[1:3] == (1 - 0.9 / 9, True)
    short = make(DOOR_KEY, max_steps=3)
    short.reset(options={"layout": door})
    assert short.max_steps == 3
    env.reset()
    assert not env.see_through_walls


def test_missions_of_layouts():
    """A layout's own is said as text; as a number it must be among the environment's; where it has none, the first."""
    env = make(DOOR_KEY)
    assert env.reset(options={"layout": HALL})[0]["mission"] == env.observation_space["mission"].texts[0]
    other = layout_of(HALL).with_changes(mission="go {home}")
    assert env.reset(options={"layout": other})[0]["mission"] == "go {home}"
    numbers = make("rltk/MiniGrid-Fetch-5x5-N2-v0", mission="number")
    texts = numbers._setting.plan.missions.texts
    numbers.reset(options={"layout": layout_of(HALL).with_changes(mission=texts[7])})
    assert (numbers.mission_number, numbers.mission) == (7, texts[7])
    with pytest.raises(ArgumentError, match="none of the 60"):
        numbers.reset(options={"layout": other})
    silent = make(DOOR_KEY, mission="none")
    assert set(silent.reset(options={"layout": other})[0]) == {"image", "direction"}
    some = make(layout=other, missions=["stay", "go {home}"], mission="number")
    assert some.reset()[0]["mission"] == 1
    assert some.observation_space["mission"].n == 2
    assert some.get_state()["body"][MISSION] == 1
    for missions in ([], ["stay"], [3, "go {home}"]):
        with pytest.raises(ArgumentError, match="missions: sentences"):
            make(layout=other, missions=missions)


def test_a_wrong_layout_changes_nothing():
    """The episode goes on where it was."""
    env = make(DOOR_KEY)
    env.reset(seed=0)
    before = env.get_state()
    for wrong in ("#x\n", 3, "no such file"):
        with pytest.raises(RltkError):
            env.reset(seed=1, options={"layout": wrong})
    assert all(np.array_equal(env.get_state()[key], before[key]) for key in before)
    assert Layout.from_env(env).max_steps == 250
    for stranger in (gym.make("CartPole-v1"), make(DOOR_KEY)):
        with pytest.raises(ArgumentError, match="was reset"):
            Layout.from_env(stranger)


def test_an_observation_of_another_shape_is_refused():
    """Where what is seen depends on the board's size, its space would be a lie."""

    class Whole(MiniGridEnv):
        def gen_obs(self):
            return {"image": self.grid.encode(), "direction": self.agent_dir}

    env = Whole("DoorKey", size=5, mission="none")
    env.observation_space = gym.spaces.Dict(
        {"image": gym.spaces.Box(0, 255, (5, 5, 3), np.uint8), "direction": gym.spaces.Discrete(4)}
    )
    env.reset(seed=0)
    env.reset(options={"layout": Layout.empty(5, 5)})
    with pytest.raises(ArgumentError, match=r"seen as \(6, 5, 3\), but .* have the shape \(5, 5, 3\)"):
        env.reset(options={"layout": Layout.empty(6, 5)})
    with pytest.raises(ArgumentError, match="reset"):
        env.step(0)
    assert env.reset()[0] in env.observation_space


# Without a limit


@pytest.mark.parametrize("name", ["rltk/MiniGrid-v0", "rltk/MiniGrid-Empty-5x5-v0", "rltk/MiniGrid-Fetch-5x5-N2-v0"])
def test_episodes_without_a_limit(name):
    """They are never truncated, success pays exactly 1, and that is what the model says."""
    env = make(name, max_steps=math.inf)
    assert gym.make(name, max_steps=math.inf).metadata["reward_model"] == "exact"
    assert gym.make_vec(name, num_envs=2, max_steps=math.inf).metadata["reward_model"] == "exact"
    assert MiniGridEnv.metadata["reward_model"] == make(name).metadata["reward_model"] == "declared"
    env.reset(seed=0)
    assert (env.max_steps, env.steps_remaining, env.max_episode_steps) == (math.inf, math.inf, None)
    assert env.success_reward(10**9) == 1.0
    assert rltk.model_of(env)[1] is None
    assert rltk.evaluate(rltk.solve(env, gamma=0.9), env).reward_model == "exact"
    for _ in range(300):
        assert not env.step(0)[3]
    plan = env.shortest_plan()
    assert [env.step(action)[1:4] for action in plan][-1] == (1.0, True, False)
    state = env.get_state()
    state["body"][STEPS] = FOREVER - 1
    env.set_state(state)
    for _ in range(3):
        assert not env.step(0)[3]
    assert env.step_count == FOREVER - 1
    with pytest.raises(ArgumentError, match="body"):
        env.set_state({**state, "body": np.where(np.arange(16) == STEPS, FOREVER, state["body"])})


def test_limits_come_and_go():
    """By the attribute, and with a layout that says so."""
    env = make(DOOR_KEY)
    env.reset(seed=0)
    env.max_steps = math.inf
    assert (env.max_steps, env.metadata["reward_model"], env.get_state()["body"][MAX_STEPS]) == (
        math.inf,
        "exact",
        FOREVER,
    )
    env.max_steps = 5
    assert (env.max_steps, env.metadata["reward_model"]) == (5, "declared")
    env.reset(options={"layout": layout_of(HALL).with_changes(max_steps=math.inf)})
    assert (env.max_steps, env.metadata["reward_model"]) == (math.inf, "exact")
    assert [env.step(action)[1] for action in HALL_PLAN] == [0.0, 1.0]
    env.reset()
    assert (env.max_steps, env.metadata["reward_model"]) == (5, "declared")
    state = env.get_state()
    env.max_steps = math.inf
    env.reset(options={"layout": HALL})
    assert env.metadata["reward_model"] == "declared"
    env.reset()
    assert (env.max_steps, env.metadata["reward_model"]) == (math.inf, "exact")
    env.set_state(state)
    assert (env.max_steps, env.metadata["reward_model"]) == (5, "declared")
    for wrong in (0, -math.inf, math.nan, 2.0, FOREVER, True, "inf"):
        with pytest.raises(ArgumentError, match="max_steps: a number of steps"):
            env.max_steps = wrong
        with pytest.raises(ArgumentError, match="max_steps: a number of steps"):
            make(DOOR_KEY, max_steps=wrong)


def test_a_layout_needs_no_stream():
    """Where nothing is drawn, reset spends no word of the stream."""
    env = make(layout=HALL)
    env.reset(seed=4)
    assert stream_of(env.np_random).tolist() == stream_of(gym.utils.seeding.np_random(4)[0]).tolist()


# What a layout can hold and a model can't


def test_a_target_in_the_agents_hand_is_not_modelled():
    """Where it is set down would be remembered by the rule, not by the state."""
    text = "######\n#>..b#\n#....#\n######\n---\nrule = 'carry'\ntarget = 'blue ball'\ntarget_at = [1, 2]\n"
    env = gym.make("rltk/MiniGrid-v0", layout=text + "[agent]\ncarrying = 'blue ball'\n[legend]\nb = 'blue ball'\n")
    env.reset()
    for ask in (env.unwrapped.mdp, env.unwrapped.shortest_plan):
        with pytest.raises(ModelError, match="carries already"):
            ask()
    graded = rltk.evaluate(Idle(), env, episodes=2)
    assert not graded.exact
    assert "carries already" in graded.reason


@pytest.mark.parametrize(
    ("row", "legend", "refused"),
    [
        ("#x>bG#", "x = 'green box with blue ball'\nb = 'blue ball'", True),
        ("#x>yG#", "x = 'green box with blue ball'\ny = 'red box with blue ball'", True),
        ("#x>xG#", "x = 'green box with blue ball'", False),
        ("#x>bG#", "x = 'green box with blue ball'\nb = 'red ball'", False),
    ],
)
def test_a_board_that_would_be_two_states_is_not_modelled(row, legend, refused):
    """What comes out of a box must look like nothing else, or all boxes alike; then the steps follow the model."""
    env = gym.make("rltk/MiniGrid-v0", layout=f"######\n{row}\n#....#\n######\n---\n[legend]\n{legend}\n").unwrapped
    env.reset()
    if refused:
        with pytest.raises(ModelError, match="two states"):
            env.mdp()
        assert env.shortest_plan() is not None
        return
    model, random, state = env.model(), np.random.default_rng(0), 0
    for _ in range(300):
        action = int(random.integers(7))
        _, _, terminated, _, info = env.step(action)
        if terminated:
            env.reset()
            state = 0
            continue
        state = int(model.reached.next_state[state, action])
        assert info["state"] == state


def test_a_state_goes_only_where_its_rule_is_played():
    """A state of a layout is none of the family's own level of the same size."""
    env = gym.make("rltk/MiniGrid-Empty-5x5-v0").unwrapped
    carry = "#####\n#>.b#\n#...#\n#...#\n#####\n---\nrule = 'carry'\ntarget = 'blue ball'\n[legend]\nb = 'blue ball'\n"
    env.reset(options={"layout": carry})
    state = env.get_state()
    env.reset(seed=0)
    with pytest.raises(ArgumentError, match="another rule"):
        env.set_state(state)
    env.reset(options={"layout": carry})
    env.set_state(state)


class Idle:
    """Turns left."""

    gamma = 0.9

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return 0, None


# What people bring along


@pytest.mark.parametrize("wrapper", ["SymbolicObsWrapper", "RGBImgObsWrapper", "FullyObsWrapper"])
def test_minigrids_own_wrappers_show_the_same(wrapper):
    """Around rltk's environment and around minigrid's."""
    theirs, mine = twins("MiniGrid-DoorKey-6x6-v0")
    wrap = getattr(minigrid.wrappers, wrapper)
    for action in (None, 0, 2, 1, 2):
        shown = []
        for env in (wrap(theirs), wrap(mine)):
            shown.append(env.reset(seed=3)[0] if action is None else env.step(action)[0])
        assert shown[0].keys() == shown[1].keys()
        for name, part in shown[0].items():
            assert np.array_equal(part, shown[1][name]), name


def test_registering_checks_all_options_first():
    """Those of observations too; nothing wrong is registered."""
    register("test/DoorKeyFlat-v0", "DoorKey", size=5, form="flat")
    assert gym.make("test/DoorKeyFlat-v0").observation_space.shape == (147,)
    gym.registry.pop("test/DoorKeyFlat-v0")
    with pytest.raises(ArgumentError, match="mission is one of"):
        register("test/Wrong-v0", "DoorKey", size=5, mission="oops")
    assert "test/Wrong-v0" not in gym.registry


def test_an_agent_of_another_form_is_told_so():
    """Before anything is computed, and without the arrays."""
    room = "rltk/MiniGrid-Empty-5x5-v0"

    class Flat:
        gamma = 0.9
        observation_space = gym.make(room, form="flat").observation_space

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.zeros(len(observation), dtype=int), None

        def action_probabilities(self, observations, mask=None, deterministic=True):
            return np.eye(7)[np.full(len(observations), 2)]

    flat, dicts = gym.make(room, form="flat"), gym.make(room)
    for env in (flat, dicts):
        env.reset(seed=0)
    assert rltk.evaluate(Flat(), flat).exact
    with pytest.raises(ArgumentError, match=r"Box\(147,\), and this environment shows \{direction.*same options"):
        rltk.evaluate(Flat(), dicts)

"""The draw law: `TabularEnv` and the batch spend the words of the stream as the kernels of `rltk.mdp.sampling` do."""

import numpy as np
import pytest

from rltk.envs import TabularEnv, TabularVectorEnv
from rltk.mdp import MDP, stream_of
from rltk.mdp.rows import Rows
from rltk.mdp.sampling import draw_start, step


def random_rows(seed, n_states=30, n_actions=3, outcomes=4, noise=False, barred=False):
    """An MDP in the general form with rows of 1 to `outcomes` outcomes, some of tiny probability."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, outcomes + 1, size=(n_states, n_actions))
    if barred:
        counts[random.random(counts.shape) < 0.3] = 0
        counts[:, 0] = 1
    total = int(counts.sum())
    weights = random.random(total) ** 4
    row = np.repeat(np.arange(counts.size), counts.reshape(-1))
    sums = np.bincount(row, weights=weights, minlength=counts.size)
    rows = Rows(
        n_states,
        n_actions,
        np.concatenate(([0], np.cumsum(counts.reshape(-1)))),
        random.integers(n_states, size=total).astype(np.int32),
        weights / sums[row],
        random.normal(size=total),
        random.random(total) < 0.05,
        None,
        random.random(total) * (random.random(total) < 0.5) if noise else None,
    )
    return MDP(rows, random.dirichlet(np.ones(n_states)))


def random_moves(seed, reward="state", terminated="state", n_states=30):
    random = np.random.default_rng(seed)
    shapes = {"state": (n_states,), "move": (n_states, 4)}
    noise = random.dirichlet(np.full(4, 0.5), size=3)
    noise[0] = [0.0, 0.3, 0.7, 0.0]  # moves that can't happen, first and last
    noise[1] = [0.0, 1.0, 0.0, 0.0]
    ends = random.random(shapes[terminated]) < 0.1
    ends[..., 0] = False
    start = random.dirichlet(np.ones(n_states))
    return MDP.from_moves(
        random.integers(n_states, size=(n_states, 4)), noise, random.normal(size=shapes[reward]), ends, start
    )


MDPS = {
    "rows": lambda: random_rows(0),
    "rows with noise": lambda: random_rows(1, noise=True),
    "rows with barred actions": lambda: random_rows(2, barred=True),
    "long rows": lambda: random_rows(3, n_states=60, outcomes=50, noise=True),
    **{
        f"moves, reward by {reward}, ends by {terminated}": lambda r=reward, t=terminated: random_moves(4, r, t)
        for reward in ("state", "move")
        for terminated in ("state", "move")
    },
}


def choices(mdp, state, random):
    return int(random.choice(np.flatnonzero(mdp.available[state])))


@pytest.mark.parametrize("name", MDPS)
def test_step_spends_the_same_bits_as_the_kernel(name):
    mdp = MDPS[name]()
    env = TabularEnv(mdp)
    random = np.random.default_rng(0)
    _, info = env.reset(seed=5)
    stream = stream_of(np.random.default_rng(5))
    state = draw_start(mdp.tables, stream)
    assert info["state"] == state
    for _ in range(20_000):
        action = choices(mdp, state, random)
        _, reward, terminated, _, info = env.step(action)
        state, expected, ends, _ = step(mdp.tables, state, action, stream)
        assert (info["state"], reward, terminated) == (state, expected, ends)
        if ends:
            _, info = env.reset()
            state = draw_start(mdp.tables, stream)
            assert info["state"] == state
    assert np.array_equal(env.get_state()["stream"], stream)


@pytest.mark.parametrize("name", MDPS)
def test_a_batch_spends_the_same_bits_as_its_single_environments(name):
    mdp = MDPS[name]()
    batch = TabularVectorEnv(mdp, 3, autoreset_mode="SameStep")
    singles = [TabularEnv(mdp) for _ in range(3)]
    _, infos = batch.reset(seed=20)
    assert infos["state"].tolist() == [env.reset(seed=20 + i)[1]["state"] for i, env in enumerate(singles)]
    random = np.random.default_rng(0)
    for _ in range(2_000):
        actions = [choices(mdp, state, random) for state in infos["state"]]
        _, rewards, terminated, _, infos = batch.step(np.array(actions))
        for i, env in enumerate(singles):
            _, reward, ends, _, info = env.step(actions[i])
            assert (rewards[i], terminated[i]) == (reward, ends)
            assert infos["state"][i] == (env.reset()[1]["state"] if ends else info["state"])
    streams = [env.get_state()["stream"] for env in singles]
    assert np.array_equal(batch.get_state()["stream"], streams)


@pytest.mark.parametrize("name", ["rows", "moves, reward by state, ends by state"])
def test_the_last_outcome_takes_what_rounding_leaves(name):
    """The largest number that a generator can give falls on an outcome that can happen."""
    mdp = MDPS[name]()
    env = TabularEnv(mdp)
    env.reset(seed=0)
    largest = 1 - 2**-53
    for state in range(mdp.n_states):
        for action in range(mdp.n_actions):
            next_state, *_ = env._draw(state, action, lambda: largest)
            k = state * mdp.n_actions + action
            assert next_state in mdp.next_state[mdp.row_start[k] : mdp.row_start[k + 1]]


def test_barred_actions_are_masked_and_refused():
    mdp = random_rows(2, barred=True)
    env, batch = TabularEnv(mdp), TabularVectorEnv(mdp, 2)
    _, info = env.reset(seed=0)
    assert info["action_mask"].dtype == np.int8
    assert np.array_equal(info["action_mask"], mdp.available[info["state"]])
    state = int(np.flatnonzero(~mdp.available.all(axis=1))[0])
    barred = int(np.flatnonzero(~mdp.available[state])[0])
    env.set_state({**env.get_state(), "state": np.array(state)})
    with pytest.raises(ValueError, match=f"action {barred} can't be taken in state {state}"):
        env.step(barred)
    _, infos = batch.reset(seed=0)
    assert np.array_equal(infos["action_mask"], mdp.available[infos["state"]])
    batch.set_state({**batch.get_state(), "state": np.array([state, 0])})
    before = batch.get_state()
    with pytest.raises(ValueError, match=f"environment 0: action {barred}"):
        batch.step(np.array([barred, 0]))
    assert all(np.array_equal(before[key], value) for key, value in batch.get_state().items())

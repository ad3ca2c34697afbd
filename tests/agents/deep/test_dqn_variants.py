"""Every variant, alone and with others: it learns a fixed batch, acts, and says what does not go together."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch

import rltk
from rltk.agents.deep import DQN
from rltk.errors import ArgumentError, CheckpointError, LearningError, ModelError, SizeError

SWITCHES = {
    "double": {"double": True},
    "dueling": {"dueling": True},
    "noisy": {"noisy": True},
    "n_step": {"n_step": 3},
    "prioritised": {"prioritised": True},
    "bootstrapped": {"bootstrapped": 3},
    "categorical": {"values": "categorical", "atoms": 11, "v_min": 0.0, "v_max": 1.0},
    "quantile": {"values": "quantile", "atoms": 7},
    "hidden": {"head_hidden": (8,)},
}
MEMORIES = ("lstm", "gru", "sru", "transformer")
PAIRS = [pair for pair in itertools.combinations(SWITCHES, 2) if pair != ("categorical", "quantile")]
SMALL = {"encoder_kwargs": {"hidden": (16,)}, "learning_starts": 32, "batch_size": 16, "buffer_size": 400}


def lake(**options):
    return DQN(gym.make("rltk/FrozenLake-v0"), **{**SMALL, **options})


def falls(agent, updates=60):
    """Whether the loss falls over `updates` on one batch against a target that stands still."""
    agent.learn(64)
    batch = agent.sample()
    rewards = torch.from_numpy(np.random.default_rng(0).random(batch.rewards.shape)).float()
    batch = batch._replace(rewards=rewards)  # the lake pays next to nothing by chance
    agent.sample = lambda: batch
    agent.updater = type(agent.updater)(agent) if agent.backend == "torch" else agent.updater
    losses = []
    for _ in range(updates):
        agent.train(1)
        losses.append(agent.losses[-1])
    return np.mean(losses[-10:]) < np.mean(losses[:10])


def test_the_steps_of_a_sequence_get_their_own_priorities():
    """Those that were learnt from, by how wrong the network was there; the others keep what they had."""
    options = {"memory": "gru", "memory_size": 8, "sequence_length": 4, "burn_in": 2, "prioritised": True}
    agent = lake(backend="torch", learning_rate=0.0, max_grad_norm=1.0, n_step=2, **options).learn(32)
    agent.replay.update(np.arange(32), np.random.default_rng(0).random(32))
    batch, before = agent.sample(), agent.replay.priorities.copy()
    _, errors = agent.loss(batch)
    assert errors.shape == batch.positions.shape == (16, 6)
    learnt = batch.valid & (batch.starts[:, :1] | (torch.arange(6) >= 2))
    assert torch.equal(~errors.isnan(), learnt)
    assert 0 < batch.weights.min() < batch.weights.max() == 1

    agent.sample = lambda: batch
    agent.train(1)
    after, said = agent.replay.priorities, {}
    for place in zip(*np.nonzero(learnt.numpy()), strict=True):
        said.setdefault(batch.positions[place], set()).add(round((errors[place].item() + 1e-6) ** 0.6, 6))
    assert all(round(float(after[place]), 6) in found for place, found in said.items())
    untouched = np.setdiff1d(np.arange(agent.replay.capacity), list(said))
    np.testing.assert_array_equal(after[untouched], before[untouched])


def test_of_a_sequence_that_lost_its_beginning_as_many_steps_are_learnt_from():
    """Its last four, or all that it has; of others all but the two that come before, or all from an episode's start."""
    options = {"memory": "gru", "memory_size": 8, "sequence_length": 4, "burn_in": 2, "buffer_size": 20}
    agent = DQN(gym.make("CartPole-v1"), **{**SMALL, **options, "backend": "torch"}).learn(100)
    batch = agent.replay.sequences(np.array(agent.replay.alive) % 20, 6)
    learnt = (~agent.loss(batch)[1].isnan()).sum(1)
    whole = batch.starts[:, 0]
    assert (learnt[whole] == batch.valid[whole].sum(1)).all()
    assert (learnt[~whole] == batch.valid[~whole].sum(1).clamp(max=4)).all()
    assert (batch.valid[~whole].sum(1) < 6).any()


def test_the_loss_of_sequences_is_weighted():
    """A batch of two sequences: the weighted mean of the losses of each alone."""
    agent = lake(backend="torch", memory="lstm", memory_size=8, sequence_length=4, burn_in=0, batch_size=2).learn(64)
    batch = agent.sample()
    loss, _ = agent.loss(batch._replace(weights=torch.tensor([1.0, 0.25])))
    alone = [agent.loss(batch._replace(weights=torch.eye(2)[i]))[0] for i in range(2)]
    assert loss.item() == pytest.approx((alone[0] + 0.25 * alone[1]).item(), rel=1e-5)


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_two_variants_together_learn(pair):
    """The loss on one batch falls, and the greedy policy is one of the environment's."""
    options = {key: value for name in pair for key, value in SWITCHES[name].items()}
    agent = lake(backend="torch", learning_rate=5e-3, **options)
    assert falls(agent)
    policy = agent.action_probabilities(np.arange(agent.observation_space.n))

    assert policy.shape == (16, 4)
    np.testing.assert_array_equal(policy.sum(axis=1), 1.0)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("more", [{}, {"double": True, "dueling": True, "n_step": 3, "values": "quantile", "atoms": 5}])
def test_memories_learn(memory, more):
    """From sequences, with other variants too."""
    env = gym.wrappers.FrameStackObservation(gym.make("CartPole-v1"), 1)
    options = {"memory": memory, "memory_size": 8, "sequence_length": 6, "burn_in": 2, "learning_rate": 5e-3}
    agent = DQN(env, **{**SMALL, **options, **more})

    assert falls(agent, 40)


def test_rainbow_is_all_six():
    """Double, dueling, three steps, prioritised, C51 and noisy, and it learns; epsilon is 0."""
    agent = DQN.rainbow(gym.make("rltk/FrozenLake-v0"), atoms=11, v_min=0.0, v_max=1.0, backend="torch", **SMALL)
    s = agent.settings

    assert (s.double, s.dueling, s.n_step, s.prioritised, s.values, s.noisy) == (
        True,
        True,
        3,
        True,
        "categorical",
        True,
    )
    assert agent.exploration_rate == 0
    assert falls(agent)


def test_noise_explores_and_the_graded_policy_has_none():
    """New noise at each step while behaving; asked for values, the means alone."""
    agent = lake(noisy=True).learn(64)
    states = np.arange(16)

    np.testing.assert_array_equal(agent.q_values(states), agent.q_values(states))
    drawn = []
    for _ in range(2):
        agent.resample_noise()
        with torch.no_grad():
            drawn.append(agent.network(torch.arange(16)))
    assert not torch.equal(*drawn)


def test_a_head_leads_through_each_episode():
    """Bootstrapped DQN draws one at each beginning and keeps it to the end."""
    agent = lake(bootstrapped=5, exploration_initial_eps=0.0, exploration_final_eps=0.0, learning_starts=0)
    leaders = []
    for _ in range(200):
        agent.learn(1)
        leaders.append((agent.episodes, int(agent._leaders[0])))
    per_episode = {}
    for episode, leader in leaders:
        per_episode.setdefault(episode, set()).add(leader)

    assert all(len(found) == 1 for found in per_episode.values())
    assert len(set.union(*per_episode.values())) > 2


def test_shares_of_the_data_keep_heads_apart():
    """A head with no share of a batch gets no gradient from it."""
    agent = lake(bootstrapped=2, backend="torch").learn(64)
    batch = agent.sample()
    shares = torch.zeros(16, 2, dtype=torch.uint8)
    shares[:, 1] = 1
    agent.optimiser.zero_grad()
    loss, _ = agent.loss(batch._replace(extras={"shares": shares}))
    loss.backward()
    rows = agent.network.head.out.weight.grad.view(2, 4, -1)

    assert not rows[0].any()
    assert rows[1].any()


def test_memory_carries_what_was_seen():
    """The same observation, after another past, has other values; `predict` hands the state on as SB3 does."""
    agent = DQN(gym.make("CartPole-v1"), memory="gru", **SMALL)
    states = [None, None]
    for step in range(4):
        past = np.full((1, 4), step, dtype=np.float32), np.full((1, 4), -step, dtype=np.float32)
        for i in (0, 1):
            _, states[i] = agent.predict(past[i], states[i], np.array([step == 0]), deterministic=True)

    assert not torch.equal(*states)
    with pytest.raises(ModelError, match="depends on more than"):
        agent.action_probabilities(np.zeros((1, 4), dtype=np.float32))


def test_random_steps_before_learning_starts_ask_nothing_of_memory(monkeypatch):
    """Its first step is the first that may be greedy, in the middle of an episode, and it remembers nothing there."""
    agent = DQN(gym.make("rltk/FrozenLake-v0"), memory="gru", **{**SMALL, "learning_starts": 50})
    own, starts = agent.network.step, []

    def step(observations, recall, start):
        starts.append(start.tolist())
        return own(observations, recall, start)

    monkeypatch.setattr(agent.network, "step", step)
    agent.learn(60)

    assert len(starts) == 10
    assert starts[0] == [True]


def test_an_agent_with_memory_is_graded_by_sampling():
    """`rltk.evaluate` says why."""
    agent = DQN(gym.make("rltk/FrozenLake-v0"), memory="lstm", **SMALL).learn(40)
    found = rltk.evaluate(agent, gym.make("rltk/FrozenLake-v0"), episodes=5)

    assert not found.exact
    assert "depends on more than the observation" in found.reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gama": 0.9}, "no option 'gama'"),
        ({"gamma": 1.2}, "gamma"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"batch_size": 0}, "batch_size"),
        ({"train_freq": (2, "days")}, "train_freq"),
        ({"gradient_steps": -2}, "gradient_steps"),
        ({"loss": "absolute"}, "huber, squared"),
        ({"values": "median"}, "expected, categorical, quantile"),
        ({"optimizer": "lion"}, "adam"),
        ({"optimizer_kwargs": {"momentum": 1}}, "adam does not take"),
        ({"memory": "ntm"}, "lstm"),
        ({"memory": "lstm", "bootstrapped": 3}, "one head"),
        ({"backend": "jax"}, "auto, torch, compiled"),
        ({"device": "tpu9"}, "device"),
        ({"encoder": "vit9"}, "mlp"),
        ({"max_grad_norm": 0}, "max_grad_norm"),
        ({"values": "categorical", "v_min": 3.0, "v_max": 1.0}, "v_min is below v_max"),
    ],
)
def test_what_can_t_be_is_refused(options, words):
    """With the option, what was expected, and what was found."""
    with pytest.raises(rltk.errors.RltkError, match=words):
        DQN(gym.make("CartPole-v1"), **options)


def test_a_replay_that_does_not_fit_is_refused_by_its_size():
    """Before any memory is taken, with the number."""
    agent = DQN(gym.make("CartPole-v1"), buffer_size=10**9)
    with pytest.raises(SizeError, match="G"):
        agent.learn(10)


@pytest.mark.parametrize("backend", ["torch", "compiled"])
@pytest.mark.parametrize("where", ["observation", "weight"])
def test_nothing_is_learnt_from_a_number_that_is_none(backend, where, tmp_path):
    """A NaN in an observation or in the weights stops within one update, weights as they were, with source, step and
    the last checkpoint."""
    agent = DQN(gym.make("CartPole-v1"), backend=backend, **SMALL).learn(100)
    agent.save(tmp_path / "good")
    if where == "observation":
        agent.replay.arrays().observations[:] = np.nan
    else:
        with torch.no_grad():
            agent.network.head.out.bias[0] = np.nan
    before = [p.clone() for p in agent.network.parameters()]
    with pytest.raises(LearningError, match=rf"step 100 is not finite.*(observations|bias).*{tmp_path.name}"):
        agent.train(3)
    for old, now in zip(before, agent.network.parameters(), strict=True):
        torch.testing.assert_close(old, now, equal_nan=True, rtol=0, atol=0)
    with pytest.raises(LearningError, match="load an earlier"):
        agent.learn(1)
    with pytest.raises(LearningError):
        agent.state()


def test_a_state_that_does_not_fit_changes_nothing():
    """Another encoder: named, before anything is restored."""
    agent, other = lake(), lake(encoder_kwargs={"hidden": (8,)}).learn(40)
    with pytest.raises(CheckpointError, match="encoder"):
        agent.restore(other.state())


def test_a_new_environment_goes_on_where_spaces_agree():
    """`set_env`: new episodes there; another number of actions is refused."""
    agent = lake().learn(50)
    agent.set_env(gym.make("rltk/FrozenLake-v0")).learn(20)
    assert agent.timestep == 70
    with pytest.raises(ArgumentError, match="env"):
        agent.set_env(gym.make("rltk/CliffWalking-v0"))


def test_epsilon_falls_over_its_share_of_the_first_learn():
    """Along a straight line, and stays."""
    agent = lake(exploration_fraction=0.5, exploration_final_eps=0.1)
    told = []
    agent.learn(100, lambda progress: told.append(progress.agent.exploration_rate), callback_every=25)
    agent.learn(10)

    assert told == pytest.approx([0.55, 0.1, 0.1, 0.1])
    assert agent.exploration_rate == pytest.approx(0.1)


def test_updates_come_as_often_as_asked():
    """By calls, by episodes, and as many as there were transitions."""
    by_calls = lake(train_freq=4, gradient_steps=2).learn(100)
    by_episode = lake(train_freq=(1, "episode"), gradient_steps=1, learning_starts=0).learn(100)
    as_many = lake(train_freq=10, gradient_steps=-1).learn(100)

    assert by_calls.updates == 2 * ((100 - 32) // 4)
    assert by_episode.updates == by_episode.episodes
    assert as_many.updates == 70

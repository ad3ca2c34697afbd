"""Faults that a review found, each of which a test holds now: environments, wrappers and learners of one's own."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from deep_worlds import Clock
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import rltk
from rltk.agents.deep import DQN
from rltk.agents.tabular import QLearning
from rltk.encoders import Encoder
from rltk.errors import ArgumentError, CheckpointError, LearningError

SMALL = {
    "learning_starts": 20,
    "batch_size": 8,
    "buffer_size": 500,
    "encoder": "mlp",
    "encoder_kwargs": {"hidden": (8,)},
}


class Line(gym.Env):
    """Counts its steps to ten, without chance. `own`: hands out one array, and writes into it."""

    observation_space = gym.spaces.Box(-20, 20, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, own=False, length=10):
        self.own, self.length, self.seen = own, length, np.zeros(1, np.float32)

    def _show(self):
        self.seen[0] = self.at
        return self.seen if self.own else self.seen.copy()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return self._show(), {}

    def step(self, action):
        self.at += 1
        return self._show(), 1.0, False, self.at == self.length, {}


class Parity(gym.Env):
    """Only the action that equals the parity of the step can be taken; any other is an error."""

    observation_space = gym.spaces.Box(-1e3, 1e3, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def _told(self):
        return np.array([self.at], np.float32), {"action_mask": np.arange(2) == self.at % 2}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return self._told()

    def step(self, action):
        assert action == self.at % 2, "an action that can't be taken"
        self.at += 1
        seen, info = self._told()
        return seen, 1.0, self.at == 9, False, info


def steps_of(agent):
    """(before, after) of every transition."""
    batch = agent.replay.batch(np.array(list(agent.replay.alive)) % agent.replay.capacity)
    return batch.observations[:, 0].numpy(), batch.next_observations[:, 0].numpy()


def test_the_kernel_takes_no_network_of_one_s_own():
    """One that looks like an MLP and computes something else is left to torch: what acts is what is asked."""

    class Shifted(Encoder):
        def forward(self, observations):
            return super().forward(observations) - 0.5

    agent = DQN(gym.make("CartPole-v1"), encoder=lambda space: Shifted(space, hidden=(8,)), learning_starts=20)
    assert agent.updater.name == "torch"
    hooked = DQN(gym.make("CartPole-v1"), **SMALL)
    assert hooked.updater.name == "kernel"


@pytest.mark.parametrize("name", ["loss", "sample", "draw"])
def test_the_kernel_takes_no_learner_of_one_s_own(name):
    """What a subclass overrides is what is done."""
    own = type("Own", (DQN,), {name: lambda self, *given: getattr(DQN, name)(self, *given)})

    assert own(gym.make("CartPole-v1"), **SMALL).updater.name == "torch"


@pytest.mark.parametrize("mode", [None, AutoresetMode.DISABLED, AutoresetMode.NEXT_STEP])
def test_an_environment_may_reuse_its_arrays(mode):
    """The last observation of an episode is its last, though `reset` writes over it."""
    env = Line(own=True, length=3)
    if mode is not None:
        env = SyncVectorEnv([lambda: Line(length=3)] * 2, copy=False, autoreset_mode=mode)
    agent = DQN(env, **SMALL).learn(18)
    before, after = steps_of(agent)

    np.testing.assert_array_equal(after, before + 1)
    assert set(after) == {1, 2, 3}


def test_a_clock_shows_that_somebody_used_the_environment():
    """It draws nothing, so only the count of its time limit tells; the open episode is replayed."""
    env = gym.wrappers.TimeLimit(Line(), 50)
    agent = DQN(env, **SMALL).learn(15)
    env.reset()
    env.step(0)
    agent.learn(10)
    before, after = steps_of(agent)

    np.testing.assert_array_equal(after, before + 1)


def test_masks_hold_when_the_agent_is_asked_too():
    """While learning, sampled by `evaluate`, and by `predict` with action_masks; the environment asserts it."""
    agent = DQN(Parity(), **SMALL).learn(120)
    graded = rltk.evaluate(agent, Parity(), episodes=3)

    assert graded.expected_length == 9
    masks = np.array([[True, False], [False, True]])
    for deterministic in (True, False):
        actions, _ = agent.predict(np.zeros((2, 1), np.float32), deterministic=deterministic, action_masks=masks)
        assert actions.tolist() == [0, 1]
    with pytest.raises(ArgumentError, match="action_masks"):
        agent.predict(np.zeros((2, 1), np.float32), action_masks=np.ones(3))


def test_a_wrapper_may_give_the_masks():
    """As sb3-contrib's ActionMasker does, by a method."""

    class Masker(gym.Wrapper):
        def action_masks(self):
            return np.array([False, True, False])

    agent = DQN(Masker(Clock()), **SMALL).learn(60)

    assert set(agent.replay.arrays().actions[: len(agent.replay)].tolist()) == {1}


def test_a_mask_that_comes_after_a_step_only_is_refused():
    """Rather than left unheard."""

    class Late(Clock):
        def reset(self, **options):
            return super().reset(**options)[0], {}

    with pytest.raises(LearningError, match="none at its reset"):
        DQN(Late(masked=True), **SMALL).learn(30)


def test_a_game_may_end_with_nothing_left_to_do():
    """A mask of zeros at a terminal observation."""

    class Game(Clock):
        def _info(self):
            return {"action_mask": np.full(3, self.at < self.length)}

    assert DQN(Game(), **SMALL).learn(60).updates > 20


def test_a_batch_that_can_t_be_captured_says_so_and_begins_elsewhere(tmp_path):
    """Its masks are remembered, and the first episodes after a resume are not those of the training's beginning."""

    def make():
        return SyncVectorEnv([lambda: Clock(masked=True)] * 2)

    first = DQN(make(), **SMALL).learn(60)
    first.save(tmp_path / "agent")
    with pytest.warns(UserWarning, match="begin anew"):
        second = DQN.load(tmp_path / "agent", make())
    second.learn(20)

    assert second.timestep >= 80
    assert second.env.envs[0].length != 0
    assert second.players._openings == 2


def test_what_was_learnt_outlives_an_environment_s_error(tmp_path):
    """It can be saved, and gone on with in new episodes."""

    class Poor(Clock):
        broken = False

        def step(self, action):
            if self.broken and self.at == 1:
                raise RuntimeError("the simulator died")
            return super().step(action)

    agent = DQN(Poor(), **SMALL).learn(50)
    agent.env.broken = True
    with pytest.raises(RuntimeError, match="died"):
        agent.learn(50)
    agent.env.broken = False
    agent.save(tmp_path / "agent")
    agent.learn(20)

    assert agent.timestep > 60


def test_a_trained_agent_is_had_back_to_act(tmp_path):
    """`resume=False`: on one environment though it learnt on many, and where episodes can't be come back to."""
    env = gym.make_vec("rltk/FrozenLake-v0", num_envs=4)
    trained = DQN(env, **SMALL).learn(100)
    trained.save(tmp_path / "many")
    single = DQN.load(tmp_path / "many", gym.make("rltk/FrozenLake-v0"), resume=False)
    np.testing.assert_array_equal(single.q_values(np.arange(16)), trained.q_values(np.arange(16)))

    DQN(Clock(longest=50), **SMALL).learn(30).save(tmp_path / "odd")
    assert DQN.load(tmp_path / "odd", Clock(first=7), resume=False).timestep == 30


def test_schedules_of_one_s_own_are_given_again(tmp_path):
    """A function has no place in a file: it is given to `load`."""
    agent = DQN(Line(), learning_rate=lambda step: 1e-3, **SMALL).learn(40)
    agent.save(tmp_path / "agent")
    with pytest.raises(ArgumentError, match="schedule"):
        DQN.load(tmp_path / "agent", Line())
    assert DQN.load(tmp_path / "agent", Line(), learning_rate=lambda step: 1e-3).learn(10).timestep == 50


def test_a_schedule_of_the_progress_that_remains_is_noticed():
    """Stable-Baselines3's go from 1 to 0; here they are called with the timestep."""
    with pytest.raises(ArgumentError, match="with the timestep"):
        DQN(Line(), learning_rate=lambda progress: 1e-3 + progress, **SMALL).learn(60)


def test_an_environment_s_own_get_state_is_not_taken_for_rltk_s():
    """Another signature means other things; it comes back by replaying."""

    class Captured(Line):
        def get_state(self):
            return self.at

        def set_state(self, at):
            self.at = at

    agent = DQN(Captured(), **SMALL).learn(15).learn(10)

    assert agent.timestep == 25


def test_more_steps_than_a_sequence_has():
    """n_step reaches to its end and not beyond."""
    options = {"memory": "gru", "n_step": 6, "sequence_length": 2, "burn_in": 0}

    assert DQN(Line(), **SMALL, **options).learn(40).updates > 10


def test_many_short_episodes_do_not_starve_a_long_one():
    """Sixty-three environments that end at each step beside one with episodes of fifty."""
    makers = [lambda: Line(length=50), *[lambda: Line(length=1)] * 63]
    env = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
    agent = DQN(env, **{**SMALL, "buffer_size": 1000, "learning_starts": 10**6}, n_step=3).learn(64 * 40)
    before, _ = steps_of(agent)

    assert (before >= 1).mean() > 0.8 / 64


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"head_hidden": 64}, "head_hidden"),
        ({"max_grad_norm": None}, "max_grad_norm"),
        ({"optimizer_kwargs": None}, "optimizer_kwargs"),
        ({"optimizer_kwargs": [1]}, "optimizer_kwargs"),
    ],
)
def test_options_of_another_kind_are_refused(options, words):
    """With their name."""
    with pytest.raises(ArgumentError, match=words):
        DQN(Line(), **options)


def test_another_learner_s_folder_is_no_dqn(tmp_path):
    """A table is not read as a network."""
    QLearning(gym.make("rltk/FrozenLake-v0")).learn(10).save(tmp_path / "table")
    with pytest.raises(CheckpointError, match="holds no dqn"):
        DQN.load(tmp_path / "table", gym.make("rltk/FrozenLake-v0"))


def test_the_option_that_differs_is_named():
    """Not the whole of the settings."""
    state = DQN(Line(), **SMALL).state()
    with pytest.raises(CheckpointError, match=r"gamma=0\.99, this one has 0\.9"):
        DQN(Line(), gamma=0.9, **SMALL).restore(state)


def test_an_episode_goes_on_after_noise_in_torch_s_numbers():
    """torch's own random numbers are the learner's while it learns, and whose they were after it."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    DQN(Line(), noisy=True, **SMALL).learn(40)

    assert torch.equal(torch.rand(3), expected)

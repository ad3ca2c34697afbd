"""`rltk bench dqn`: one update, and whole runs, beside Stable-Baselines3 and CleanRL, with the same settings.

Updates are of 64 transitions, drawn from a replay of 10,000. The kernel's rows are the compiled update of small MLPs
alone with its drawing; the agents' rows are `agent.train(gradient_steps)` as `learn` calls it. CPU time, one thread, in
turns; on a GPU, whose work CPU time does not show, seconds on the clock.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.scripts.benchmarks.dqn_peers import CARTPOLE, Shown, cleanrl_update, sb3_dqn, sb3_filled
from rltk.scripts.benchmarks.table import Row, in_turns, measured
from rltk.scripts.benchmarks.timing import clock_of, device_rows, microseconds, one_thread, seconds

_UPDATES, _PEER_UPDATES, _FILLED, _BATCH = 512, 100, 10_000, 64
_STEPS = 50_000
_DOORKEY, _ENVS, _SAMPLES = "MiniGrid-DoorKey-8x8-v0", 64, 16_384
_RUNS = 3

# What is shown, how many actions, layers, and the share of zeros; MiniGrid's flat view is mostly zeros.
_NUMBERS = gym.spaces.Box(-np.inf, np.inf, (4,), np.float32)
_VIEW = gym.spaces.Box(0, 255, (147,), np.uint8)
_CASES: tuple[tuple[str, gym.spaces.Box, int, tuple[int, ...], float], ...] = (
    ("4-256-256-2", _NUMBERS, 2, (256, 256), 0.0),
    ("4-64-64-2", _NUMBERS, 2, (64, 64), 0.0),
    ("147-64-64-7", _VIEW, 7, (64, 64), 0.6),
)
# Pictures for the CNN: MiniGrid's view as symbols, and Atari's usual frames.
_PICTURES = {"CNN 7x7x3": (7, 7, 3), "CNN 84x84x4": (84, 84, 4)}

_COLD = """
import json, time
import gymnasium as gym
from rltk.agents import DQN
agent = DQN(gym.make("CartPole-v1"), learning_starts=100, backend="compiled", seed=0)
begin = time.perf_counter()
agent.learn(300)
print(json.dumps({"s": time.perf_counter() - begin}))
"""


def bench_dqn(rounds: int, device: str = "cpu") -> Iterator[Row]:
    """Updates, CartPole, DoorKey and the cold compile. DoorKey needs minigrid; device: "cpu" or "cuda"."""
    with one_thread():
        yield from device_rows(device)
        if device == "cpu":
            for case in _CASES:
                yield from bench_kernel(*case, rounds)
        for what, space, n_actions, hidden, zeros in _CASES:
            env = Shown(space, n_actions, zeros)
            yield _agent_row(f"update, {what}", _filled_agent(env, device, hidden), env, hidden, rounds)
        for what in _PICTURES:
            yield _picture_row(what, device, rounds)
        for hidden in ((256, 256), (64, 64)):
            yield _cartpole_row(hidden, device)
        yield _doorkey_row(device)
    yield cold_row()


def bench_kernel(
    what: str, space: gym.spaces.Box, n_actions: int, hidden: tuple[int, ...], zeros: float, rounds: int
) -> Iterator[Row]:
    """The compiled update alone beside SB3's `train` and CleanRL's update: two rows."""
    env = Shown(space, n_actions, zeros)
    sb3 = sb3_filled(env, hidden, _FILLED)
    ours = partial(microseconds, _kernel(sb3, hidden), _UPDATES)
    peers = {
        "SB3": lambda updates: sb3.train(updates, batch_size=_BATCH),
        "CleanRL": cleanrl_update(env, hidden, sb3.replay_buffer),
    }
    for name, peer in peers.items():
        pair = in_turns(rounds, ours, partial(microseconds, peer, _PEER_UPDATES))
        yield _time_row(f"kernel, update, {what}; peer: {name}", *pair)


def _kernel(sb3: Any, hidden: tuple[int, ...]) -> Callable[[int], None]:
    """Updates by the kernel of SB3's own network, on what lies in SB3's replay."""
    from types import SimpleNamespace

    import torch
    from torch import nn

    from rltk.agents.deep.backends.fused import Fused
    from rltk.encoders import Encoder

    buffer = sb3.replay_buffer
    seen = np.concatenate([buffer.observations[:, 0], buffer.next_observations[:, 0]])
    places = np.arange(len(buffer.actions), dtype=np.int32)
    arrays = SimpleNamespace(
        observations=seen,
        origin=places,
        last=places + len(places),
        actions=buffer.actions[:, 0, 0].astype(np.int64),
        rewards=buffer.rewards[:, 0],
        discounts=(0.99 * (1 - buffer.dones[:, 0])).astype(np.float32),
    )

    def network() -> nn.Module:
        layers = list(sb3_dqn(sb3.env, hidden).q_net.q_net)
        made = nn.Module()
        made.encoder, made.head = Encoder(sb3.observation_space, "mlp", hidden=hidden, pictures=False), nn.Module()
        made.encoder.trunk.layers, made.head.out = nn.Sequential(*layers[:-1]), layers[-1]
        return made

    online = network()
    fused = Fused(online, network(), torch.optim.Adam(online.parameters(), lr=1e-4))
    rng = np.random.default_rng(0)

    def update(count: int) -> None:
        positions = rng.integers(0, len(places), (count, _BATCH))
        fused.train(arrays, positions, 1e-4, max_grad_norm=10.0)

    return update


def _filled_agent(env: gym.Env[Any, Any], device: str, hidden: tuple[int, ...] | None = None, **options: Any) -> Any:
    """rltk's DQN with random transitions in its replay and nothing learnt; the space chooses where no MLP is asked."""
    from rltk.agents import DQN

    if hidden is not None:
        options |= {"encoder": "mlp", "encoder_kwargs": {"hidden": hidden}}
    settings = {"buffer_size": _FILLED, "learning_starts": 2 * _FILLED, "batch_size": _BATCH}
    return DQN(env, device=device, seed=0, **settings, **options).learn(_FILLED)


def _agent_row(what: str, agent: Any, env: Any, hidden: tuple[int, ...], rounds: int, peer: Any = None) -> Row:
    """`agent.train` beside SB3's. The peer, if none is given, is an MLP of `hidden`."""
    peer = peer or sb3_filled(env, hidden, _FILLED)
    clock = clock_of(agent.device)
    agent.train(8)  # compiles what it needs
    peer.train(8, batch_size=_BATCH)
    ours = partial(microseconds, agent.train, _UPDATES, clock)
    theirs = partial(microseconds, lambda updates: peer.train(updates, batch_size=_BATCH), _PEER_UPDATES, clock)
    return _time_row(f"{what}; peer: SB3", *in_turns(rounds, ours, theirs))


def _picture_row(what: str, device: str, rounds: int) -> Row:
    """Convolutions: 84 x 84 with SB3's CnnPolicy; on 7 x 7, where that one fails, SB3 gets rltk's encoder."""
    from stable_baselines3 import DQN
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

    from rltk.encoders import encoder_of

    class Extractor(BaseFeaturesExtractor):
        def __init__(self, space: gym.spaces.Box) -> None:
            encoder = encoder_of(None, space, {})
            super().__init__(space, encoder.features_dim)
            self.encoder = encoder

        def forward(self, observations: Any) -> Any:
            return self.encoder(observations)

    env = Shown(gym.spaces.Box(0, 255, _PICTURES[what], np.uint8), 7, count=256)
    form: dict[str, Any] = {"features_extractor_class": Extractor, "net_arch": [], "normalize_images": False}
    settings: dict[str, Any] = {
        "buffer_size": 1000,
        "learning_starts": 2000,
        "batch_size": _BATCH,
        "policy_kwargs": form,
    }
    peer = DQN("CnnPolicy", env, device=device, seed=0, **settings).learn(1000)
    return _agent_row(f"update, {what}", _filled_agent(env, device, backend="compiled"), env, (), rounds, peer)


def _cartpole_row(hidden: tuple[int, ...], device: str) -> Row:
    """50,000 steps with the RL Zoo's settings, nothing evaluated: the median of a few whole runs, in turns."""
    from rltk.agents import DQN

    def ours() -> float:
        encoder = {"encoder": "mlp", "encoder_kwargs": {"hidden": hidden}}
        agent = DQN(gym.make("CartPole-v1"), seed=0, device=device, **encoder, **CARTPOLE)
        return seconds(lambda: agent.learn(_STEPS), clock_of(agent.device))

    def theirs() -> float:
        peer = sb3_dqn(gym.make("CartPole-v1"), hidden, **CARTPOLE)
        return seconds(lambda: peer.learn(_STEPS))

    pair = in_turns(_RUNS, ours, theirs)
    what = f"CartPole, {_STEPS:,} steps, {hidden[0]}x{hidden[1]}; peer: SB3"
    return Row(what, f"{pair[0]:.2f} s", f"{pair[1]:.2f} s", f"{pair[1] / pair[0]:.3g}x")


def _doorkey_row(device: str) -> Row:
    """64 environments, the 7 x 7 x 3 view as 147 numbers, one update a 4 samples; SB3 on minigrid in DummyVecEnv."""
    import minigrid  # noqa: F401  # it registers its ids
    from minigrid.wrappers import ImgObsWrapper
    from stable_baselines3.common.vec_env import DummyVecEnv

    from rltk.agents import DQN

    settings = {"batch_size": _BATCH, "buffer_size": 100_000, "learning_starts": 1024, "train_freq": 1}
    settings["gradient_steps"] = _ENVS // 4

    def single() -> gym.Env[Any, Any]:
        return gym.wrappers.FlattenObservation(ImgObsWrapper(gym.make(_DOORKEY)))

    def ours() -> float:
        views: Any = gym.make_vec(
            f"rltk/{_DOORKEY}", num_envs=_ENVS, vectorization_mode="vector_entry_point", form="flat"
        )
        encoder = {"encoder": "mlp", "encoder_kwargs": {"hidden": (64, 64)}}
        agent = DQN(views, seed=0, device=device, **encoder, **settings)
        return _SAMPLES / seconds(lambda: agent.learn(_SAMPLES), clock_of(agent.device))

    def theirs() -> float:
        peer = sb3_dqn(DummyVecEnv([single] * _ENVS), (64, 64), **settings)
        return _SAMPLES / seconds(lambda: peer.learn(_SAMPLES))

    ours()
    mine, peers = in_turns(_RUNS, ours, theirs)
    what = f"{_DOORKEY[9:]}, {_ENVS} envs, samples; peer: SB3, minigrid, DummyVecEnv"
    return Row(what, f"{mine:,.0f}/s", f"{peers:,.0f}/s", f"{mine / peers:.3g}x")


def cold_row() -> Row:
    """DQN's first 300 steps in a new process with an empty kernel cache, and with a full one."""
    with tempfile.TemporaryDirectory() as empty:
        cold, warm = (measured(_COLD, environment={"RLTK_CACHE_DIR": empty}) for _ in range(2))
    return Row("first call, cold; peer: kernels on disk", f"{cold['s']:.1f} s", f"{warm['s']:.1f} s")


def _time_row(what: str, ours: float, peer: float) -> Row:
    return Row(what, f"{ours:.1f} us", f"{peer:.1f} us", f"{peer / ours:.3g}x")

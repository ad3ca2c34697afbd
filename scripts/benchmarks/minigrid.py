"""`rltk bench minigrid`: steps, new levels, solved levels and frames learnt from a second, beside minigrid itself.

And beside EnvPool and NAVIX where they are installed. Steps are of 1,024 environments with their 7 x 7 x 3 views,
random actions, and levels generated whenever an episode ends; the peers' likewise, minigrid one environment at a
time, as it comes. Batches are in Gymnasium's default mode, NEXT_STEP, which shows what the peer's loop shows, an
episode's last observation and then the next one's first; the steps that are resets take their time and are not
counted. CPU time, in turns.
"""

import time
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from rltk.errors import ModelError
from rltk.scripts.benchmarks.sb3 import bench_sb3
from rltk.scripts.benchmarks.table import Row, in_turns, rate_row

_ENVS, _STEPS = 1024, 500
_PEER_STEPS, _PEER_RESETS = 4_000, 200
_LEVELS = 100
_MAIN = "MiniGrid-DoorKey-8x8-v0"


def bench_minigrid(rounds: int) -> list[Row]:
    """DoorKey-8x8 in full, then one id of each family; the peer is minigrid where no other is named.

    ModelError where minigrid is not installed."""
    from rltk.envs.minigrid.ids import FAMILIES

    if find_spec("minigrid") is None:
        raise ModelError("the peer, minigrid, is not installed: pip install -c constraints.txt -e '.[dev]'")
    import minigrid  # noqa: F401  # it registers its ids
    from minigrid.wrappers import RGBImgPartialObsWrapper

    rows = [
        _stepping(_MAIN, rounds),
        _stepping(_MAIN, rounds, RGBImgPartialObsWrapper, observation="egocentric_rgb"),
        *_envpool(rounds),
        *_navix(rounds),
        _generating(_MAIN, rounds),
        *_solving(rounds),
    ]
    for _, ids in FAMILIES.values():
        name = next(iter(ids))
        rows += [_stepping(name, rounds), _generating(name, rounds)]
    return [*rows, *bench_sb3(rounds)]


def _stepping(name: str, rounds: int, wrapper: Any = None, **options: Any) -> Row:
    """`options` are ours; `wrapper` is the peer's way to the same observations."""
    ours, peer = _batch(name, **options), gym.make(name)
    peer = peer if wrapper is None else wrapper(peer)
    steps = _STEPS if wrapper is None else _STEPS // 5
    _batch_rate(ours, 20)
    what = ", ".join([f"{name[9:]}, steps", *options.values()])
    return rate_row(what, *in_turns(rounds, partial(_batch_rate, ours, steps), lambda: _rate(peer)))


def _generating(name: str, rounds: int) -> Row:
    ours, peer = _batch(name), gym.make(name).unwrapped
    ours.reset(seed=0)
    core = ours.unwrapped._core

    def generate() -> float:
        begin = time.process_time()
        for _ in range(20):
            core.generate(core.everyone)
        return 20 * _ENVS / (time.process_time() - begin)

    def reset() -> float:
        begin = time.process_time()
        for _ in range(_PEER_RESETS):
            peer.reset()
        return _PEER_RESETS / (time.process_time() - begin)

    peer.reset(seed=0)
    generate()
    return rate_row(f"{name[9:]}, levels", *in_turns(rounds, generate, reset))


def _solving(rounds: int) -> list[Row]:
    """Levels that are compiled to T and R and solved, every state of them; and those for which a plan is found."""
    import rltk

    env: Any = gym.make(f"rltk/{_MAIN}").unwrapped

    def solve() -> float:
        begin = time.process_time()
        for seed in range(_LEVELS):
            env.reset(seed=seed)
            env.model().value(0.99)
        return _LEVELS / (time.process_time() - begin)

    def search() -> float:
        begin = time.process_time()
        rltk.answer_key(f"rltk/{_MAIN}", _LEVELS, threads=1)
        return _LEVELS / (time.process_time() - begin)

    rows = []
    for what, run in (("every state solved", solve), ("plans", search)):
        run()
        rate = sorted(run() for _ in range(rounds))[rounds // 2]
        rows.append(Row(f"{_MAIN[9:]}, levels: {what}", f"{rate:.0f}/s"))
    return rows


def _envpool(rounds: int) -> list[Row]:
    if find_spec("envpool") is None:
        return [Row(f"{_MAIN[9:]}, steps; peer: EnvPool", "", "not installed")]
    import envpool

    ours = _batch(_MAIN)
    peer = envpool.make_gymnasium("MiniGrid-DoorKey-8x8-v0", num_envs=_ENVS, num_threads=1)
    peer.reset()
    return [
        rate_row(
            f"{_MAIN[9:]}, steps; peer: EnvPool",
            *in_turns(rounds, partial(_batch_rate, ours), partial(_batch_rate, peer)),
        )
    ]


def _navix(rounds: int) -> list[Row]:
    """NAVIX steps in one compiled scan, whose compilation is not counted; its levels are not MiniGrid's."""
    what = f"{_MAIN[9:]}, steps; peer: NAVIX"
    if find_spec("navix") is None or find_spec("jax") is None:
        return [Row(what, "", "not installed")]
    import jax
    import navix

    peer = navix.make("Navix-DoorKey-8x8-v0", observation_fn=navix.observations.symbolic_first_person)
    steps = 200

    def step(timestep: Any, key: Any) -> tuple[Any, Any]:
        timestep = jax.vmap(peer.step)(timestep, jax.random.randint(key, (_ENVS,), 0, 7))
        return timestep, timestep.observation[:, 0, 0, 0].sum()

    run = jax.jit(lambda timestep, key: jax.lax.scan(step, timestep, jax.random.split(key, steps)))
    timestep = jax.vmap(peer.reset)(jax.random.split(jax.random.PRNGKey(0), _ENVS))

    def rate() -> float:
        begin = time.process_time()
        jax.block_until_ready(run(timestep, jax.random.PRNGKey(1)))
        return steps * _ENVS / (time.process_time() - begin)

    rate()
    ours = _batch(_MAIN)
    return [rate_row(what, *in_turns(rounds, partial(_batch_rate, ours), rate))]


def _batch(name: str, **options: Any) -> Any:
    envs = gym.make_vec(
        f"rltk/{name}",
        num_envs=_ENVS,
        vectorization_mode="vector_entry_point",
        autoreset_mode=AutoresetMode.NEXT_STEP,
        copy=False,
        **options,
    )
    envs.reset(seed=0)
    return envs


def _batch_rate(envs: Any, steps: int = _STEPS) -> float:
    actions = np.random.default_rng(0).integers(0, 7, size=(64, _ENVS))
    with suppress(AttributeError):
        actions %= envs.single_action_space.n
    ends = 0
    begin = time.process_time()
    for k in range(steps):
        _, _, terminated, truncated, _ = envs.step(actions[k % 64])
        ends += int(np.count_nonzero(terminated | truncated))
    return (steps * _ENVS - ends) / (time.process_time() - begin)


def _rate(env: Any) -> float:
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, env.action_space.n, size=_PEER_STEPS).tolist()
    begin = time.process_time()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return _PEER_STEPS / (time.process_time() - begin)

"""The one way to an environment's exact MDP, through the wrappers that leave it exact."""

import copy
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, RecordEpisodeStatistics, TimeLimit, vector

from rltk.errors import MDPError, ModelError
from rltk.mdp.model import MDP

# Wrappers that change neither what is observed, nor T, nor R. A class derived from one of them may.
TRANSPARENT = (OrderEnforcing, PassiveEnvChecker, RecordEpisodeStatistics, TimeLimit, vector.RecordEpisodeStatistics)

_CHECKED_PAIRS = 3_000
_PAIRS_A_RESET = 50


def model_of(env: Any) -> tuple[MDP | None, int | None, str]:
    """(mdp, time_limit, reason): the exact MDP behind `env`, or None and the reason why it is not known.

    Passes wrappers that change nothing (order enforcing, passive checker, episode statistics, time limit, whose limit
    in steps it returns, and observation wrappers that declare `stateless_observation = True`). Any other wrapper makes
    the inner T or R wrong: whoever asked then samples, and says why.
    """
    return _model_of(env, check=True)


def _model_of(env: Any, check: bool) -> tuple[MDP | None, int | None, str]:
    limit: int | None = None
    inner = env
    while isinstance(inner, gym.Wrapper | gym.vector.VectorWrapper):
        if type(inner) is TimeLimit:
            limit = min(inner._max_episode_steps, limit or inner._max_episode_steps)
        elif type(inner) not in TRANSPARENT and not getattr(type(inner), "stateless_observation", False):
            return None, limit, f"the wrapper {type(inner).__name__} may change what the inner model says"
        inner = inner.env
    if getattr(inner, "max_episode_steps", None) is not None:  # a batched environment counts its own steps
        limit = min(inner.max_episode_steps, limit or inner.max_episode_steps)
    try:
        return _own_model(inner, check), limit, "the environment's own model"
    except ModelError as error:
        return None, limit, str(error)


def mdp_from_env(env: Any, *, check: bool = True) -> MDP:
    """The MDP of `env`, or a ModelError that says why there is none. See `MDP.from_env`."""
    mdp, _, reason = _model_of(env, check)
    if mdp is None:
        raise ModelError(f"{_name(env)} has no exact model: {reason}")
    return mdp


def _own_model(env: Any, check: bool) -> MDP:
    if callable(getattr(env, "mdp", None)):
        return env.mdp()
    table = getattr(env, "P", None)
    if table is None:
        raise ModelError(f"{_name(env)} offers neither mdp() nor a P table")
    if not check:
        return _read_table(env, table)
    # Checking takes a moment; an environment's table does not change under it.
    known = env.__dict__.get("_rltk_model")
    if known is None or known[0] is not table:
        mdp = _read_table(env, table)
        _check_against_step(env, mdp)
        env.__dict__["_rltk_model"] = known = (table, mdp)
    return known[1]


def _read_table(env: Any, table: Any) -> MDP:
    try:
        return MDP.from_table(table, getattr(env, "initial_state_distrib", None))
    except MDPError as error:
        raise ModelError(f"the P table of {_name(env)} is no MDP: {error}") from error


def _name(env: Any) -> str:
    return env.spec.id if getattr(env, "spec", None) is not None else type(env).__name__


def _check_against_step(env: Any, mdp: MDP) -> None:
    """Refuse a table that is not what `step` does: every outcome seen must stand in the table with its reward."""
    probe = _probe(env)
    random = np.random.default_rng(0)
    pairs = np.argwhere(mdp.available)
    pairs = pairs[random.permutation(len(pairs))[:_CHECKED_PAIRS]]
    pairs = np.tile(pairs, (max(1, _CHECKED_PAIRS // len(pairs)), 1))
    for i, (state, action) in enumerate(pairs):
        # Some environments decide at the reset whether to leave their table in this episode.
        if i % _PAIRS_A_RESET == 0:
            observation, _ = probe.reset(seed=i)
            _check_start(env, mdp, observation)
        if not hasattr(probe, "s"):
            raise ModelError(f"{_name(env)} has a P table but no attribute `s` to set: P can't be checked against step")
        probe.s = int(state)
        observation, reward, terminated, _, _ = probe.step(int(action))
        row = state * mdp.n_actions + action
        span = slice(mdp.row_start[row], mdp.row_start[row + 1])
        known = (mdp.next_state[span] == observation) & (mdp.terminated[span] == terminated)
        if not (known & np.isclose(mdp.reward[span], float(reward))).any():
            raise ModelError(
                f"the P table of {_name(env)} is not what step does: from state {state}, action {action} led to "
                f"state {observation} with reward {float(reward):g}, terminated {terminated}, which P does not hold. "
                "Evaluate it by sampling, or mend P"
            )


def _check_start(env: Any, mdp: MDP, observation: Any) -> None:
    if not isinstance(observation, int | np.integer) or not 0 <= observation < mdp.n_states:
        raise ModelError(f"{_name(env)} observes {observation!r}; a P table needs the state's number as observation")
    if mdp.start[observation] == 0:
        raise ModelError(f"{_name(env)} started in state {observation}, where its start distribution has probability 0")


def _probe(env: Any) -> Any:
    """A copy of `env` to step about in: the caller's own keeps its state and its random numbers."""
    try:
        probe: Any = copy.deepcopy(env)
        probe.render_mode = None  # it would draw its steps
        return probe
    except Exception as error:  # an open window can't be copied: the environment is made anew then
        if getattr(env, "spec", None) is None:
            raise ModelError(f"{_name(env)} could not be copied to check its P table: {error}") from error
    try:
        arguments = {**env.spec.kwargs, "render_mode": None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return gym.make(env.spec.id, disable_env_checker=True, **arguments).unwrapped
    except Exception as error:
        raise ModelError(f"{_name(env)} could not be made anew to check its P table: {error}") from error


def sync_time_limit(env: Any, elapsed: int) -> None:
    """Tell every TimeLimit around `env` that `elapsed` steps of the episode are done, after `set_state` moved it."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TimeLimit):
            setattr(env, "_elapsed_steps", elapsed)  # noqa: B010 (no setter; Gymnasium annotates it as None)
        env = env.env

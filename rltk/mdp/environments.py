"""The one way to an environment's exact MDP, through the wrappers that leave it exact."""

import copy
import warnings
from collections import Counter
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, RecordEpisodeStatistics, TimeLimit, vector

from rltk.errors import MDPError, ModelError, SizeError
from rltk.mdp.model import MDP

# Wrappers that change neither what is observed, nor T, nor R. A class derived from one of them may.
TRANSPARENT = (OrderEnforcing, PassiveEnvChecker, RecordEpisodeStatistics, TimeLimit, vector.RecordEpisodeStatistics)

_CHECKED_PAIRS = 3_000
_STEPS_A_RESET = 15
# A random row needs many draws; together they take as long as a few thousand steps more.
_DRAWS_A_ROW = 300
_RANDOM_DRAWS = 10_000
# A limit that an environment keeps by itself shows only in a long episode.
_LONG_EPISODE = 2_000
# The chance that a true table is refused. Draws are seeded, so a refusal is at least always the same.
_FALSE_ALARM = 1e-6


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
    except (ModelError, SizeError) as error:
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
    mdp = _read_table(env, table)
    if not check:
        return mdp
    if getattr(env, "initial_state_distrib", None) is None:
        raise ModelError(
            f"{_name(env)} has a P table but does not say where episodes start: set `initial_state_distrib`, (S,) "
            "probabilities, on it. MDP.from_env(env, check=False) takes a uniform start"
        )
    # Checking takes a moment. The table is read anew each time: it may have been changed in place since.
    known = env.__dict__.get("_rltk_model")
    if known is not None and _same(known, mdp):
        return known
    _check_against_step(env, mdp)
    env.__dict__["_rltk_model"] = mdp
    return mdp


def _same(one: MDP, other: MDP) -> bool:
    names = ("row_start", "next_state", "probability", "reward", "terminated", "start")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def _read_table(env: Any, table: Any) -> MDP:
    try:
        return MDP.from_table(table, getattr(env, "initial_state_distrib", None))
    except MDPError as error:
        raise ModelError(f"the P table of {_name(env)} is no MDP: {error}") from error


def _name(env: Any) -> str:
    return env.spec.id if getattr(env, "spec", None) is not None else type(env).__name__


def _check_against_step(env: Any, mdp: MDP) -> None:
    """Refuse a table that is not what `reset` and `step` do.

    Every start and outcome seen must stand in the table, and be seen about as often as the table says. Tables of more
    than 3,000 pairs of state and action are checked in so many, drawn at random.
    """
    starts, steps = _sample(env, mdp)
    chances = [
        (_chance(starts[s], starts.total(), mdp.start[s]), f"it starts in state {s}")
        for s in np.flatnonzero(mdp.start).tolist()
    ]
    counts = np.zeros(mdp.next_state.size, dtype=np.int64)
    for (row, observation, reward, terminated), count in steps.items():
        counts[_outcome(env, mdp, row, observation, reward, terminated)] += count
    chances += _outcome_chances(mdp, counts)
    # Holm's correction rejects something exactly where Bonferroni's rejects the smallest.
    chance, what = min(chances)
    if chance * len(chances) < _FALSE_ALARM:
        raise ModelError(
            f"the P table of {_name(env)} is not what it does: {what}, too often or too seldom for the probability "
            "in P or `initial_state_distrib`. Evaluate it by sampling, or mend the probabilities"
        )


def _sample(env: Any, mdp: MDP) -> tuple[Counter[int], Counter[tuple[int, int, float, bool]]]:
    """How often each start, and each (row, observation, reward, terminated), was seen."""
    probe = _probe(env)
    starts: Counter[int] = Counter()
    steps: Counter[tuple[int, int, float, bool]] = Counter()
    for i, row in enumerate(_plan(mdp)):
        # Some environments decide at the reset whether to leave their table in this episode.
        if i <= _CHECKED_PAIRS and i % _STEPS_A_RESET == 0:
            start, _ = probe.reset(seed=i)
            _check_start(env, mdp, start)
            starts[int(start)] += 1
        if not hasattr(probe, "s"):
            raise ModelError(f"{_name(env)} has a P table but no attribute `s` to set: P can't be checked against step")
        state, action = divmod(row, mdp.n_actions)
        probe.s = state
        observation, reward, terminated, truncated, _ = probe.step(action)
        if truncated:
            raise ModelError(
                f"{_name(env)} returned truncated=True from its own step: a time limit that the model can't see. "
                "Leave it out of step, and wrap the environment in gymnasium.wrappers.TimeLimit (or register it with "
                "max_episode_steps=)"
            )
        _check_observation(env, mdp, observation)
        steps[row, int(observation), float(reward), bool(terminated)] += 1
    return starts, steps


def _plan(mdp: MDP) -> list[int]:
    """The rows s * A + a to step from: each, or 3,000 of them, in any order; then those with several outcomes."""
    random = np.random.default_rng(0)
    rows = random.permutation(np.flatnonzero(mdp.available))[:_CHECKED_PAIRS]
    several = rows[np.diff(mdp.row_start)[rows] > 1]
    draws = min(_DRAWS_A_ROW, _RANDOM_DRAWS // max(1, several.size))
    first = np.resize(rows, _CHECKED_PAIRS)
    more = np.tile(several, draws)
    fill = np.resize(rows, max(0, _LONG_EPISODE - more.size))
    return np.concatenate([first, more, fill]).tolist()


def _outcome(env: Any, mdp: MDP, row: int, observation: int, reward: float, terminated: bool) -> int:
    """The place in the table of what was seen."""
    begin, end = mdp.row_start[row], mdp.row_start[row + 1]
    off = np.abs(mdp.reward[begin:end] - reward)
    known = (mdp.next_state[begin:end] == observation) & (mdp.terminated[begin:end] == terminated)
    known &= np.isclose(mdp.reward[begin:end], reward)
    if not known.any():
        state, action = divmod(row, mdp.n_actions)
        raise ModelError(
            f"the P table of {_name(env)} is not what step does: from state {state}, action {action} led to "
            f"state {observation} with reward {reward:g}, terminated {terminated}, which P does not hold. "
            "Evaluate it by sampling, or mend P"
        )
    return int(begin + np.argmin(np.where(known, off, np.inf)))


def _chance(seen: Any, draws: Any, probability: Any) -> Any:
    """The chance, exact and from both sides, of a count as far off as `seen`.

    A chi-square test would refuse true tables: its tails are wrong where an outcome is expected only a few times.
    """
    from scipy.special import bdtr, bdtrc

    probability = np.minimum(probability, 1.0)
    below, above = bdtr(seen, draws, probability), bdtrc(np.asarray(seen) - 1.0, draws, probability)
    return np.minimum(1.0, 2 * np.minimum(below, above))


def _outcome_chances(mdp: MDP, counts: np.ndarray) -> list[tuple[float, str]]:
    """(chance, what was seen) for every random outcome, and for all outcomes of one probability taken together.

    counts: (nnz,) how often each outcome was seen. A large table gets few draws a row, too few to find a wrong slip in
    any one of them; over all rows together it shows.
    """
    sizes = np.diff(mdp.row_start)
    row = np.repeat(np.arange(sizes.size), sizes)  # (nnz,)
    draws = np.bincount(row, counts, minlength=sizes.size).astype(np.int64)[row]
    tested = np.flatnonzero((sizes[row] > 1) & (draws > 0))
    chances = []
    for i, chance in zip(tested, _chance(counts[tested], draws[tested], mdp.probability[tested]), strict=True):
        state, action = divmod(int(row[i]), mdp.n_actions)
        share = f"{counts[i]} of {draws[i]} times, P says {mdp.probability[i]:g}"
        chances.append((chance, f"from state {state}, action {action} leads to state {mdp.next_state[i]} ({share})"))
    # One outcome a row, so that the counts of a probability add up to a binomial one.
    rounded = np.round(mdp.probability, 9)
    _, first = np.unique(np.stack([row[tested], rounded[tested]]), axis=1, return_index=True)
    kept = tested[first]
    for probability in np.unique(rounded[kept]):
        alike = kept[rounded[kept] == probability]
        seen, of = counts[alike].sum(), draws[alike].sum()
        chances.append(
            (_chance(seen, of, probability), f"outcomes of probability {probability:g} come {seen} of {of} times")
        )
    return chances


def _check_observation(env: Any, mdp: MDP, observation: Any) -> None:
    if not isinstance(observation, int | np.integer) or not 0 <= observation < mdp.n_states:
        raise ModelError(f"{_name(env)} observes {observation!r}; a P table needs the state's number as observation")


def _check_start(env: Any, mdp: MDP, observation: Any) -> None:
    _check_observation(env, mdp, observation)
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

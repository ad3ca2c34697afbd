"""Learning curves without any noise but the learner's own: what each of many tables is exactly worth.

    loss(policy)  = sum_s start(s) [ V*(s) - V^policy(s) ]                             its suboptimality, an episode
    regret(k)     = sum_{j <= k} (n_j - n_{j-1}) (loss_{j-1} + loss_j) / 2             n_j: episodes by checkpoint j

The suboptimality of a run at a checkpoint is the loss of the policy that it would be stopped with, the greedy one: give
`ManySeeds.greedy()`. What it loses by learning is the loss of the policy that it behaves by: give
`ManySeeds.behaviour()`, whose regret is what all its episodes so far are expected to have lost. Losses follow from T
and R and are exact. The sum is not: between two checkpoints the policy moves with every step, and is taken to lose the
mean of what it loses at both. More checkpoints bring that as near as one likes.

A loss is of the whole discounted return from an episode's start: what lies beyond a time limit counts, too. At gamma =
1 a policy that never ends may lose infinitely much, and then does so in the curve.

Source: Osband, Russo and Van Roy (2013), "(More) efficient reinforcement learning via posterior sampling", section 2,
for the regret over episodes; `rltk.evaluation.exact` for the values.
"""

from typing import Any

import numpy as np

from rltk.errors import ArgumentError, ModelError, SizeError
from rltk.evaluation.exact import comparison, policy_value
from rltk.mdp import MDP, Chain, Criterion, model_of
from rltk.mdp.rows import Outcomes

_STATES_AT_ONCE = 20_000  # of the chains that are solved together: enough that what each solution costs is small


def suboptimality_curves(policies: Any, env: Any, criterion: Criterion | float) -> np.ndarray:
    """(...) float64: the exact suboptimality of each policy, such as (N, K) for N seeds at K checkpoints.

    policies: (..., S) actions, integers, or (..., S, A) probabilities. env: an environment whose T and R are known, or
    its MDP. criterion: what the optimum is meant by, or its gamma. Equal policies are solved once.

    Raises ModelError where T and R are not known, SizeError and ArgumentError for what are no policies of this MDP.
    """
    mdp, criterion = _mdp_of(env), criterion if isinstance(criterion, Criterion) else Criterion(criterion)
    try:
        array = np.ascontiguousarray(policies)
    except ValueError as error:  # rows of different lengths
        raise ArgumentError(f"policies: an array of actions or probabilities was expected ({error})") from None
    shape = (mdp.n_states,) if array.dtype.kind in "iu" else (mdp.n_states, mdp.n_actions)
    if array.shape[-len(shape) :] != shape:
        raise SizeError(
            f"policies: (..., {mdp.n_states}) actions or (..., {mdp.n_states}, {mdp.n_actions}) probabilities; found "
            f"{array.dtype} of shape {array.shape}"
        )
    flat = array.reshape(-1, *shape)
    place: dict[bytes, int] = {}  # of each policy among the different ones
    which = [place.setdefault(policy.tobytes(), len(place)) for policy in flat]
    different = flat[np.unique(which, return_index=True)[1]]
    losses = np.empty(len(different))
    size = 1 if criterion.kind == "average" else max(1, _STATES_AT_ONCE // mdp.n_states)
    for begin in range(0, len(different), size):
        losses[begin : begin + size] = _losses(mdp, different[begin : begin + size], criterion)
    return losses[which].reshape(array.shape[: -len(shape)])


def regret_curves(losses: Any, counts: Any) -> np.ndarray:
    """(N, K) float64: the regret by each checkpoint.

    losses: (N, K), what `suboptimality_curves` gives. counts: (N, K) or (K,), the episodes that had ended by each
    checkpoint (`ManySeeds.episodes`); or its steps, for the area under the curve. What lies before the first checkpoint
    is taken to lose as much as that one does: let 0 be the first to do without.
    """
    losses, numbers = _numbers("losses", losses), _numbers("counts", counts)
    if not losses.ndim:
        raise SizeError(f"losses: (N, K) or (K,), those at K checkpoints; found the single number {losses}")
    try:
        numbers = np.broadcast_to(numbers, losses.shape)
    except ValueError:
        raise SizeError(
            f"counts: one for each loss, {losses.shape}, or the same for each run; found {np.shape(counts)}"
        ) from None
    spans = np.diff(numbers, axis=-1, prepend=0.0) if np.isfinite(numbers).all() else np.array(np.nan)
    if not (spans >= 0).all():
        raise ArgumentError("counts: how many by each checkpoint, which never falls and begins at 0 or above")
    before = np.concatenate([losses[..., :1], losses[..., :-1]], axis=-1)
    lost = np.where(spans > 0, spans, 0.0) * np.where(spans > 0, (before + losses) / 2, 0.0)  # nothing of infinity is 0
    return np.cumsum(lost, axis=-1)


def _losses(mdp: MDP, policies: np.ndarray, criterion: Criterion) -> list[float]:
    """The loss of each policy; their chains are solved as one that falls into parts."""
    n = mdp.n_states
    found = [mdp.form.outcomes(mdp.policy_probabilities(policy)) for policy in policies]
    offset = np.repeat(np.arange(len(found)) * n, [len(outcomes.state) for outcomes in found])
    state, next_state, weight, reward, terminated, _ = zip(*found, strict=True)
    together = Outcomes(
        np.concatenate(state) + offset,
        np.concatenate(next_state) + offset,
        np.concatenate(weight),
        np.concatenate(reward),
        np.concatenate(terminated),
        None,
    )
    chain = Chain.from_outcomes(len(found) * n, together)
    values = policy_value(chain, criterion, np.tile(mdp.start, len(found))).reshape(-1, n)
    return [comparison(mdp, criterion, mdp.over_start(value))["suboptimality"] for value in values]


def _numbers(name: str, given: Any) -> np.ndarray:
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name}: an array of numbers was expected ({error})") from None


def _mdp_of(env: Any) -> MDP:
    if isinstance(env, MDP):
        return env
    mdp, _, reason = model_of(env)
    if mdp is None:
        raise ModelError(f"exact curves need T and R: {reason}. Evaluate by sampling with rltk.evaluate")
    return mdp

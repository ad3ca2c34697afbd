"""What an agent does in every state of an environment: the (S, A) policy that exact evaluation starts from."""

import inspect
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.errors import ArgumentError, ModelError
from rltk.mdp import MDP, Criterion
from rltk.mdp.observing import observations_of

_BATCH = 4096


def policy_of(agent: Any, env: Any, mdp: MDP, deterministic: bool) -> tuple[np.ndarray, int | None]:
    """(policy (S, A), aliased states): the agent's action probabilities in each state, through what it observes there.

    Raises ModelError, saying why, where they can't be had; ArgumentError where they are not of this environment.
    """
    probabilities = _probabilities_of(agent, deterministic)
    _check_observed(agent, env)
    policy = np.empty((mdp.n_states, mdp.n_actions))
    seen = []
    for begin in range(0, mdp.n_states, _BATCH):
        states = np.arange(begin, min(begin + _BATCH, mdp.n_states))
        observations = states if getattr(agent, "acts_on_states", False) else observations_of(env, states)
        found = np.asarray(probabilities(observations, mdp.available[states]))
        if found.shape != policy[states].shape:
            raise ArgumentError(
                f"{type(agent).__name__} gave probabilities of shape {found.shape} for {states.size} observations; "
                f"this environment has {mdp.n_actions} actions, so {policy[states].shape} was expected"
            )
        policy[states] = found
        seen.append(_distinct(observations, states.size))
    return policy, _aliased(seen)


def _check_observed(agent: Any, env: Any) -> None:
    """ArgumentError where the agent learnt from observations of other shapes than `env` shows."""
    learnt = getattr(agent, "observation_space", None) or getattr(
        getattr(agent, "env", None), "observation_space", None
    )
    shown = getattr(env, "single_observation_space", env.observation_space)
    if isinstance(learnt, gym.Space) and not getattr(agent, "acts_on_states", False) and _form(learnt) != _form(shown):
        raise ArgumentError(
            f"{type(agent).__name__} learnt from observations in the form {_form(learnt)}, and this environment shows "
            f"{_form(shown)}. Make it with the same options, such as form= and observation=, and with the same wrappers"
        )


def _form(space: gym.Space[Any]) -> str:
    """A space's kind and shape, in words; its bounds may differ."""
    if isinstance(space, gym.spaces.Dict):
        return "{" + ", ".join(f"{name}: {_form(part)}" for name, part in space.spaces.items()) + "}"
    if isinstance(space, gym.spaces.Tuple):
        return "(" + ", ".join(map(_form, space.spaces)) + ")"
    size = f"({space.n})" if isinstance(space, gym.spaces.Discrete) else ""
    return f"{type(space).__name__}{size or (space.shape if space.shape is not None else '')}"


def _probabilities_of(agent: Any, deterministic: bool) -> Any:
    if callable(getattr(agent, "action_probabilities", None)):
        return lambda observations, mask: agent.action_probabilities(
            observations, mask=None if mask.all() else mask, deterministic=deterministic
        )
    if hasattr(agent, "policy") and hasattr(agent.policy, "obs_to_tensor"):  # Stable-Baselines3
        return lambda observations, mask: _sb3_probabilities(agent, observations, mask.shape[1], deterministic)
    raise ModelError(f"{type(agent).__name__} does not offer action_probabilities(observations)")


def _sb3_probabilities(agent: Any, observations: Any, n_actions: int, deterministic: bool) -> np.ndarray:
    if hasattr(agent.policy, "_initial_state") or "Recurrent" in type(agent).__name__:
        raise ModelError("a recurrent agent's action depends on more than the state's observation")
    if deterministic or not hasattr(agent.policy, "get_distribution"):
        actions, _ = agent.predict(observations, deterministic=True)
        greedy = np.eye(n_actions)[np.asarray(actions, dtype=np.int64).reshape(-1)]
        epsilon = 0.0 if deterministic else float(getattr(agent, "exploration_rate", 0.0))
        return (1 - epsilon) * greedy + epsilon / n_actions
    tensor, _ = agent.policy.obs_to_tensor(observations)
    distribution = agent.policy.get_distribution(tensor).distribution
    probabilities = distribution.probs.detach().cpu().numpy().astype(np.float64)
    return probabilities / probabilities.sum(axis=1, keepdims=True)  # float32 sums to 1 within 1e-7 only


def masks_for(agent: Any, info: Any) -> dict[str, Any]:
    """What `agent.predict` is to be told beside the observation: which actions the environment's `info` allows, where
    it says so and the agent asks for it (DQN's and sb3-contrib's `predict` take `action_masks`)."""
    if "action_mask" not in info or "action_masks" not in inspect.signature(agent.predict).parameters:
        return {}
    return {"action_masks": np.asarray(info["action_mask"]) != 0}


def criterion_of(agent: Any) -> Criterion | None:
    """The criterion that an agent learnt or was solved under: its own, or its `gamma` (as SB3's models have)."""
    own = getattr(agent, "criterion", None)
    if isinstance(own, Criterion):
        return own
    gamma = getattr(agent, "gamma", None)
    return Criterion(float(gamma)) if isinstance(gamma, int | float) else None


def _distinct(observations: Any, count: int) -> tuple[np.ndarray, np.ndarray] | None:
    """(the different ones among `count` observations as bytes, how often each is there); None for what is no array, nor
    a dict or tuple of arrays."""
    if isinstance(observations, dict):
        parts = list(observations.values())
    else:
        parts = list(observations) if isinstance(observations, tuple) else [observations]
    if not all(isinstance(part, np.ndarray) and part.dtype != object and len(part) == count for part in parts):
        return None
    columns = [np.ascontiguousarray(part.reshape(count, -1)).view(np.uint8) for part in parts]
    rows = np.concatenate(columns, axis=1)  # (N, bytes)
    return np.unique(rows.view(np.dtype((np.void, rows.shape[1]))).reshape(-1), return_counts=True)


def _aliased(seen: list[tuple[np.ndarray, np.ndarray] | None]) -> int | None:
    known = [batch for batch in seen if batch is not None]
    if len(known) < len(seen):
        return None
    rows, counts = (np.concatenate(arrays) for arrays in zip(*known, strict=True))
    _, inverse = np.unique(rows, return_inverse=True)
    states = np.bincount(inverse.reshape(-1), counts)  # that share an observation
    return int(states[states > 1].sum())

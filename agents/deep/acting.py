"""How a DQN acts: epsilon-greedily while it learns, greedily when it is asked to, from memory where it has one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from rltk.agents.deep.networks.network import to_device
from rltk.errors import ArgumentError, LearningError, ModelError

_BATCH = 4096  # observations that go through the network at once


class Acting:
    """The acting half of `DQN`, which has the networks."""

    def _init_acting(self: Any) -> None:
        s = self.settings
        self._is_simple = self.n_envs == 1 and s.memory is None and s.bootstrapped == 1 and not s.noisy
        self._recall: Any = None  # what the memory holds of the episodes under way, for n players
        self._fresh = np.ones(self.n_envs, dtype=bool)  # who stands at a beginning
        self._leaders = np.zeros(self.n_envs, dtype=np.int64)  # the head that leads each player's episode

    def _began(self: Any, which: np.ndarray) -> None:
        self._fresh[which] = True
        if self.settings.bootstrapped > 1:
            drawn = self.streams.generator("leaders").integers(self.settings.bootstrapped, size=which.size)
            self._leaders[which] = drawn

    def _behave(self: Any, words: np.ndarray) -> np.ndarray:
        """(n,) what to do now; words (n, 2): whether to explore, and how."""
        masks = self.players.masks
        epsilon = 1.0 if self.timestep < self.settings.learning_starts else self.exploration_rate
        if (
            self._is_simple and masks is None
        ):  # the inner loop of one small environment: no arrays where none are needed
            if words[0, 0] < epsilon:
                return np.array([int(words[0, 1] * self.players.n_actions)])
            return self.updater.greedy(self.players.observations, None)
        explores = words[:, 0] < epsilon  # (n,)
        # A memory sees every observation from where learning starts: the random steps before need none.
        follows = self.network.memory is not None and self.timestep >= self.settings.learning_starts
        if not follows and explores.all():
            return self._at_random(words[:, 1], masks)
        actions = self._led(masks) if follows or self.settings.bootstrapped > 1 else self._greedy_now(masks)
        if explores.any():
            actions = np.where(explores, self._at_random(words[:, 1], masks), actions)
        return actions

    def _greedy_now(self: Any, masks: np.ndarray | None) -> np.ndarray:
        self.resample_noise()
        return self.updater.greedy(self.players.observations, masks)

    def _led(self: Any, masks: np.ndarray | None) -> np.ndarray:
        """What each player's leading head takes for best, memory going on by one observation."""
        self.resample_noise()
        with torch.no_grad():
            observations = to_device(self.players.observations, self.device)
            if self.network.memory is None:
                outputs = self.network(observations)
            else:
                if self._recall is None:
                    self._recall = self.network.memory.initial(self.n_envs)
                start = torch.as_tensor(self._fresh, device=self.device)
                outputs, self._recall = self.network.step(observations, self._recall, start)
                self._fresh[:] = False
            values = self.values.mean(outputs).cpu().numpy()  # (n, K, A)
        return _best(values[np.arange(self.n_envs), self._leaders], masks)

    def _at_random(self: Any, words: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        """(n,) evenly among what can be done: words (n,) in [0, 1)."""
        if masks is None:
            return (words * self.players.n_actions).astype(np.int64)
        counts = masks.sum(axis=1)
        chosen = np.minimum((words * counts).astype(np.int64), counts - 1)
        return (masks.cumsum(axis=1) > chosen[:, None]).argmax(axis=1)

    def resample_noise(self: Any) -> None:
        """New noise in the layers that have any."""
        if self.settings.noisy:
            self.network.head.resample()
            self.target.head.resample()

    def greedy_actions(self: Any, observations: Any, masks: np.ndarray | None) -> np.ndarray:
        """(n,) the best actions for plain observations, with whatever noise the layers hold now."""
        with torch.no_grad():
            outputs = self.network(to_device(observations, self.device))
            return _best(self.values.mean(outputs).mean(1).cpu().numpy(), masks)

    # For whoever asks

    def predict(
        self: Any,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, Any]:
        """(action, state) for one observation or a batch of them; epsilon-greedy where not deterministic.

        state, episode_start: what the memory held after the last call, and whose episodes begin now; for agents without
        memory both may be left out. action_masks: (A,) or (n, A), what can be done, as sb3-contrib calls it.
        """
        single = self.players.plain.is_one(observation)
        plain = _alone(self.players.plain.one(observation)) if single else self._plain_batch(observation)
        count = _count(plain)
        if self.network.memory is None:
            values = self._values_of(plain)
        else:
            values, state = self._recalled(plain, count, state, episode_start)
        masks = None if action_masks is None else self._checked_masks(action_masks, values.shape)
        actions = _best(values, masks)
        if not deterministic:
            words = self.streams.generator("predict").random((count, 2))
            explores = words[:, 0] < self.exploration_rate
            actions = np.where(explores, self._at_random(words[:, 1], masks), actions)
        actions = actions + self.players.first_action
        return (int(actions[0]) if single else actions), state

    def _checked_masks(self: Any, masks: Any, shape: tuple[int, ...]) -> np.ndarray:
        found = np.asarray(masks)
        if found.shape not in (shape, shape[1:]):
            raise ArgumentError(f"action_masks: {shape} or {shape[1:]} was expected; found {found.shape}")
        return np.broadcast_to(found != 0, shape)

    def q_values(self: Any, observations: Any) -> np.ndarray:
        """(N, A) float64: Q(s, a) for (N, ...) observations, as the environment shows them; without noise.

        Raises ModelError for an agent with memory: its values depend on what was seen before.
        """
        self._refuse_memory()
        return self._values_of(self._plain_batch(observations)).astype(np.float64)

    def action_probabilities(self: Any, observations: Any, mask: Any = None, deterministic: bool = True) -> np.ndarray:
        """(N, A) float64: the greedy policy for (N, ...) observations; epsilon-greedy where not deterministic.

        mask: (N, A) or (A,), which actions can be taken. Raises ModelError for an agent with memory.
        """
        values = self.q_values(observations)
        allowed = None if mask is None else np.broadcast_to(np.asarray(mask) != 0, values.shape)
        policy = np.zeros_like(values)
        policy[np.arange(len(values)), _best(values, allowed)] = 1.0
        if deterministic:
            return policy
        even = np.ones_like(values) if allowed is None else allowed.astype(np.float64)
        even /= even.sum(axis=1, keepdims=True)
        return (1 - self.exploration_rate) * policy + self.exploration_rate * even

    def _refuse_memory(self: Any) -> None:
        if self.network.memory is not None:
            raise ModelError("an agent with memory: its action depends on more than the observation")

    def _plain_batch(self: Any, observations: Any) -> Any:
        """Plain observations (n, ...) of a batch of them."""
        count = _length(observations)
        if count is None:
            raise ArgumentError(
                f"an observation of {self.observation_space}, or a batch of them, was expected; found {observations!r}"
            )
        return self.players.plain.many(observations, count)

    def _values_of(self: Any, plain: Any) -> np.ndarray:
        """(N, A) without noise, the mean of the heads."""
        count, found = _count(plain), []
        with torch.no_grad(), self.network.head.mean_weights():
            for begin in range(0, count, _BATCH):
                part = _cut(plain, begin, begin + _BATCH)
                outputs = self.network(to_device(part, self.device))
                found.append(self.values.mean(outputs).mean(1).cpu().numpy())
        return np.concatenate(found)

    def _recalled(self: Any, plain: Any, count: int, state: Any, episode_start: Any) -> tuple[np.ndarray, Any]:
        with torch.no_grad(), self.network.head.mean_weights():
            recall = self.network.memory.initial(count) if state is None else state
            first = np.full(count, state is None) if episode_start is None else np.asarray(episode_start, bool)
            start = torch.as_tensor(np.broadcast_to(first, (count,)).copy(), device=self.device)
            outputs, recall = self.network.step(to_device(plain, self.device), recall, start)
            return self.values.mean(outputs).mean(1).cpu().numpy(), recall

    # Faults and checkpoints

    def broken(self: Any, batch: Any) -> LearningError:
        """The error of an update that is not finite, with where that comes from."""
        return self._stop(_source(batch, self.network, self.target))

    def _acting_state(self: Any) -> dict[str, Any]:
        recall = self._recall if isinstance(self._recall, tuple) else (self._recall,)
        kept = [] if self._recall is None else [part.detach().cpu().numpy().copy() for part in recall]
        return {"recall": kept, "fresh": self._fresh.copy(), "leaders": self._leaders.copy()}

    def _restore_acting(self: Any, state: Mapping[str, Any]) -> None:
        parts = tuple(torch.as_tensor(np.array(part), device=self.device) for part in state["recall"])
        self._recall = None if not parts else parts[0] if len(parts) == 1 else parts
        self._fresh, self._leaders = np.array(state["fresh"]), np.array(state["leaders"])


def _best(values: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
    """(n,) the first of the best."""
    return (values if masks is None else np.where(masks, values, -np.inf)).argmax(axis=1)


def _source(batch: Any, network: Any, target: Any) -> str:
    for name in ("rewards", "observations", "next_observations", "weights"):
        part = getattr(batch, name, None)
        for tensor in part.values() if isinstance(part, dict) else (part,):
            if isinstance(tensor, torch.Tensor) and not torch.isfinite(tensor.float()).all():
                return f"there is a NaN or an infinity in the batch's {name}; look at what the environment gives"
    for module, name in ((network, "network"), (target, "target network")):
        for key, weight in module.state_dict().items():
            if not torch.isfinite(weight.float()).all():
                return f"there is a NaN or an infinity in the {name}'s {key}"
    return "the loss or its gradient overflowed; lower learning_rate, or scale the rewards down"


def _alone(plain: Any) -> Any:
    """One plain observation as a batch of one."""
    return {name: part[None] for name, part in plain.items()} if isinstance(plain, dict) else plain[None]


def _count(plain: Any) -> int:
    return len(next(iter(plain.values())) if isinstance(plain, dict) else plain)


def _length(observation: Any) -> int | None:
    """How many observations a batch as environments give it holds; None for what is none."""
    part = observation
    while isinstance(part, dict) and part:
        part = next(iter(part.values()))
    if isinstance(part, tuple) and part:
        part = part[0]
    try:
        return len(part)
    except TypeError:
        return None


def _cut(plain: Any, begin: int, end: int) -> Any:
    return {name: part[begin:end] for name, part in plain.items()} if isinstance(plain, dict) else plain[begin:end]

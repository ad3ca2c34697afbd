"""A frozen encoder: features of observations as arrays, and the features of all states of an MDP as one table.

    X = feature_table(encoder, env)                                 (S, F): x(s) is the encoder's features in state s
    LinearQLearning(gym.make(same world, by number), features=X)    q(s, a) = w_a . x(s)

States go through the encoder in batches, so many numbers at a time that a batch stays in the processor's memory.
"""

from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import nn

from rltk.encoders.choosing import encoder_of, in_eval_mode
from rltk.encoders.devices import checked_device
from rltk.encoders.plain import Plain
from rltk.errors import ArgumentError, ModelError
from rltk.mdp import model_of
from rltk.mdp.observing import observations_of

# Of observations in a batch. Measured on a CPU: twice as many are no quicker, half as many up to a sixth slower.
_BATCH_NUMBERS = {"cpu": 2**18, "cuda": 2**23}
_SMALLEST_BATCH, _LARGEST_BATCH = 128, 4096


class Frozen:
    """A copy of `encoder` in eval mode, without gradients, on `device`: what becomes of the original changes nothing.

    observation_space: of one observation, as an environment gives it. batch_size: how many go through at once; None for
    what suits their size. `features_dim` is F.

    Raises SpaceError and ArgumentError where the encoder can't take these observations.
    """

    _without_gradients: Any = torch.inference_mode

    def __init__(
        self,
        encoder: nn.Module,
        observation_space: spaces.Space[Any],
        *,
        device: str | torch.device = "auto",
        batch_size: int | None = None,
    ) -> None:
        _check_module(encoder)
        if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
            raise ArgumentError(f"batch_size is an integer of at least 1, or None; it is {batch_size!r}")
        self.plain = Plain(observation_space)
        self.device = checked_device(device)
        self.features_dim = int(encoder_of(encoder, self.plain.space).features_dim)
        self.batch_size = batch_size or _suiting(self.plain.space, self.device)
        self._encoder = self._kept(encoder)

    def _kept(self, encoder: nn.Module) -> nn.Module:
        return deepcopy(encoder).to(self.device).requires_grad_(False).eval()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Frozen":
        return self  # It never changes, so copies of an environment share it.

    def one(self, observation: Any) -> NDArray[np.float32]:
        """(F,) the features of one observation. ArgumentError where it is not of the space."""
        plain = self.plain.one(observation)
        alone = {name: part[None] for name, part in plain.items()} if isinstance(plain, dict) else plain[None]
        return self._features(alone, 1)[0]

    def many(self, observations: Any, n: int) -> NDArray[np.float32]:
        """(n, F) the features of a batch of them."""
        return self._features(self.plain.many(observations, n), n)

    def _features(self, plain: Any, n: int) -> NDArray[np.float32]:
        out = torch.empty(n, self.features_dim, device=self.device)
        with self._without_gradients():
            for begin in range(0, n, self.batch_size):
                part = slice(begin, begin + self.batch_size)
                out[part] = self._encoder(self._on_device(plain, part))
        return out.cpu().numpy()

    def _on_device(self, plain: Any, part: slice) -> Any:
        if isinstance(plain, dict):
            return {name: self._on_device(own, part) for name, own in plain.items()}
        return torch.as_tensor(plain[part], device=self.device)


class Borrowed(Frozen):
    """The encoder itself, in eval mode and on the device: a copy can take as long as a table. No inference mode here,
    for what a module keeps of its own would be of no use for learning afterwards."""

    _without_gradients = torch.no_grad

    def _kept(self, encoder: nn.Module) -> nn.Module:
        return encoder


def feature_table(
    encoder: nn.Module, of: Any, *, device: str | torch.device = "auto", batch_size: int | None = None
) -> NDArray[np.float32]:
    """(S, F) float32: the features of all states of an environment, or (N, F) of a batch of observations.

    of: an environment whose model is known, single or batched, perhaps behind wrappers that observe from the state
    alone; or observations (N, ...) as the encoder's space has them: an array, or a dict of arrays.

    Raises ModelError, with the reason, for an environment without a model; SpaceError and ArgumentError where the
    encoder can't take these observations.
    """
    _check_module(encoder)
    space, mdp = _told(encoder, of)
    where = torch.empty(0, device=checked_device(device)).device  # "cuda" is the first of them
    tensors = [*encoder.parameters(), *encoder.buffers()]
    kind = Borrowed if all(tensor.device == where for tensor in tensors) else Frozen
    with in_eval_mode(encoder):
        frozen = kind(encoder, space, device=device, batch_size=batch_size)
        return frozen.many(of, _length(of)) if mdp is None else table_of(frozen, of, mdp.n_states)


def _told(encoder: nn.Module, of: Any) -> tuple[spaces.Space[Any], Any]:
    """(the space of one observation, the MDP whose states are meant, or None where observations are given)."""
    if isinstance(of, gym.Env | gym.vector.VectorEnv):
        mdp, _, reason = model_of(of)
        if mdp is None:
            raise ModelError(f"the states of {type(of.unwrapped).__name__} are not known: {reason}; give observations")
        single: Any = getattr(of, "single_observation_space", of.observation_space)
        return single, mdp
    space = getattr(encoder, "observation_space", None)
    if not isinstance(space, spaces.Space):
        raise ArgumentError(
            f"{type(encoder).__name__} has no observation_space, so observations can't be checked; give it one, or "
            "give the environment"
        )
    return space, None


def _check_module(encoder: Any) -> None:
    if not isinstance(encoder, nn.Module):
        raise ArgumentError(
            f"encoder is {encoder!r}, but a torch module was expected: rltk.encoders.Encoder(space, ...), or "
            "rltk.encoders.load_encoder(path)"
        )


def table_of(frozen: Frozen, env: Any, n_states: int) -> NDArray[np.float32]:
    """(n_states, F): the features of the states of `env`, whose observations are made a batch at a time."""
    table = np.empty((n_states, frozen.features_dim), np.float32)
    for begin in range(0, n_states, _LARGEST_BATCH):
        states = np.arange(begin, min(begin + _LARGEST_BATCH, n_states))
        table[states] = frozen.many(observations_of(env, states), states.size)
    return table


def _length(observations: Any) -> int:
    """How many observations a batch holds."""
    part = observations
    while isinstance(part, dict | tuple) and part:
        part = next(iter(part.values())) if isinstance(part, dict) else part[0]
    if not isinstance(part, np.ndarray) or not part.ndim:
        raise ArgumentError(
            f"an environment, or an array (N, ...) of observations or a dict of such, was expected; found a "
            f"{type(part).__name__}"
        )
    return len(part)


def _suiting(space: spaces.Space[Any], device: torch.device) -> int:
    """How many plain observations make a batch."""
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    numbers = sum(int(np.prod(part.shape or ())) for part in parts)
    most = _BATCH_NUMBERS.get(device.type, _BATCH_NUMBERS["cpu"])
    return max(_SMALLEST_BATCH, min(_LARGEST_BATCH, most // max(numbers, 1)))

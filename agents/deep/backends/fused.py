"""The compiled backend for small Q-networks on a CPU: torch's modules and the kernels share one memory.

All parameters of a network lie in one flat array theta, and each torch parameter is a view of it: (in, out) in theta,
`linear.weight` its transpose. So are Adam's moments in the optimizer's state. Whatever torch does is seen by the
kernels and the other way round: `state_dict()` is right at any time, and either backend can go on where the other
stopped. Loading an optimizer's state replaces its tensors; that is noticed, and they are taken over again.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from rltk.agents.deep.backends.fused_kernels import Rule, train
from rltk.agents.deep.backends.fused_network import Experience, Work, best_action, values
from rltk.agents.deep.backends.products import SQUARE
from rltk.encoders.flat import Flat
from rltk.encoders.trunks.convolutions import Convolutions
from rltk.encoders.trunks.perceptron import Perceptron
from rltk.errors import ArgumentError

WIDEST = 1024
_NOTHING = np.zeros((0, 0), np.uint8)


def why_not(network: nn.Module, target: nn.Module, optimizer: torch.optim.Optimizer) -> str:
    """Why the kernels can't train `network`: one line; "" where they can."""
    for one in (network, target):
        if reason := _why_not_network(one):
            return reason
    return why_not_trained(network, target, optimizer)


def why_not_trained(network: nn.Module, target: nn.Module, optimizer: torch.optim.Optimizer) -> str:
    """Why networks that fit can't be trained together; "" where they can."""
    if any(not p.requires_grad for p in network.parameters()):
        return "some of the network's parameters are frozen"
    if [p.shape for p in parameters_of(network)] != [p.shape for p in parameters_of(target)]:
        return "the target network has other shapes than the network"
    if type(optimizer) is not torch.optim.Adam:
        return f"the optimizer is {type(optimizer).__name__}, not torch.optim.Adam"
    if len(optimizer.param_groups) != 1:
        return "the optimizer has more than one group of parameters"
    group = optimizer.param_groups[0]
    if {id(p) for p in group["params"]} != {id(p) for p in network.parameters()}:
        return "the optimizer does not train exactly the network's parameters"
    for option in ("weight_decay", "amsgrad", "maximize", "differentiable"):
        if group[option]:
            return f"Adam's option {option} is on"
    return ""


def _why_not_network(network: Any) -> str:
    encoder: Any = getattr(network, "encoder", None)
    head = getattr(network, "head", None)
    stem, trunk, out = getattr(encoder, "stem", None), getattr(encoder, "trunk", None), getattr(head, "out", None)
    if (
        type(trunk) is not Perceptron
        or type(stem) is not Flat
        or type(out) is not nn.Linear
        or len(encoder.readout.layers)
    ):
        return "the network is not an MLP with a linear head"
    layers = trunk.layers
    if getattr(head, "heads", 1) * getattr(head, "atoms", 1) != 1:
        return "the head gives more than one number an action"
    if getattr(stem, "kind", "unknown") not in ("numbers", "indices"):
        return f"observations are {getattr(stem, 'kind', 'unknown')}, not all numbers or all indices"
    linear, others = list(layers)[::2], list(layers)[1::2]
    if not linear or len(linear) != len(others) or any(type(layer) is not nn.Linear for layer in linear):
        return "the encoder is not pairs of a linear layer and a rectifier, one at least"
    if any(type(layer) is not nn.ReLU for layer in others):
        return f"the activation is {type(others[0]).__name__}, not ReLU"
    return why_not_stored(network, "the MLP's")


def why_not_stored(network: Any, whose: str) -> str:
    """Why the parameters of `network` can't be moved into one array; "" where they can. whose: their owner's name."""
    if any(layer.bias is None for layer in layers_of(network)):
        return "a layer has no biases"
    parameters = parameters_of(network)
    if {id(p) for p in parameters} != {id(p) for p in network.parameters()}:
        return f"the network has parameters besides {whose}"
    if any(p.device.type != "cpu" for p in parameters):
        return f"the network is on {parameters[0].device}, not on the CPU"
    if {p.dtype for p in parameters} not in ({torch.float32}, {torch.float64}):
        return f"the parameters are {parameters[0].dtype}, not all float32 or all float64"
    if max(parameter.shape[0] for parameter in parameters) > WIDEST:
        return f"a layer is wider than {WIDEST}, where libraries are as quick"
    return ""


def layers_of(network: Any) -> list[Any]:
    """The layers that have parameters, from the observations to the values."""
    encoder = network.encoder
    if boards := boards_of(encoder):
        return [*list(boards[0])[::2], *list(encoder.readout.layers)[::2], network.head.out]
    return [*list(encoder.trunk.layers)[::2], network.head.out]


def boards_of(encoder: Any) -> list[Any]:
    """The layers of each part, where the encoder's trunk is a CNN; else nothing."""
    trunk = getattr(encoder, "trunk", None)
    return list(trunk.parts) if type(trunk) is Convolutions else []


def parameters_of(network: Any) -> list[torch.Tensor]:
    return [p for layer in layers_of(network) for p in (layer.weight, layer.bias)]


def _views(flat: torch.Tensor, parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    """The places of weights and biases in `flat` (P,), of the shapes that torch gives them.

    Weights lie there as (in, out), those of a convolution as (height, width, in, out).
    """
    views, place = [], 0
    for parameter in parameters:
        axes = [*range(2, parameter.ndim), 1, 0] if parameter.ndim > 1 else [0]
        part = flat[place : place + parameter.numel()].view([parameter.shape[axis] for axis in axes])
        views.append(part.permute([axes.index(axis) for axis in range(parameter.ndim)]))
        place += parameter.numel()
    return views


def _share(network: nn.Module) -> torch.Tensor:
    """Move the parameters of `network` into one flat tensor, which is returned."""
    parameters = parameters_of(network)
    flat = torch.empty(sum(p.numel() for p in parameters), dtype=parameters[0].dtype)
    for parameter, view in zip(parameters, _views(flat, parameters), strict=True):
        view.copy_(parameter.data)
        parameter.data = view
    return flat


class Fused:
    """Trains and asks the Q-network that `network`, `target` and `optimizer` make up; `why_not` says "" of them.

    network: `encoder.stem` (a Flat), `encoder.trunk.layers` (Linear and ReLU in turn), `head.out` (Linear).
    """

    why_not, _train, _values = staticmethod(why_not), staticmethod(train), staticmethod(values)

    def __init__(self, network: nn.Module, target: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        if reason := self.why_not(network, target, optimizer):
            raise ArgumentError(f'The compiled kernels can\'t train this: {reason}.\nUse backend="torch".')
        self.network, self.target, self.optimizer = network, target, optimizer
        self._parameters, self._targets = parameters_of(network), parameters_of(target)
        self._share_weights()
        self._number = self._theta.dtype.type
        self._prepare(network)
        self._work, self._room = self._working_space(0, 0), (0, 0)
        self._share_moments()

    def _prepare(self, network: Any) -> None:
        """What of the network the kernels are told: `_shape`, and how observations become numbers."""
        stem, layers = network.encoder.stem, layers_of(network)
        self._indices = stem.kind == "indices"
        self._offsets = np.asarray(stem.offsets, np.int64) if self._indices else np.zeros(0, np.int64)
        self._shape: Any = widths_of(layers)
        self._wide = max(self._shape[1:])
        self.n_actions = int(self._shape[-1])
        self._scale = self._number(1 if self._indices else stem.scale)
        self._lines = zeros(self._parameters[0].dtype, 2, int(self._wide))

    def train(
        self,
        arrays: Any,
        positions: np.ndarray,
        learning_rate: float,
        *,
        double: bool = False,
        huber: bool = True,
        max_grad_norm: float | None = None,
        weights: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """K updates of B transitions each: losses (K,), TD errors (K, B) and the first update that is not finite or -1.

        arrays: the replay's `arrays()`, with `masks` (slots, A) or None if it has them. positions: (K, B) int64.
        weights: (K, B) or None. The update that is not finite is not applied, nor is any after it; the losses and
        errors from there on mean nothing. A state at which no action is available is worth 0.
        """
        self.take_over()
        updates, size = positions.shape
        experience = self._experience(arrays)
        self._make_room(size, experience.observations.shape[1])
        beta1, beta2 = self._group["betas"]
        limit = np.inf if max_grad_norm is None else float(max_grad_norm)
        rule = Rule(float(learning_rate), beta1, beta2, self._group["eps"], limit, double, huber)
        losses, errors = np.empty(updates), np.empty((updates, size), self._theta.dtype)
        shares = (
            np.zeros((0, 0), self._theta.dtype) if weights is None else weights.astype(self._theta.dtype, copy=False)
        )
        taken = int(self._steps[0])
        network = self._theta, self._theta_target, self._moments, taken, self._shape
        fault = self._train(*network, self._work, experience, rule, positions, shares, losses, errors)
        if fault == -2:
            raise ArgumentError(f"Positions lie between 0 and {len(arrays.origin) - 1}; one of these does not.")
        self._steps += updates if fault < 0 else fault
        return losses, errors, fault

    def q(self, observations: np.ndarray) -> np.ndarray:
        """Action values (n, A) of plain observations (n, ...)."""
        self.take_over()
        # Of a replay's own types, for which kernels are there already.
        none = [np.zeros(0, dtype) for dtype in (np.int32, np.int32, np.int64, np.float32, np.float32)]
        experience = self._experience(_Asked(observations, *none))
        self._make_room(self._room[0] or 64, experience.observations.shape[1])
        out = np.empty((len(observations), self.n_actions), self._theta.dtype)
        self._values(self._theta, self._shape, self._work, experience, out)
        return out

    def greedy(self, observations: np.ndarray) -> np.ndarray:
        """The first of the best actions (n,) int64 of plain observations (n, ...)."""
        return self.q(observations).argmax(1)

    def greedy_one(self, observation: Any) -> int:
        """The first of the best actions of one plain observation: `greedy`, without the cost of a batch.

        It stands in the inner loop and looks for no parameters that moved: whoever moves them calls `take_over`.
        """
        line = observation.ravel() if isinstance(observation, np.ndarray) else np.array([observation])
        action = best_action(self._theta, self._shape, self._lines, self._offsets, self._scale, line)
        if action < 0:
            raise ArgumentError(f"Observation {observation!r} is none of the space's.")
        return action

    def sync_target(self, tau: float = 1.0) -> None:
        """theta- <- (1 - tau) theta- + tau theta."""
        self.take_over()
        if tau == 1:
            self._theta_target[:] = self._theta
        else:
            self._theta_target *= self._number(1 - tau)
            self._theta_target += self._number(tau) * self._theta

    def knows(self, network: nn.Module, target: nn.Module, optimizer: torch.optim.Optimizer) -> bool:
        """Whether it was made for these, and for the very parameters that they have now."""
        if (network, target, optimizer) != (self.network, self.target, self.optimizer):
            return False
        now = [*parameters_of(network), *parameters_of(target)]
        return list(map(id, now)) == list(map(id, (*self._parameters, *self._targets)))

    def take_over(self) -> None:
        """Parameters that moved elsewhere and moments that were loaded are taken into the shared memory again."""
        if self._places() != self._home:
            self._share_weights()
        if self.optimizer.state[self._parameters[0]].get("exp_avg") is not self._moment:
            self._share_moments()

    def _places(self) -> list[int]:
        return [parameter.data_ptr() for parameter in (*self._parameters, *self._targets)]

    def _share_weights(self) -> None:
        online, target = _share(self.network), _share(self.target)
        self._theta, self._theta_target = online.numpy(), target.numpy()
        self._home = self._places()

    def _share_moments(self) -> None:
        """Adam's state becomes views of `self._moments` (2, P) and `self._steps` (parameters,)."""
        moments = torch.zeros((2, len(self._theta)), dtype=self._parameters[0].dtype)
        steps = torch.zeros(len(self._parameters))
        first, second = _views(moments[0], self._parameters), _views(moments[1], self._parameters)
        for place, parameter in enumerate(self._parameters):
            state = self.optimizer.state[parameter]
            if "exp_avg" in state:
                steps[place] = state["step"]
                first[place].copy_(state["exp_avg"])
                second[place].copy_(state["exp_avg_sq"])
            state.update(step=steps[place], exp_avg=first[place], exp_avg_sq=second[place])
        self._moments, self._steps = moments.numpy(), steps.numpy()
        self._group = self.optimizer.param_groups[0]
        self._moment = first[0]

    def _experience(self, arrays: Any) -> Any:
        given: dict[str, Any] = {"offsets": self._offsets, "scale": self._scale}
        return Experience(*replayed(arrays), **given)

    def _make_room(self, size: int, features: int) -> None:
        """Working space for batches of `size`, and for smaller ones."""
        if size > self._room[0] or features != self._room[1]:
            self._room = max(size, self._room[0]), features
            self._work = self._working_space(*self._room)

    def _working_space(self, size: int, features: int) -> Any:
        number, wide, samples = self._parameters[0].dtype, padded(self._wide), padded(size)
        return Work(
            slots=zeros(torch.int64, size),
            inputs=zeros(number, size, 0 if self._indices else features),
            columns=zeros(torch.int32, size, features),
            entries=zeros(number, size, features),
            counts=zeros(torch.int32, size),
            rows=zeros(number, samples, wide),
            hidden=zeros(number, len(self._shape) - 2, wide, samples),
            errors=zeros(number, 2, wide, samples),
            q=zeros(number, self.n_actions, samples),
            choice=zeros(torch.int64, size),
            gradient=zeros(number, len(self._theta)),
        )


def zeros(number: torch.dtype, *shape: int) -> np.ndarray:
    """Zeros that begin with a line of the cache, as torch's do: a vector that lies in two lines takes twice as long."""
    return torch.zeros(shape, dtype=number).numpy()


class _Asked(NamedTuple):
    """Observations that nothing is known to follow."""

    observations: Any
    origin: Any
    last: Any
    actions: Any
    rewards: Any
    discounts: Any


def replayed(arrays: Any) -> tuple[Any, ...]:
    """What every kernel reads of a replay's arrays: observations as rows (n, F), and masks (0, 0) if it has none."""
    rows = np.ascontiguousarray(arrays.observations).reshape(len(arrays.observations), -1)
    masks = getattr(arrays, "masks", None)
    replay = (rows, arrays.origin, arrays.last, arrays.actions, arrays.rewards, arrays.discounts)
    return *replay, _NOTHING if masks is None else masks


def widths_of(linear: list[Any]) -> np.ndarray:
    """(layers + 1,) int64: what the first linear layer reads, and what each gives."""
    return np.array([linear[0].in_features, *(layer.out_features for layer in linear)], np.int64)


def padded(length: int) -> int:
    """Room for whole squares, and rows whose starts do not meet in one set of the cache."""
    return -(-length // SQUARE) * SQUARE + SQUARE

"""How updates are made: in torch as they are written down, by torch.compile, or by one kernel. All learn the same.

| backend | for | beside "torch" |
| --- | --- | --- |
| "torch" | everything | the reference |
| "compiled" | small plain MLPs on a CPU: one kernel of our own (`fused.py`) | equal to rounding, 1e-6 over 16 updates |
| "compiled" | small CNNs on one board, on a CPU: another (`fused_board.py`) | likewise |
| "compiled" | all else: loss and gradients by torch.compile; CUDA graphs on a GPU | equal to rounding, 1e-5 over 16 |
| "auto" | the kernel where it fits, torch.compile on a GPU, "torch" elsewhere | |

All draw the same batches from the same random streams, and each can go on from another's checkpoint. The bounds are of
gradients that are more than rounding: Adam makes full steps of any, those of a batch that pays nothing too.
"""

import inspect
import shutil
import sys
from textwrap import shorten
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from rltk.agents.deep.networks.heads import Head
from rltk.agents.deep.networks.network import QNetwork
from rltk.encoders import Encoder
from rltk.errors import ArgumentError, LearningError
from rltk.replay import PrioritisedReplay

BACKENDS = ("auto", "torch", "compiled")


class Updates(Protocol):
    """What a backend does for a DQN."""

    name: str

    def look_again(self) -> None:
        """Take notice of what was done to the networks from outside. LearningError where they can't be learnt with."""
        ...

    def train(self, count: int) -> list[float]:
        """Make `count` updates from the replay and return their losses. LearningError where one is not finite."""
        ...

    def sync_target(self, tau: float) -> None:
        """target <- tau network + (1 - tau) target."""
        ...

    def greedy(self, observations: Any, masks: np.ndarray | None) -> np.ndarray:
        """(n,) the best actions for plain observations (n, ...), among those that masks (n, A) allow."""
        ...


class TorchUpdates:
    """The reference: each update as it is written down."""

    name = "torch"

    def __init__(self, learner: Any) -> None:
        self.learner = learner
        self.parameters = learner.trained()

    def look_again(self) -> None:
        trained = {id(p) for group in self.learner.optimiser.param_groups for p in group["params"]}
        for name, parameter in self.learner.network.named_parameters():
            if parameter.requires_grad and id(parameter) not in trained:
                raise LearningError(
                    f"the network's {name} is another parameter than the one that the optimiser trains; copy numbers "
                    "into the one that was there, or make the learner anew with an encoder of your own"
                )

    def train(self, count: int) -> list[float]:
        learner, losses = self.learner, []
        learner.network.train()
        try:
            for _ in range(count):
                learner.resample_noise()
                batch = learner.sample()
                loss, errors = self.backward(batch)
                losses.append(self.step(loss, batch))
                if isinstance(learner.replay, PrioritisedReplay):
                    found = errors.cpu().numpy()
                    learnt = ~np.isnan(found)  # all of a batch, some steps of a sequence
                    learner.replay.update(batch.positions[learnt], found[learnt])
        finally:
            learner.network.encoder.eval()  # behaviour is without dropout; noise in the head stays
        return losses

    def backward(self, batch: Any) -> tuple[Tensor, Tensor]:
        """(loss (), errors (B,)) of a batch, its gradients in the parameters."""
        loss, errors = self.learner.loss(batch)
        if (more := self.learner.auxiliary_loss(batch)) is not None:
            loss = loss + more
        self.learner.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        return loss, errors

    def step(self, loss: Tensor, batch: Any) -> float:
        """One step of the optimiser along the gradients, their norm clipped; the loss."""
        norm = nn.utils.clip_grad_norm_(self.parameters, self.learner.settings.max_grad_norm)
        value, length = loss.item(), norm.item()
        if not (np.isfinite(value) and np.isfinite(length)):
            raise self.learner.broken(batch)
        self.learner.optimiser.step()
        return value

    def sync_target(self, tau: float) -> None:
        target, own = list(self.learner.target.parameters()), list(self.learner.network.parameters())
        with torch.no_grad():
            if tau == 1.0:
                torch._foreach_copy_(target, own)
            else:
                torch._foreach_lerp_(target, own, tau)
            for kept, buffer in zip(self.learner.target.buffers(), self.learner.network.buffers(), strict=True):
                kept.copy_(buffer)  # running statistics, say

    def greedy(self, observations: Any, masks: np.ndarray | None) -> np.ndarray:
        return self.learner.greedy_actions(observations, masks)


class CompiledUpdates(TorchUpdates):
    """Loss and gradients in one graph that torch.compile made at the first update, which takes some seconds.

    A loss of which it can't make one graph is none the quicker for it: that is said once, and plain torch goes on.
    """

    name = "torch.compile"

    def __init__(self, learner: Any) -> None:
        super().__init__(learner)
        self._whole = _Loss(learner)
        names = {id(p): name for name, p in self._whole.named_parameters()}
        self._names = [names[id(p)] for p in self.parameters]
        options: dict[str, Any] = {"mode": "reduce-overhead"} if learner.device.type == "cuda" else {}
        if "isolate_recompiles" in inspect.signature(torch.compile).parameters:
            options["isolate_recompiles"] = True  # else it gives up at the ninth learner of a program
        self._gradients: Any = torch.compile(self._loss_and_gradients, dynamic=False, fullgraph=True, **options)

    def _loss_and_gradients(self, parameters: list[Tensor], batch: Any) -> tuple[Any, Tensor, Tensor]:
        def objective(own: list[Tensor]) -> tuple[Tensor, Tensor]:
            given = dict(zip(self._names, own, strict=True))
            return torch.func.functional_call(self._whole, given, (batch,))

        (loss, errors), pull = _with_gradients(objective, parameters)
        return pull, loss, errors

    def backward(self, batch: Any) -> tuple[Tensor, Tensor]:
        if self._gradients is None:
            return super().backward(batch)
        tensors = batch._replace(positions=None) if hasattr(batch, "positions") else batch
        try:
            gradients, loss, errors = self._gradients(self.parameters, tensors)
        except (torch._dynamo.exc.TorchDynamoException, torch._dynamo.exc.FailOnRecompileLimitHit) as error:
            say_plain_torch(str(error))
            self._gradients, self.name = None, TorchUpdates.name
            return super().backward(batch)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss, errors


class FusedUpdates(TorchUpdates):
    """The kernel of `fused.py` or `fused_board.py`, for many updates at once."""

    name = "kernel"

    def __init__(self, learner: Any) -> None:
        super().__init__(learner)
        self.fused = self._made_anew()

    def _made_anew(self) -> Any:
        learner = self.learner
        return _kernel_of(learner.network)(learner.network, learner.target, learner.optimiser)

    def look_again(self) -> None:
        super().look_again()
        learner = self.learner
        if self.fused.knows(learner.network, learner.target, learner.optimiser):
            self.fused.take_over()
        else:
            self.fused = self._made_anew()

    def train(self, count: int) -> list[float]:
        learner, replay, size = self.learner, self.learner.replay, self.learner.settings.batch_size
        if isinstance(replay, PrioritisedReplay):  # each batch depends on the errors of the one before
            return [self._prioritised() for _ in range(count)]
        drawn = replay.draw(learner.streams.generator("replay"), count * size)
        losses, _ = self._made(drawn.reshape(count, size), None)
        return losses.tolist()

    def _prioritised(self) -> float:
        positions, weights = self.learner.draw()
        losses, errors = self._made(positions[None], weights[None])
        self.learner.replay.update(positions, np.abs(errors[0]))
        return float(losses[0])

    def _made(self, positions: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        learner, s = self.learner, self.learner.settings
        rate = learner.optimiser.param_groups[0]["lr"]
        kinds: dict[str, Any] = {"double": s.double, "huber": s.loss == "huber", "max_grad_norm": s.max_grad_norm}
        losses, errors, fault = self.fused.train(learner.replay.arrays(), positions, rate, weights=weights, **kinds)
        if fault >= 0:
            raise learner.broken(learner.replay.batch(positions[fault]))
        return losses, errors

    def sync_target(self, tau: float) -> None:
        self.fused.sync_target(tau)

    def greedy(self, observations: Any, masks: np.ndarray | None) -> np.ndarray:
        if masks is not None:
            return np.where(masks, self.fused.q(observations), -np.inf).argmax(axis=1)
        if len(observations) == 1:
            return np.array([self.fused.greedy_one(observations[0])])
        return self.fused.greedy(observations)


class _Loss(nn.Module):
    """A learner's loss as a module that holds the network's parameters, for `functional_call`."""

    def __init__(self, learner: Any) -> None:
        super().__init__()
        self.network = learner.network
        self.__dict__["learner"] = learner  # not a part of this module

    def forward(self, batch: Any) -> tuple[Tensor, Tensor]:
        return self.__dict__["learner"].loss(batch)


def _with_gradients(objective: Any, parameters: list[Tensor]) -> tuple[Any, list[Tensor]]:
    gradients, (loss, errors) = torch.func.grad(lambda own: _loss_first(objective(own)), has_aux=True)(parameters)
    return (loss, errors), gradients


def _loss_first(both: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    return both[0], both


def updates_of(learner: Any, backend: str) -> Any:
    """The backend called `backend` for `learner`. ArgumentError for one there is not."""
    if backend not in BACKENDS:
        raise ArgumentError(f"backend is one of {', '.join(BACKENDS)}; it is {backend!r}")
    if backend == "torch":
        return TorchUpdates(learner)
    if not why_no_kernel(learner):
        return FusedUpdates(learner)
    if backend == "auto" and learner.device.type != "cuda":
        return TorchUpdates(learner)
    if reason := why_no_compiler(learner):
        say_plain_torch(reason)
        return TorchUpdates(learner)
    return CompiledUpdates(learner)


def why_no_kernel(learner: Any) -> str:
    """Why the kernel does not fit this learner: one line; "" where it does."""
    s = learner.settings
    switched = [name for name in ("dueling", "noisy", "memory") if getattr(s, name)]
    if s.bootstrapped > 1:
        switched.append("bootstrapped")
    if s.mode != "finetune":
        return "the encoder is frozen" if s.mode == "frozen" else "the encoder has objectives of its own"
    if switched or s.values != "expected":
        return f"{switched[0] if switched else s.values} is on"
    if reason := _why_own(learner):
        return reason
    if learner.device.type != "cpu":
        return f"the network is on {learner.device}"
    return _kernel_of(learner.network).why_not(learner.network, learner.target, learner.optimiser)


def _kernel_of(network: nn.Module) -> Any:
    """The kernel for networks of this kind, if there is one."""
    from rltk.agents.deep.backends.fused import Fused, boards_of
    from rltk.agents.deep.backends.fused_board import FusedBoard

    return FusedBoard if boards_of(network.encoder) else Fused


def _why_own(learner: Any) -> str:
    """What of this learner is not DQN's: the kernel knows nothing of it, and would learn something else."""
    from rltk.agents.deep.dqn import DQN

    for name in ("loss", "sample", "draw"):
        if getattr(type(learner), name) is not getattr(DQN, name):
            return f"the {name} is one of your own"
    network = learner.network
    for part, kinds in ((network, (QNetwork,)), (network.encoder, (Encoder,)), (network.head, (Head,))):
        if type(part) not in kinds:
            return f"{type(part).__name__} is one of your own"
    if any(module._forward_hooks or module._forward_pre_hooks for module in network.modules()):
        return "the network has hooks"
    return ""


def why_no_compiler(learner: Any) -> str:
    """Why torch.compile does not work here; "" where it should."""
    if learner.settings.mode == "auxiliary":
        return "the encoder has objectives of its own"
    if any(isinstance(part, nn.RNNBase) for part in learner.network.modules()):
        return "it knows no LSTM or GRU"
    if learner.device.type == "cpu" and not any(map(shutil.which, ("g++", "c++", "clang++"))):
        return "there is no C++ compiler; install g++"
    return ""


def say_plain_torch(reason: str) -> None:
    """One line for the person who asked for torch.compile."""
    print(shorten(f"rltk: plain torch, not torch.compile: {reason}", 80, placeholder=" ..."), file=sys.stderr)

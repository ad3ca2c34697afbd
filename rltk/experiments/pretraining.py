"""Pretraining: an encoder learns from data, by the objectives that are given, before anything learns to act.

    theta <- theta - alpha * grad sum_i w_i L_i(batch)          batches drawn from the levels that are not held out

The loss on held-out levels stands beside the other, measured with the same random numbers each time. What is drawn,
for batches, noise and dropout, follows from the seed: a run that is stopped and resumed ends with the same bits.

Several GPUs: `torchrun --nproc-per-node=N` starts N processes; each takes its share of every batch, gradients are
averaged, all end with the same weights, and the first one writes and shows. N processes learn what one does from the
same batches, but for what an objective compares within a batch, which is then within a share.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from rltk.agents.deep.learner import checked_device
from rltk.agents.deep.optimisers import optimiser_of, optimiser_state, restore_optimiser
from rltk.agents.deep.torch_random import TorchRandom
from rltk.agents.deep.weights import arrays_of, restore_arrays
from rltk.encoders import Encoder, encoder_of
from rltk.errors import ArgumentError, CheckpointError, LearningError, SpaceError
from rltk.experiments.data.transitions import Transitions
from rltk.experiments.processes import Processes
from rltk.experiments.tables import Tables
from rltk.objectives import Objective, objectives_of
from rltk.runs import ProgressBar, Streams, latest_checkpoint, write_checkpoint
from rltk.runs.checks import whole

_HELD_OUT_BATCHES = 8


@dataclass
class Pretrained:
    """What pretraining made: `encoder`, `objective` with its heads, and `history`, a dict a report: "step", "loss",
    "held_out" (where levels are held out), and each objective's own numbers by name."""

    encoder: Any
    objective: Any
    history: list[dict[str, float]] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{'step':>10}{'loss':>12}{'held out':>12}"]
        for row in self.history:
            held_out = f"{row['held_out']:>12.4f}" if "held_out" in row else f"{'-':>12}"
            lines.append(f"{int(row['step']):>10,}{row['loss']:>12.4f}{held_out}")
        return "\n".join(lines)


def pretrain(
    encoder: Any,
    data: Transitions,
    objectives: Any,
    steps: int = 10_000,
    *,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    optimizer_kwargs: Mapping[str, Any] | None = None,
    max_grad_norm: float | None = 10.0,
    held_out: float | int | None = 0.2,
    report_every: int | None = None,
    device: str | torch.device = "auto",
    amp: bool | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    save_every: int | None = None,
    callback: Callable[[dict[str, float]], bool | None] | None = None,
    progress_bar: bool = False,
) -> Pretrained:
    """Train `encoder`, in place, for `steps` updates.

        data = every_transition("rltk/MiniGrid-DoorKey-6x6-v0", 20)
        pretrain(Encoder(data.observation_space, "cnn"), data, {"vae": 1.0, "inverse": 0.5}, 10_000)

    objectives: a name, names with weights, or an Objective. held_out: the share of levels, or how many, that nothing
    is learnt from; None for none. report_every: updates between reports, a twentieth of all unless given. amp: bfloat16
    where torch deems it safe; None for yes on a GPU. folder: where to save every `save_every` updates (at each report
    unless given) and at the end; what is there already is gone on from. callback: gets each report; False stops.

    Raises ArgumentError, SpaceError where an objective does not fit the encoder or the data, LearningError at a loss
    that is not finite, CheckpointError where the folder holds another run.
    """
    run = Pretraining(
        encoder,
        data,
        objectives,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        optimizer_kwargs=optimizer_kwargs or {},
        max_grad_norm=max_grad_norm,
        held_out=held_out,
        device=device,
        amp=amp,
        seed=seed,
    )
    steps = whole("steps", steps, 1)
    report_every = max(steps // 20, 1) if report_every is None else whole("report_every", report_every, 1)
    save_every = report_every if save_every is None else whole("save_every", save_every, 1)
    if folder is not None and (found := latest_checkpoint(folder)) is not None:
        run.restore(found.state)
        if run.processes.rank == 0:
            print(f"rltk pretrain: going on from step {run.step:,} in {folder}", file=sys.stderr)
    if run.processes.differ(run.step):
        raise CheckpointError(f"folder: the processes stand at different steps; all of them need to see {folder}")
    first = run.processes.rank == 0
    bar = ProgressBar(steps, "pretrain", "updates", start=min(run.step, steps)) if progress_bar and first else None
    try:
        while run.step < steps:
            piece = min(steps, *((run.step // every + 1) * every for every in (report_every, save_every)))
            run.learn(piece - run.step, bar)
            stop = False
            if piece % report_every == 0 or piece == steps:
                row = run.report()
                stop = callback is not None and callback(row) is False
            stop = run.processes.any(stop)
            if folder is not None and (piece % save_every == 0 or piece == steps or stop):
                run.share_losses()
                if first:
                    write_checkpoint(folder, run.state(), step=run.step)
            if stop:
                break
    finally:
        if bar is not None:
            bar.close()
    encoder.eval()
    return Pretrained(encoder, run.objective, run.history)


class Pretraining:
    """A run that can be stopped between two updates and gone on from: `learn`, `report`, `state`, `restore`."""

    def __init__(self, encoder: Any, data: Transitions, objectives: Any, **options: Any) -> None:
        o = options
        self.step, self.history = 0, list[dict[str, float]]()
        _check_fit(encoder, data)
        self.device = checked_device(o["device"])
        self.batch_size = whole("batch_size", o["batch_size"], 1)
        self.processes = Processes(self.device, self.batch_size)
        self.streams = Streams(o["seed"])
        # Each process draws noise of its own; with one alone nothing depends on how many there could be.
        rank = self.processes.rank
        self.random = TorchRandom(self.streams.seed("torch" if rank == 0 else f"torch {rank}"), self.device)
        same = TorchRandom(self.streams.seed("heads"), self.device)
        self.encoder = encoder.to(self.device)
        with same.owned():
            made = _objective(objectives, encoder, data)
        number = next((p.dtype for p in encoder.parameters() if p.is_floating_point()), torch.float32)
        self.objective = made.to(self.device, number)
        train, test = (data, None) if o["held_out"] is None else data.split(o["held_out"], seed=o["seed"])
        self.train = Tables(train, self.objective, self.device)
        self.test = None if test is None else Tables(test, self.objective, self.device)
        self.objective.check(self.train.batch(np.arange(min(len(self.train), self.batch_size))))  # the others are alike
        both = torch.nn.ModuleList([encoder, self.objective])
        self.parameters = [p for p in both.parameters() if p.requires_grad]
        if not self.parameters:
            raise ArgumentError("encoder: it has no weights to train, and nor has the objective")
        self.optimiser = optimiser_of(o["optimizer"], self.parameters, o["learning_rate"], o["optimizer_kwargs"])
        self.max_grad_norm = _norm(o["max_grad_norm"])
        self.amp = self.device.type == "cuda" if o["amp"] is None else bool(o["amp"])
        self._loss = self.processes.shared(_Loss(encoder, self.objective))
        self.settings = self._settings(data, o)
        self._losses: list[float] = []
        self._terms: dict[str, Any] = {}  # sums since the last report, on the device

    def learn(self, updates: int, bar: Any = None) -> None:
        """`updates` updates. LearningError, weights as they were before it, at one that is not finite."""
        self.encoder.train()
        self.objective.train()
        drawn = self.streams.generator("batches")
        with self.random.owned():
            for _ in range(updates):
                if self.processes.count > 1:  # no checkpoint holds the others' states: each update has noise of its own
                    torch.manual_seed(self.streams.seed(f"torch {self.processes.rank} {self.step}"))
                batch = self.train.batch(self.processes.share(self.train.draw(drawn, self.batch_size)))
                with self._precision():
                    loss, parts = self._loss(batch)
                self.optimiser.zero_grad(set_to_none=True)
                loss.backward()
                norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
                value, length = torch.stack([loss.detach().float(), norm.float()]).tolist()  # one wait for both
                if not np.isfinite([value, length]).all():
                    raise LearningError(
                        f"pretraining: the loss of update {self.step + 1} is {value}, its gradient's norm {length}; "
                        "the weights are as they were before it. Lower the learning rate, or look at the data"
                    )
                self.optimiser.step()
                self.step += 1
                self._losses.append(value)
                for name, term in parts.items():
                    self._terms[name] = self._terms.get(name, 0.0) + term.float()
                if bar is not None:
                    bar.update(self.step, loss=self._losses[-1])

    def _settings(self, data: Transitions, o: Mapping[str, Any]) -> dict[str, Any]:
        """What makes this run the one it is, as plain JSON."""
        names = ("batch_size", "learning_rate", "optimizer", "seed", "held_out")
        return {
            **{name: o[name] for name in names},
            "optimizer_kwargs": dict(o["optimizer_kwargs"]),
            "max_grad_norm": str(self.max_grad_norm),
            "encoder": self.encoder.config(),
            "objectives": self.objective.config(),
            "data": data.digest(),
            "processes": self.processes.count,
        }

    def report(self) -> dict[str, float]:
        """The mean loss since the last report, and that on held-out levels."""
        self.share_losses()
        row = {"step": float(self.step), "loss": _mean(self._losses)}
        row |= {name: float(total) / len(self._losses) for name, total in self._terms.items()}
        if self.test is not None:
            row["held_out"] = self.held_out_loss()
        self._losses, self._terms = [], {}
        self.history.append(row)
        return row

    def share_losses(self) -> None:
        """Each process knows the losses of its own shares: let all know those of the whole batches."""
        if self.processes.count == 1:
            return
        count, names = len(self._losses), list(self._terms)
        means = self.processes.mean([*self._losses, *(float(self._terms[name]) for name in names)])
        self._losses, self._terms = means[:count], dict(zip(names, means[count:], strict=True))

    def held_out_loss(self) -> float:
        """The mean loss over some batches of the held-out levels: the same ones, with the same noise, at any time."""
        assert self.test is not None
        fixed = Streams(self.streams.root)
        drawn, noise = fixed.generator("held-out batches"), TorchRandom(fixed.seed("held-out noise"), self.device)
        self.encoder.eval()
        self.objective.eval()
        with torch.no_grad(), noise.owned(), self._precision():
            losses = []
            for _ in range(_HELD_OUT_BATCHES):
                batch = self.test.batch(self.test.draw(drawn, self.batch_size))
                losses.append(float(self.objective(self.encoder, batch).total))
        return _mean(losses)

    @contextmanager
    def _precision(self) -> Iterator[None]:
        with torch.autocast(self.device.type, torch.bfloat16) if self.amp else nullcontext():
            yield

    def state(self) -> dict[str, Any]:
        """All that the future depends on."""
        return {
            "what": "pretraining",
            "settings": self.settings,
            "step": self.step,
            "encoder": arrays_of(self.encoder),
            "objective": arrays_of(self.objective),
            "optimiser": optimiser_state(self.optimiser),
            "streams": self.streams.state(),
            "torch": self.random.state(),
            "history": self.history,
            "losses": self._losses,
            "terms": {name: float(total) for name, total in self._terms.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. CheckpointError where it is another run's."""
        if state.get("what") != "pretraining":
            raise CheckpointError("the folder holds something else than a pretraining run: give another folder")
        for name, now in self.settings.items():
            if (then := state["settings"].get(name)) != now:
                raise CheckpointError(
                    f"the folder holds another run: {name} was {_short(then)} there and is {_short(now)} here. Give "
                    "the same to go on with it, or another folder"
                )
        restore_arrays(self.encoder, state["encoder"], "encoder")
        restore_arrays(self.objective, state["objective"], "objective")
        restore_optimiser(self.optimiser, state["optimiser"])
        self.streams.restore(state["streams"])
        if self.processes.rank == 0:
            self.random.restore(state["torch"])
        self.step, self.history = int(state["step"]), list(state["history"])
        self._losses, self._terms = list(state["losses"]), dict(state["terms"])


def _objective(objectives: Any, encoder: Any, data: Transitions) -> Objective:
    if isinstance(objectives, Objective):
        return objectives
    return objectives_of(objectives, encoder, actions=max(data.n_actions, 1))  # without any, the tables refuse


def _check_fit(encoder: Any, data: Any) -> None:
    """ArgumentError or SpaceError where the encoder is not rltk's, or not for observations such as these."""
    if not isinstance(data, Transitions):
        raise ArgumentError(
            f"data: Transitions were expected, such as every_transition(env, levels); found {type(data).__name__}"
        )
    if not isinstance(encoder, Encoder):
        raise ArgumentError(
            f"encoder: an rltk.encoders.Encoder was expected; found {type(encoder).__name__}. A torch module of your "
            "own can be its trunk: Encoder(space, module)"
        )
    encoder_of(encoder, data.observation_space)  # says what does not fit
    mine, theirs = encoder.observation_space, data.observation_space
    pairs = [(mine, theirs)]
    if isinstance(theirs, spaces.Dict) and isinstance(mine, spaces.Dict):
        pairs = [(mine[name], theirs[name]) for name in theirs]
    for own, shown in pairs:
        if not isinstance(own, spaces.Box) or not isinstance(shown, spaces.Box) or own.dtype.kind == "f":
            continue
        if (shown.low < own.low).any() or (shown.high > own.high).any():
            raise SpaceError(
                f"the encoder reads symbols from {own.low.min()} to {own.high.max()}, and the data have "
                f"{shown.low.min()} to {shown.high.max()}: make it for data.observation_space"
            )


def _norm(given: Any) -> float:
    """The largest norm of gradients; infinity for None."""
    if given is None:
        return float("inf")
    if isinstance(given, bool) or not isinstance(given, int | float) or not given > 0:
        raise ArgumentError(f"max_grad_norm: a number above 0, or None for any; found {given!r}")
    return float(given)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Loss(torch.nn.Module):
    """Both modules as one, whose `forward` is the loss: what several processes share gradients of."""

    def __init__(self, encoder: Any, objective: Any) -> None:
        super().__init__()
        self.encoder, self.objective = encoder, objective

    def forward(self, batch: Any) -> Any:
        return self.objective(self.encoder, batch)


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")

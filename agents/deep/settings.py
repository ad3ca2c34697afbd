"""The settings of DQN, by Stable-Baselines3's names where it has any: one typed dataclass is options and config."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from rltk.agents.deep.optimisers import OPTIMISERS
from rltk.agents.deep.values import KINDS, LOSSES
from rltk.errors import ArgumentError
from rltk.runs import schedules
from rltk.runs.checks import checked_choice, checked_count, checked_finite, checked_flag, checked_number, checked_rate

Schedule = Callable[[int], float]
MODES = ("finetune", "frozen", "auxiliary")
MEMORIES = ("lstm", "gru", "sru", "transformer")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What DQN can be told. Numbers of steps count transitions, of all environments of a batch together."""

    gamma: float = 0.99
    """Discount of each step."""
    learning_rate: float | Schedule = 1e-3
    """The optimiser's step size, or a schedule, a callable of the timestep."""
    optimizer: str = "adam"
    """adam, adamw, rmsprop or sgd."""
    optimizer_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Further options of torch's optimiser, such as eps or weight_decay."""
    max_grad_norm: float = 10.0
    """Gradients are scaled down to this norm; infinity leaves them as they are."""
    loss: str = "huber"
    """huber (quadratic within 1, linear beyond) or squared."""

    mode: str = "finetune"
    """finetune: the encoder learns; frozen: it stays as it is; auxiliary: it learns from `objectives` as well."""
    objectives: str | Mapping[str, Any] | None = None
    """Names of objectives with weights that the encoder learns from besides, such as {"inverse": 0.5}."""

    buffer_size: int = 100_000
    """Transitions that the replay keeps."""
    learning_starts: int = 1_000
    """Steps of random behaviour before learning starts."""
    batch_size: int = 64
    """Transitions in an update."""
    train_freq: int | tuple[int, str] = 1
    """Calls of the environment's `step` between updates; (2, "episode") counts ended episodes instead."""
    gradient_steps: int = 1
    """Updates each time; -1 is as many as there were transitions since."""
    target_update_interval: int = 500
    """Steps between updates of the target network."""
    tau: float = 1.0
    """How much of the network goes into the target each time: 1 copies it, less averages (Polyak)."""

    exploration_fraction: float = 0.2
    """Share of the timesteps of the first `learn` over which epsilon falls, along a straight line."""
    exploration_initial_eps: float | None = None
    """Probability of a random action at the beginning; 1 unless given, and 0 with noisy layers."""
    exploration_final_eps: float | None = None
    """The same at the end; 0.05 unless given, and 0 with noisy layers."""

    head_hidden: tuple[int, ...] = ()
    """Widths of the head's hidden layers: () is linear in the encoder's features, Q(s, a) = w_a . s + b_a."""
    double: bool = False
    """The network chooses the best next action, the target network says what it is worth."""
    dueling: bool = False
    """The head adds a state's value and each action's advantage."""
    noisy: bool = False
    """Noise in the head's weights explores, in epsilon's place."""
    n_step: int = 1
    """Steps that are summed up before the target network's estimate."""
    values: str = "expected"
    """expected, categorical (C51) or quantile (QR-DQN)."""
    atoms: int = 51
    """Of the distribution: C51's places, or QR's levels."""
    v_min: float = -10.0
    """The least return that C51 can tell."""
    v_max: float = 10.0
    """The largest one."""
    prioritised: bool = False
    """What is learnt from is drawn in proportion to its last error, to the power of `priority_alpha`."""
    priority_alpha: float = 0.6
    """0 is uniform."""
    priority_beta: float | Schedule = 0.4
    """How much of the bias of that the weights of the losses undo: 1 is all."""
    bootstrapped: int = 1
    """Heads that learn each from its own share of the data; one of them leads behaviour through each episode."""
    bootstrap_share: float = 0.5
    """Probability that a head learns from a transition."""

    memory: str | None = None
    """lstm, gru, sru or transformer: what the agent remembers of an episode, for views that don't tell all."""
    memory_size: int = 64
    """Numbers that it remembers."""
    sequence_length: int = 20
    """Steps of an episode in each sequence that memory learns from."""
    burn_in: int = 10
    """Steps before them that only bring memory up to date."""

    def __post_init__(self) -> None:
        number, count, choice = checked_number, checked_count, checked_choice
        for name in ("gamma", "tau", "exploration_fraction", "priority_alpha", "bootstrap_share"):
            number(name, getattr(self, name))
        for name in ("exploration_initial_eps", "exploration_final_eps"):
            if getattr(self, name) is not None:
                number(name, getattr(self, name))
        checked_rate("learning_rate", self.learning_rate, float("inf"))
        checked_rate("priority_beta", self.priority_beta)
        if not isinstance(self.max_grad_norm, int | float) or not self.max_grad_norm > 0:
            raise ArgumentError(f"max_grad_norm is a number above 0, or infinity; it is {self.max_grad_norm!r}")
        if not isinstance(self.optimizer_kwargs, Mapping):
            raise ArgumentError(f"optimizer_kwargs is a dict of options; it is {self.optimizer_kwargs!r}")
        for name in ("buffer_size", "batch_size", "target_update_interval", "n_step", "atoms", "bootstrapped"):
            count(name, getattr(self, name))
        for name in ("memory_size", "sequence_length"):
            count(name, getattr(self, name))
        for name in ("learning_starts", "burn_in"):
            count(name, getattr(self, name), 0)
        count("gradient_steps", self.gradient_steps, -1)
        _check_frequency(self.train_freq)
        if isinstance(self.train_freq, list):  # from a config
            object.__setattr__(self, "train_freq", tuple(self.train_freq))
        for name in ("double", "dueling", "noisy", "prioritised"):
            checked_flag(name, getattr(self, name))
        choice("loss", self.loss, LOSSES)
        choice("values", self.values, KINDS)
        choice("mode", self.mode, MODES)
        choice("optimizer", self.optimizer, tuple(OPTIMISERS))
        if self.memory is not None:
            choice("memory", self.memory, MEMORIES)
        for name in ("v_min", "v_max"):
            checked_finite(name, getattr(self, name))
        if self.values == "categorical" and not self.v_min < self.v_max:
            raise ArgumentError(f"v_min is below v_max; they are {self.v_min:g} and {self.v_max:g}")
        if not isinstance(self.head_hidden, tuple | list):
            raise ArgumentError(f"head_hidden is a tuple of widths, such as (64,); it is {self.head_hidden!r}")
        hidden = tuple(self.head_hidden)
        for width in hidden:
            count("head_hidden", width)
        object.__setattr__(self, "head_hidden", hidden)
        self._check_together()

    def _check_together(self) -> None:
        if (self.mode == "auxiliary") != (self.objectives is not None):
            raise ArgumentError(
                f'mode="auxiliary" and objectives go together, as in objectives={{"inverse": 0.5}}; they are '
                f"{self.mode!r} and {self.objectives!r}"
            )
        if self.memory is not None and self.mode == "auxiliary":
            raise ArgumentError("memory learns from sequences, which objectives do not take; leave objectives out")
        if self.memory is not None and self.bootstrapped > 1:
            raise ArgumentError("memory learns with one head; leave bootstrapped out")

    @classmethod
    def made(cls, given: Mapping[str, Any]) -> Self:
        """The settings `given` by name, the rest at their defaults. ArgumentError for a name there is not."""
        known = [one.name for one in fields(cls)]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ArgumentError(f"DQN has no option {unknown[0]!r}; its options are {', '.join(known)}")
        return cls(**given)

    def config(self) -> dict[str, Any]:
        """Plain JSON that `from_config` makes these settings of again."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        plain["learning_rate"] = schedules.config_of(self.learning_rate)
        plain["priority_beta"] = schedules.config_of(self.priority_beta)
        plain["optimizer_kwargs"] = _listed(dict(self.optimizer_kwargs))
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], instead: Mapping[str, Any] | None = None) -> Self:
        """The settings that `config` gave, but for those given `instead`: schedules of one's own, say."""
        given = {**config, **(instead or {})}
        for name in ("learning_rate", "priority_beta"):
            if name not in (instead or {}):
                given[name] = schedules.from_config(given[name])
        return cls.made(given)

    @property
    def frequency(self) -> tuple[int, str]:
        """`train_freq` with its unit, "step" or "episode"."""
        return self.train_freq if isinstance(self.train_freq, tuple) else (self.train_freq, "step")

    def epsilons(self) -> tuple[float, float]:
        """(initial, final) probability of a random action."""
        first, last = (0.0, 0.0) if self.noisy else (1.0, 0.05)
        asked = self.exploration_initial_eps, self.exploration_final_eps
        return (first if asked[0] is None else asked[0]), (last if asked[1] is None else asked[1])


def _check_frequency(value: Any) -> None:
    pair = value if isinstance(value, tuple | list) else (value, "step")
    if len(pair) != 2 or pair[1] not in ("step", "episode"):
        raise ArgumentError(f'train_freq is a number of steps, or a pair such as (2, "episode"); it is {value!r}')
    checked_count("train_freq", pair[0])


def _listed(plain: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

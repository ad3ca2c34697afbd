"""DQN: Q-learning with a network, a replay of what was seen, and a target network that stands still for a while.

    L(w) = mean over a batch from the replay of  huber( Q_w(s, a) - [ r + gamma (1 - terminated) max_b Q_w'(s', b) ] )

w' are older weights: copied from w every `target_update_interval` steps (or averaged, tau < 1). Behaviour is
epsilon-greedy, epsilon falling along a straight line. An episode cut short by time was not terminated: it bootstraps.
Each variant changes one term, and they combine:

    double         max_b Q_w'(s', b)  becomes  Q_w'(s', argmax_b Q_w(s', b))
    dueling        Q(s, a) = V(s) + A(s, a) - mean_b A(s, b)                                        (heads.py)
    n_step         r + gamma r' + ... + gamma^n Q(s_n, .), stopping at the episode's end            (rltk.replay)
    prioritised    the batch is drawn in proportion to |error|^alpha, and weighted back             (rltk.replay)
    values         the return's distribution in place of its mean: C51, QR                          (values.py)
    noisy          noise in the weights explores, in epsilon's place                                (noisy.py)
    bootstrapped   K heads, each with its own share of the data; one leads through each episode
    memory         Q(what was seen so far, a), learnt from sequences                                (sequences.py)
    objectives     the encoder learns from them too                                                 (auxiliary.py)

Sources: Mnih et al. (2015), "Human-level control through deep reinforcement learning"; van Hasselt, Guez and Silver
(2016), "Deep reinforcement learning with double Q-learning"; Wang et al. (2016), "Dueling network architectures";
Schaul et al. (2016), "Prioritized experience replay"; Fortunato et al. (2018), "Noisy networks for exploration"; Osband
et al. (2016), "Deep exploration via bootstrapped DQN"; Hessel et al. (2018), "Rainbow"; Kapturowski et al. (2019),
"Recurrent experience replay" (R2D2).
"""

import time
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from rltk.agents.deep.acting import Acting
from rltk.agents.deep.auxiliary import auxiliary_loss, auxiliary_of
from rltk.agents.deep.backends.updates import updates_of
from rltk.agents.deep.learner import DeepLearner
from rltk.agents.deep.networks.network import QNetwork
from rltk.agents.deep.optimisers import optimiser_of, optimiser_state, restore_optimiser
from rltk.agents.deep.sequences import sequence_loss
from rltk.agents.deep.settings import Settings
from rltk.agents.deep.values import best_actions, of_actions, values_of
from rltk.agents.deep.weights import arrays_of, restore_arrays
from rltk.encoders import encoder_from, encoder_of
from rltk.errors import ArgumentError
from rltk.replay import Batch, PrioritisedReplay, Replay, SequenceBatch
from rltk.runs import schedules
from rltk.runs.pace import Pace

_SMALL = 300_000  # parameters


class DQN(Acting, DeepLearner):
    """Learn action values with a network, on any Gymnasium environment with Discrete actions, or a batch of them.

    encoder: what makes features of observations: a module of `rltk.encoders`, the name of one ("mlp", "cnn") with
    `encoder_kwargs`, a module of your own with `features_dim`, or a callable that makes one from the observation space;
    None chooses. It is copied; `mode` says whether it learns. seed: of every random stream, the environment's included.
    device: "auto", "cpu", "cuda".

    backend: "torch" is the reference; "compiled" is the same algorithm fast: a kernel for small MLPs and CNNs on a CPU,
    torch.compile for all else; "auto" takes the kernel where it fits, torch.compile on a GPU, torch elsewhere.

    The other options are those of `rltk.agents.deep.settings.Settings`.

        agent = rltk.agents.DQN(gym.make("CartPole-v1"), seed=0).learn(50_000, progress_bar=True)

    Raises SpaceError for spaces that it can't take, with what does; ArgumentError for options; SizeError from
    `learn`, before any memory is taken, where the replay does not fit.
    """

    name = "dqn"

    def __init__(
        self,
        env: Any,
        *,
        encoder: Any = None,
        encoder_kwargs: Mapping[str, Any] | None = None,
        seed: int = 0,
        device: str | torch.device = "auto",
        backend: str = "auto",
        **options: Any,
    ) -> None:
        self.settings = s = Settings.made(options)
        super().__init__(env, gamma=s.gamma, seed=seed, device=device)
        self.values = values_of(s.values, s.loss, s.atoms, s.v_min, s.v_max)
        with self.random.owned():  # initial weights are drawn from the learner's own numbers
            made = encoder_of(encoder, self.players.plain.space, dict(encoder_kwargs or {}))
            self.network = QNetwork(deepcopy(made), self.players.n_actions, s, self.values).to(self.device)
            self.objective = auxiliary_of(s, self.network.encoder, self.players.n_actions)
        if self.objective is not None:
            self.objective.to(self.device)
        self.network.encoder.eval()  # but in updates: behaviour is without dropout
        self.target = deepcopy(self.network).requires_grad_(False).eval()
        self.target.head.train(s.noisy)
        rate = float(schedules.values(s.learning_rate, 0, 1)[0])
        self.optimiser = optimiser_of(s.optimizer, self.trained(), rate, s.optimizer_kwargs)
        self.replay: Replay | None = None  # made when learning begins: an agent that only acts needs none
        self.backend = backend
        self.updater = updates_of(self, backend)
        self._epsilons = s.epsilons()
        self.exploration_steps = 0  # over which epsilon falls; the first `learn` says
        self._calls = 0  # of `step`
        self._due_calls, self._due_moves, self._due_episodes = 0, 0, 0  # since the last update
        self._acting_pace, self._training_pace = Pace(), Pace()
        self._init_acting()

    @classmethod
    def rainbow(cls, env: Any, **options: Any) -> Self:
        """DQN with the six variants of Rainbow: double, dueling, 3 steps, prioritised, C51, noisy."""
        six: dict[str, Any] = {"double": True, "dueling": True, "n_step": 3, "prioritised": True, "noisy": True}
        return cls(env, **{**six, "values": "categorical", **options})

    # The algorithm

    def _turn(self, stop: int) -> None:
        """Collect until updates are due, or to the timestep `stop`; then update. Either for no more than a moment."""
        if not self.owed:
            frequency, unit = self.settings.frequency
            calls = frequency - self._due_calls if unit == "step" else 1
            calls = min(calls, -(-(stop - self.timestep) // self.n_envs), self._acting_pace.count)
            begun = time.perf_counter()
            self._collect(calls)
            self._acting_pace.note(calls, begun)
            if (self._due_calls if unit == "step" else self._due_episodes) >= frequency:
                self._owe()
        if self.owed:
            count = min(self.owed, self._training_pace.count)
            begun = time.perf_counter()
            self.train(count)
            self.owed -= count
            self._training_pace.note(count, begun)

    def _look_again(self) -> None:
        self.updater.look_again()

    def _owe(self) -> None:
        """Updates are due: as many as the settings say, and none while learning has not started."""
        if self.timestep > self.settings.learning_starts and len(self._replay()) > 0:
            steps = self.settings.gradient_steps
            self.owed = steps if steps >= 0 else self._due_moves
        self._due_calls = self._due_moves = self._due_episodes = 0

    def _collect(self, calls: int) -> None:
        """Act `calls` times, remember what came of it, and update the target network where that is due."""
        n, players, replay = self.n_envs, self.players, self._replay()
        words = self.streams.generator("behaviour").random((calls, n, 2))
        for k in range(calls):
            actions = self._behave(words[k])
            moves = players.step(actions)
            took = None if moves.took is None else np.flatnonzero(moves.took)
            self._remember(replay, actions, moves, took)
            count = n if took is None else took.size
            self.timestep += count
            self._due_moves += count
        self._due_calls += calls
        every = max(self.settings.target_update_interval // n, 1)
        for _ in range((self._calls + calls) // every - self._calls // every):
            self.updater.sync_target(self.settings.tau)
        self._calls += calls

    def _remember(self, replay: Replay, actions: np.ndarray, moves: Any, took: np.ndarray | None) -> None:
        given = {
            "actions": actions,
            "rewards": moves.rewards,
            "next_observations": moves.next_observations,
            "terminated": moves.terminated,
            "truncated": moves.truncated,
            "masks": moves.next_masks,
            "extras": self._shares(actions.size),
        }
        if self.n_envs == 1 and took is None:
            replay.add_one(*map(_first, given.values()))
        elif took is None:
            replay.add(**given)
        elif took.size:
            replay.add(**{name: _taken(part, took) for name, part in given.items()}, envs=took)
        if moves.began is not None:
            which = moves.began
            starts, masks = _taken(self.players.observations, which), _taken(self.players.masks, which)
            replay.begin(starts, masks=masks, envs=which)
            self._began(which)
            self._due_episodes += which.size

    def train(self, gradient_steps: int) -> None:
        """Make `gradient_steps` updates from the replay. LearningError where one is not finite: it is not made."""
        rate = float(schedules.values(self.settings.learning_rate, self.timestep, 1)[0])
        if not 0 <= rate <= 1:
            raise ArgumentError(
                f"learning_rate at timestep {self.timestep} is {rate:g}; a schedule of it stays in [0, 1] and is "
                "called with the timestep, not with the progress that remains"
            )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with self.random.owned():
            losses = self.updater.train(gradient_steps)
        self.updates += gradient_steps
        self.losses.extend(losses)

    def draw(self) -> tuple[np.ndarray, np.ndarray | None]:
        """(positions in the replay (B,), weights (B,) of their losses where they are not drawn evenly)."""
        s, replay = self.settings, self._replay()
        positions = replay.draw(self.streams.generator("replay"), s.batch_size)
        if not isinstance(replay, PrioritisedReplay):
            return positions, None
        return positions, np.asarray(replay.weights(positions, self._beta()))

    def _beta(self) -> float:
        return min(max(float(schedules.values(self.settings.priority_beta, self.timestep, 1)[0]), 0.0), 1.0)

    def sample(self) -> Batch | SequenceBatch:
        """A batch from the replay: transitions, or sequences for networks with memory."""
        if self.settings.memory is not None:
            return self._sequences()
        positions, weights = self.draw()
        batch = self._replay().batch(positions)
        return batch if weights is None else batch._replace(weights=torch.as_tensor(weights, device=self.device))

    def _sequences(self) -> SequenceBatch:
        """What was drawn lies anywhere among the steps learnt from: the ends of episodes are where rewards are."""
        s, replay, stream = self.settings, self._replay(), self.streams.generator("replay")
        positions = replay.draw(stream, s.batch_size)
        further = stream.integers(s.sequence_length, size=s.batch_size)
        ends = replay.onward(positions, further)
        batch = replay.sequences(ends, s.sequence_length + s.burn_in)
        if not isinstance(replay, PrioritisedReplay):
            return batch
        weights = replay.sequence_weights(ends, s.sequence_length, self._beta())
        return batch._replace(weights=torch.as_tensor(weights, device=self.device))

    def loss(self, batch: Any) -> tuple[Tensor, Tensor]:
        """(the loss (), each transition's error (B,), of sequences (B, L)) of a batch: the equation above."""
        if self.settings.memory is not None:
            return sequence_loss(self.network, self.target, self.values, self.settings, batch)
        outputs = self.network(batch.observations)  # (B, K, A, N)
        with torch.no_grad():
            next_outputs = self.target(batch.next_observations)  # (B, K, A, N)
            judged = self.network(batch.next_observations) if self.settings.double else next_outputs
            best = best_actions(self.values.mean(judged), batch.next_masks)  # (B, K)
        chosen = of_actions(outputs, batch.actions[:, None].expand_as(best))  # (B, K, N)
        rewards, discounts = batch.rewards[:, None].expand_as(best), batch.discounts[:, None].expand_as(best)
        losses, errors = self.values.loss(chosen, of_actions(next_outputs, best), rewards, discounts)  # (B, K)
        if "shares" in batch.extras:  # a head learns from its own share of the data
            shares = batch.extras["shares"].to(losses.dtype)  # (B, K)
            losses, errors = losses * shares, errors * shares
        losses, errors = losses.mean(1), errors.abs().mean(1)  # (B,)
        return (losses if batch.weights is None else batch.weights * losses).mean(), errors

    def auxiliary_loss(self, batch: Any) -> Tensor | None:
        """What the objectives add to the loss of a batch; None where there are none."""
        return None if self.objective is None else auxiliary_loss(self.objective, self.network.encoder, batch)

    def trained(self) -> list[torch.nn.Parameter]:
        """What updates move: the network, but for an encoder that is frozen, and the objectives' heads."""
        modules = [self.network, *([] if self.objective is None else [self.objective])]
        return [weight for module in modules for weight in module.parameters() if weight.requires_grad]

    def plan_for(self, total_timesteps: int) -> None:
        """Let epsilon fall over its share of so many timesteps, unless it does already; `learn` says it too."""
        if not self.exploration_steps:
            self.exploration_steps = max(int(self.settings.exploration_fraction * total_timesteps), 1)

    def _is_small(self) -> bool:
        return self.device.type == "cpu" and sum(p.numel() for p in self.network.parameters()) < _SMALL

    @property
    def exploration_rate(self) -> float:
        """Epsilon at this timestep. Until `learning_starts` behaviour is random all the same."""
        first, last = self._epsilons
        passed = min(self.timestep / self.exploration_steps, 1.0) if self.exploration_steps else 0.0
        return first + (last - first) * passed

    def _begin(self) -> None:
        replay = self._replay()
        if replay.keeps_masks != self.players.masked:
            raise ArgumentError(
                f"the environment {'gives' if self.players.masked else 'does not give'} action masks, and the one that "
                "this agent learnt on was otherwise: make the learner anew for it"
            )
        replay.begin(self.players.observations, masks=self.players.masks)
        self._began(np.arange(self.n_envs))

    def _replay(self) -> Replay:
        """The replay, made at the first call: SizeError, with its size, where there is no room for it."""
        if self.replay is None:
            s = self.settings
            kinds: dict[str, Any] = {"num_envs": self.n_envs, "gamma": s.gamma, "device": self.device}
            kinds["n_step"] = 1 if s.memory is not None else s.n_step
            if self.players.masked:
                kinds["n_actions"] = self.players.n_actions
            if s.bootstrapped > 1:
                kinds["extras"] = {"shares": ((s.bootstrapped,), np.uint8)}
            space = self.players.plain.space
            if s.prioritised:
                self.replay = PrioritisedReplay(space, int(s.buffer_size), alpha=s.priority_alpha, **kinds)
            else:
                self.replay = Replay(space, int(s.buffer_size), **kinds)
        return self.replay

    def _shares(self, count: int) -> dict[str, np.ndarray] | None:
        heads = self.settings.bootstrapped
        if heads == 1:
            return None
        drawn = self.streams.generator("shares").random((count, heads))
        return {"shares": (drawn < self.settings.bootstrap_share).astype(np.uint8)}

    # Checkpoints

    def config(self) -> dict[str, Any]:
        """What makes this learner again, as plain JSON."""
        encoder = self.network.encoder
        own = encoder.config() if callable(getattr(encoder, "config", None)) else {"encoder": type(encoder).__name__}
        return {"settings": self.settings.config(), "encoder": own, "seed": self.streams.root}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], env: Any, *, encoder: Any = None, **options: Any) -> Self:
        """A new learner with the hyper-parameters that `config` gave. encoder: needed where it was one of your own."""
        from rltk.agents.deep.playing.choosing import players_of
        from rltk.runs import Streams

        if encoder is None:
            encoder = encoder_from(config["encoder"], players_of(env, Streams(0)).plain.space)
        own = {name: value for name, value in options.items() if name in Settings.__dataclass_fields__}
        settings = Settings.from_config(config["settings"], own)
        given = {name: getattr(settings, name) for name in Settings.__dataclass_fields__}
        return cls(env, encoder=encoder, seed=config["seed"], **{**given, **options})

    def _own_state(self, copy: bool) -> dict[str, Any]:
        return {
            "network": arrays_of(self.network),
            "target": arrays_of(self.target),
            "optimiser": optimiser_state(self.optimiser),
            "objective": {} if self.objective is None else arrays_of(self.objective),
            "replay": None if self.replay is None else self.replay.state(copy=copy),
            "exploration_steps": self.exploration_steps,
            "counts": [self._calls, self._due_calls, self._due_moves, self._due_episodes],
            "acting": self._acting_state(),
        }

    def _restore_own(self, state: Mapping[str, Any]) -> None:
        self._restore_learnt(state)
        if self.objective is not None:
            restore_arrays(self.objective, state["objective"], "objective")
        restore_optimiser(self.optimiser, state["optimiser"])
        self._calls, self._due_calls, self._due_moves, self._due_episodes = (int(n) for n in state["counts"])
        self.players.masked = bool(state["players"].get("masked", False))
        self.replay = None
        if state["replay"] is not None:
            self._replay().restore(state["replay"])
        self._restore_acting(state["acting"])

    def _restore_learnt(self, state: Mapping[str, Any]) -> None:
        for module, name in ((self.network, "network"), (self.target, "target")):
            restore_arrays(module, state[name], name)
        self.exploration_steps = int(state["exploration_steps"])

    def set_env(self, env: Any) -> Self:
        """Go on with `env`, which has the same spaces and as many environments; new episodes begin there."""
        from rltk.agents.deep.playing.choosing import players_of

        players = players_of(env, self.streams)
        mine = self.players.plain.space, self.players.n_actions, self.n_envs
        other = players.plain.space, players.n_actions, players.count
        if mine != other:
            raise ArgumentError(f"env: this agent learnt on {mine}, and the new environment has {other}")
        self.players = players
        return self


def _first(part: Any) -> Any:
    """Of a batch of one, without its axis."""
    if isinstance(part, dict):
        return {name: own[0] for name, own in part.items()}
    return None if part is None else part[0]


def _taken(part: Any, which: np.ndarray) -> Any:
    if isinstance(part, dict):
        return {name: own[which] for name, own in part.items()}
    return None if part is None else part[which]

"""Train an agent, log its exact suboptimality as it learns, and save it with its pictures."""

import shlex
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from rltk.errors import ArgumentError
from rltk.evaluation import Evaluation, evaluate
from rltk.runs import Progress, ProgressBar, Run, linear
from rltk.scripts.common import DEEP, env_of_run, is_map, keep_map, learner_class, make_env, parsed_options
from rltk.scripts.pictures import draw_run
from rltk.scripts.program import start

# Steps between two looks at the progress bar; they change nothing that is learned.
_TABULAR = ("alpha", "alpha_end", "epsilon", "epsilon_end", "initial_value")
_EPISODES = 20
_TICK = {"compiled": 500_000, "gymnasium": 1_000}


@dataclass
class Train:
    """Train on any Gymnasium environment with discrete actions: a table, or DQN.

    Example: rltk train --env rltk/FourRooms-v0 --n-timesteps 200000 --seed 0

    Example: rltk train --algo dqn --env CartPole-v1 --n-timesteps 50000
    """

    env: str = "rltk/FourRooms-v0"
    """Environment id, or the path of a map file."""
    env_kwargs: dict[str, str] = field(default_factory=dict)
    """Options of the environment, as pairs: --env-kwargs slip 0.1 map my.map"""
    algo: str = "q-learning"
    """Which learner: q-learning, sarsa, dyna-q, dqn ... (a wrong name lists them all)."""
    algo_kwargs: dict[str, str] = field(default_factory=dict)
    """Options of the learner's own, as pairs: --algo-kwargs n 8, or, of dqn, learning_rate 1e-3 double true"""
    n_timesteps: int = 100_000
    """How many steps to learn for, in all (a resumed run's earlier steps count)."""
    seed: int = 0
    """Of every random stream; the same seed gives the same agent, bit for bit."""
    gamma: float = 0.99
    """Discount of each step."""
    alpha: float = 0.5
    """Step size at the beginning; of tabular learners, as are the next four."""
    alpha_end: float = 0.001
    """Step size at the end, reached along a straight line."""
    epsilon: float = 1.0
    """Probability of exploring at the beginning (actor-critic and reinforce explore by their own policy)."""
    epsilon_end: float = 0.1
    """Probability of exploring at the end, reached along a straight line."""
    initial_value: float = 0.0
    """What the table starts with; above the optimum it makes the agent curious."""
    eval_freq: int = 10_000
    """Steps between evaluations."""
    save_freq: int = 50_000
    """Steps between checkpoints."""
    root: str = "runs"
    """Where the run's folder is made."""
    resume: str = ""
    """The folder of a run to take up where its newest checkpoint stands; its own options are used again."""
    progress: bool = True
    """Show a progress bar."""


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Train, run, argv, "train")


def run(config: Train) -> None:
    """Train as `config` says and print where everything is."""
    evaluation, _, written = train(config)
    print(evaluation)
    print("\n".join(f"wrote {path}" for path in written))


def train(config: Train) -> tuple[Evaluation, Path, list[Path]]:
    """Train as `config` says: (the final evaluation, the run's folder, the files drawn)."""
    if config.resume:
        _tell_ignored(config)
        with Run.resume(config.resume) as opened:
            return _train(opened, Train(**{**opened.config, "resume": config.resume, "progress": config.progress}))
    _check(config)
    env = make_env(config.env, config.env_kwargs)  # before the folder is made: a wrong id leaves nothing behind
    _new_agent(config, env)
    label = Path(config.env).stem if is_map(config.env) else config.env
    with Run.start(config.root, env=label, algorithm=config.algo, seed=config.seed, config=asdict(config)) as opened:
        keep_map(config.env, config.env_kwargs, opened.folder)
        return _train(opened, config)


def _check(config: Train) -> None:
    for name in ("n_timesteps", "eval_freq", "save_freq"):
        if getattr(config, name) < 1:
            raise ArgumentError(f"{name} is a number of steps, at least 1; it is {getattr(config, name)}")
    for name in ("alpha", "alpha_end", "epsilon", "epsilon_end"):
        if not 0 <= getattr(config, name) <= 1:  # nan is refused too
            raise ArgumentError(f"{name} is a number in [0, 1]; it is {getattr(config, name)}")


def _tell_ignored(config: Train) -> None:
    """An option given beside --resume is seen by its differing from the default."""
    plain = Train()
    names = [one.name for one in fields(Train) if one.name not in ("resume", "progress")]
    ignored = [f"--{name.replace('_', '-')}" for name in names if getattr(config, name) != getattr(plain, name)]
    if ignored:
        told = f"a resumed run goes on with its own options; ignored: {', '.join(ignored)}"
        print(f"rltk train: {told}", file=sys.stderr)


def _new_agent(config: Train, env: object) -> Any:
    learner = learner_class(config.algo)
    options: dict[str, Any] = parsed_options(config.algo_kwargs)
    if config.algo == DEEP:
        given = [name for name in _TABULAR if getattr(config, name) != getattr(Train, name)]
        if given:
            raise ArgumentError(
                f"{given[0]}: dqn has options of its own, learning_rate, exploration_final_eps and others; give them "
                "after --algo-kwargs"
            )
        twice = [name for name in ("gamma", "seed") if name in options]
        if twice:
            raise ArgumentError(f"{twice[0]}: give it as --{twice[0]}, not after --algo-kwargs")
        agent = learner(env, gamma=config.gamma, seed=config.seed, **options)
        agent.plan_for(config.n_timesteps)
        return agent
    if "epsilon" in learner.options():
        options["epsilon"] = linear(config.epsilon, config.epsilon_end, config.n_timesteps)
    elif (config.epsilon, config.epsilon_end) != (Train.epsilon, Train.epsilon_end):
        raise ArgumentError(f"epsilon: {config.algo} explores by its own policy; leave --epsilon and --epsilon-end out")
    return learner(
        env,
        gamma=config.gamma,
        alpha=linear(config.alpha, config.alpha_end, config.n_timesteps),
        initial_value=config.initial_value,
        seed=config.seed,
        **options,
    )


def _train(opened: Run, config: Train) -> tuple[Evaluation, Path, list[Path]]:
    world, options = env_of_run(opened.folder, config.env, config.env_kwargs)
    env, twin = (make_env(world, options) for _ in range(2))  # evaluation steps in the twin
    agent = _new_agent(config, env)
    if opened.state is not None:
        agent.restore(opened.state["agent"])
    print(f"run folder: {opened.folder}", file=sys.stderr)
    try:
        _learn(agent, twin, opened, config)
    except KeyboardInterrupt:
        print(f"\ntake it up again with: rltk train --resume {shlex.quote(str(opened.folder))}", file=sys.stderr)
        raise
    evaluation = evaluate(agent, twin)
    evaluation.save(opened.folder / "evaluation.json")
    return evaluation, opened.folder, draw_run(agent, evaluation, opened.folder, env_id=world, options=options)


def _learn(agent: Any, twin: object, opened: Run, config: Train) -> None:
    """Learn up to `n_timesteps`, stopping at each step where the log or a checkpoint is due."""
    total = config.n_timesteps
    bar = ProgressBar(total, agent.name, start=min(agent.timestep, total)) if config.progress else None

    def note(progress: Progress) -> None:
        now, last = progress.timestep, progress.timestep == total
        if bar is not None:
            bar.update(now)
        if last or now % config.eval_freq == 0:
            opened.log(now, **progress.metrics, **_figures(_evaluated(agent, twin)))
        if last or now % config.save_freq == 0:
            state = agent.state_to_write() if config.algo == DEEP else agent.state()
            written = opened.checkpoint({"config": agent.config(), "agent": state}, now)
            if config.algo == DEEP:
                agent.last_checkpoint = written

    try:
        if agent.timestep == 0:
            opened.log(0, **_figures(_evaluated(agent, twin)))  # where it starts from
        while agent.timestep < total:
            due = min(
                total, *(agent.timestep // every * every + every for every in (config.eval_freq, config.save_freq))
            )
            agent.learn(due - agent.timestep, note, callback_every=_tick(agent))
    finally:
        if bar is not None:
            bar.close()


def _tick(agent: Any) -> int:
    return 1_000 if agent.name == DEEP else _TICK[agent.backend]


def _evaluated(agent: Any, twin: object) -> Evaluation:
    """A network is asked at every step of a sampled episode, so fewer of them make a point of the curve."""
    return evaluate(agent, twin, episodes=_EPISODES) if agent.name == DEEP else evaluate(agent, twin)


def _figures(evaluation: Evaluation) -> dict[str, float]:
    names = ("value", "optimum", "suboptimality", "normalised_suboptimality", "success_probability")
    known = {name: getattr(evaluation, name) for name in names}
    return {name: value for name, value in known.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())

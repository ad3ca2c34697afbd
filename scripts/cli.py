"""`rltk COMMAND ...`: each command is a module of this folder, and runs as `python -m rltk.scripts.COMMAND` too."""

import sys
from importlib import import_module

COMMANDS = {
    "train": "train an agent, log its exact suboptimality, save it",
    "plan": "solve an environment: its optimum between certified bounds",
    "evaluate": "grade a trained agent, exactly where the model is known",
    "watch": "see an agent act in a window, with V, Q and policy overlays",
    "demo": "the main job on real inputs: solve, train, draw, one table",
    "pretrain": "pretrain an encoder, save it",
    "report_card": "grade an encoder by the answer key",
    "encoder_study": "relate figures of encoders to how DQN learns",
    "textbook": "regenerate the figures of Sutton and Barto",
    "parity": "hold DQN's learning curves beside Stable-Baselines3's",
    "grades": "grade DQN and a tabular learner on rltk's own environments",
    "bench": "measure rltk beside its peers",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command named first; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0
    name, *rest = arguments
    if name == "--version":
        from rltk import __version__

        print(f"rltk {__version__}")
        return 0
    if name not in COMMANDS:
        print(f"rltk: there is no command {name!r}\n\n{_usage()}", file=sys.stderr)
        return 2
    return import_module(f"rltk.scripts.{name}").main(rest)


def _usage() -> str:
    lines = [f"  {name:<15}{text}" for name, text in COMMANDS.items()]
    return "\n".join(["usage: rltk COMMAND [options]", "", *lines, "", "rltk COMMAND --help explains the options."])


if __name__ == "__main__":
    sys.exit(main())

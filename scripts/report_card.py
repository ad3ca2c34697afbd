"""Grade an encoder by the answer key: a table in the terminal, JSON, and one HTML page with pictures."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rltk.scripts.common import make_env
from rltk.scripts.program import start


@dataclass
class ReportCard:
    """Grade an encoder on levels that lines are fitted on, and on others.

    Example: rltk report_card encoder.safetensors --levels 8 --unseen 4

    Example: rltk report_card cnn --env rltk/FourRooms-v0 --levels 0 --unseen 0
    """

    encoder: Annotated[str, tyro.conf.Positional] = "encoder.safetensors"
    """The file of an encoder, or the name of a trunk: cnn, mlp ... with its first, random weights."""
    env: str = "rltk/MiniGrid-DoorKey-6x6-v0"
    """Environment id, or the path of a map file."""
    env_kwargs: dict[str, str] = field(default_factory=dict)
    """Options of the environment, as pairs."""
    levels: int = 8
    """How many levels, seeds 0, 1, ...; 0 for an environment without levels."""
    unseen: int = 4
    """How many more, the seeds after a million: levels that nothing was fitted on."""
    gamma: float = 0.99
    """Discount of V* and Q*."""
    seed: int = 0
    """Of the split, k-means and the search for a memoryless policy."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute features."""
    out: str = "report_card"
    """Name of the two files written, .json and .html."""
    progress: bool = True
    """Show a progress bar."""


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(ReportCard, run, argv, "report_card")


def run(config: ReportCard) -> None:
    """Grade as `config` says, print the table, write the files."""
    import torch

    from rltk.encoders import encoder_of, load_encoder
    from rltk.experiments import report_card

    env = make_env(config.env, config.env_kwargs)
    if Path(config.encoder).suffix == ".safetensors":
        encoder = load_encoder(config.encoder)
    else:
        torch.manual_seed(config.seed)
        encoder = encoder_of(config.encoder, env.observation_space)
    card = report_card(
        encoder,
        env,
        config.levels or None,
        config.unseen if config.levels and config.unseen else None,
        gamma=config.gamma,
        device=config.device,
        seed=config.seed,
        progress_bar=config.progress,
    )
    print(card)
    print(f"wrote {card.save(f'{config.out}.json')}\nwrote {card.save_page(f'{config.out}.html')}")


if __name__ == "__main__":
    sys.exit(main())

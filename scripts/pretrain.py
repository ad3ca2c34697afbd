"""Pretrain an encoder on every state of some levels, on recorded episodes, or on a folder, and save it.

Several GPUs: torchrun --nproc-per-node=4 -m rltk.scripts.pretrain ...
"""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rltk.errors import ArgumentError
from rltk.scripts.common import make_env, parsed_options
from rltk.scripts.program import start


@dataclass
class Pretrain:
    """Pretrain an encoder; the levels that are held out say how well it does.

    Example: rltk pretrain --env rltk/MiniGrid-DoorKey-6x6-v0 --levels 20

    Example: rltk pretrain --env CartPole-v1 --data episodes --trunk mlp
    """

    env: str = "rltk/MiniGrid-DoorKey-6x6-v0"
    """Environment id, or the path of a map file."""
    env_kwargs: dict[str, str] = field(default_factory=dict)
    """Options of the environment, as pairs: --env-kwargs form image"""
    data: str = "states"
    """states (all of them, of some levels), episodes, or a folder of pictures or of saved data."""
    levels: int = 20
    """How many levels, seeds 0, 1, ...; 0 for an environment without levels."""
    record_steps: int = 50_000
    """Steps of random behaviour, where the data are episodes."""
    trunk: str = "cnn"
    """mlp, cnn, transformer ... (a wrong name lists them all)."""
    encoder_kwargs: dict[str, str] = field(default_factory=dict)
    """Options of the encoder, as pairs: --encoder-kwargs features_dim 64"""
    objectives: dict[str, float] = field(default_factory=dict)
    """Objectives and their weights, as pairs: --objectives vae 1 inverse 50; the VAE alone unless given."""
    steps: int = 10_000
    """Updates."""
    batch_size: int = 256
    """Transitions in an update, of all processes together."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    held_out: float = 0.2
    """Share of the levels that nothing is learnt from; 0 for none."""
    gamma: float = 0.99
    """Discount of V* and Q*, which some objectives learn."""
    seed: int = 0
    """Of the data's split, batches and noise; the same seed gives the same weights, bit for bit."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    out: str = "encoder.safetensors"
    """The file of the encoder; checkpoints go into a folder of the same name beside it."""
    progress: bool = True
    """Show a progress bar."""


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Pretrain, run, argv, "pretrain")


def run(config: Pretrain) -> None:
    """Pretrain as `config` says and print how it went."""
    import torch

    from rltk.encoders import encoder_of, save_encoder
    from rltk.experiments import pretrain

    first = int(os.environ.get("RANK", 0)) == 0
    out = Path(config.out)
    if out.suffix != ".safetensors":
        raise ArgumentError(f"out: a file that ends in .safetensors; found {config.out}")
    data = data_of(config, progress_bar=config.progress and first)
    torch.manual_seed(config.seed)
    options: dict[str, Any] = parsed_options(config.encoder_kwargs)
    if not len(data):
        options.setdefault("pictures", True)  # a folder of them, however small they are
    encoder = encoder_of(config.trunk, data.observation_space, options)
    if first:
        print(data, file=sys.stderr)
    done = pretrain(
        encoder,
        data,
        config.objectives or {"vae": 1.0},
        config.steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        held_out=config.held_out or None,
        device=config.device,
        seed=config.seed,
        folder=out.with_suffix(""),
        progress_bar=config.progress,
    )
    if first:
        save_encoder(encoder, out)
        print(done)
        print(f"wrote {out}")


def data_of(config: Pretrain, *, progress_bar: bool) -> Any:
    """The data that `config` asks for."""
    from rltk.experiments.data import every_transition, load_transitions, pictures_of, recorded
    from rltk.runs.checkpoint import generations

    if config.data == "states":
        env = make_env(config.env, config.env_kwargs)
        return every_transition(env, config.levels or None, gamma=config.gamma, progress_bar=progress_bar)
    if config.data == "episodes":
        env = make_env(config.env, config.env_kwargs)
        return recorded(None, env, config.record_steps, seed=config.seed, progress_bar=progress_bar)
    folder = Path(config.data)
    if not folder.is_dir():
        raise ArgumentError(f"data: states, episodes, or a folder that is there; found {config.data!r}")
    return load_transitions(folder) if generations(folder) else pictures_of(folder)


if __name__ == "__main__":
    sys.exit(main())

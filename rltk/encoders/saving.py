"""Encoders as files: `save_encoder(encoder, path)` and `load_encoder(path)`.

    path              safetensors: the weights, and in the metadata what builds the encoder again
    path + ".sha256"  the sha256 of that file, as `sha256sum` writes and checks it

The metadata holds `format_version`, `rltk` (its version), `config` (the encoder's configuration) and `space` (the plain
observation space, see `described`), all of them JSON. Weights come back with the same bits. A file is written whole or
not at all. Loading runs nothing that a file brings: it holds numbers and names, and is proved against the sha256 before
it is read.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rltk import __version__
from rltk.encoders.choosing import config_of, encoder_from, form_of
from rltk.encoders.described import described, space_of
from rltk.encoders.plain import Plain
from rltk.errors import ArgumentError, CheckpointError, RltkError, SpaceError
from rltk.files import write_whole

FORMAT_VERSION = 1
_LARGEST_HEADER = 2**24  # bytes


def save_encoder(encoder: nn.Module, path: str | Path) -> Path:
    """Write `encoder` to the file `path` and its sha256 beside it; return the path.

    encoder: an `Encoder`, or a module of your own; of that, the file holds the weights and the mere name.
    Raises ArgumentError for what is no module, CheckpointError where the disk refuses.
    """
    from safetensors.torch import save

    if not isinstance(encoder, nn.Module):
        raise ArgumentError(f"encoder is a {type(encoder).__name__}, but a torch module was expected")
    path = Path(path)
    space = getattr(encoder, "observation_space", None)
    about = {
        "format_version": str(FORMAT_VERSION),
        "rltk": __version__,
        "config": json.dumps(config_of(encoder), allow_nan=False),
        "space": json.dumps(None if space is None else described(Plain(space).space), allow_nan=False),
    }
    # Copies, for weights that are tied or lie in a larger tensor.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in encoder.state_dict().items()}
    content = save(tensors, about)
    line = f"{hashlib.sha256(content).hexdigest()}  {path.name}\n"
    try:
        # Between the two the file does not prove, which is an error to see: a wrong proof would be none.
        write_whole(path, content)
        write_whole(_beside(path), line.encode())
    except OSError as error:
        raise CheckpointError(f"{path} can't be written: {error}; name a file in a folder that exists") from error
    return path


def load_encoder(
    path: str | Path,
    observation_space: spaces.Space[Any] | None = None,
    *,
    encoder: nn.Module | None = None,
    verify: bool = True,
) -> Any:
    """The encoder in the file `path`, on the CPU and in eval mode.

    observation_space: what it is to be used on; SpaceError where it was made for another one (bounds may differ: the
    file's hold). encoder: a module of your own to fill with the weights; needed where such a one was saved. verify:
    False goes on without the sha256, for a file whose origin you know.

    Raises CheckpointError for a file that is missing, damaged, of a newer format, or does not fit, naming the weight.
    """
    path = Path(path)
    content = _read(path, verify)
    tensors, about = _opened(path, content)
    config, space = _form(path, about)
    if observation_space is not None and space is not None:
        _check_space(path, space, Plain(observation_space).space)
    if encoder is None:
        encoder = _built(path, config, space)
    _fill(path, encoder, tensors)
    return encoder.eval()


def saved_form(path: str | Path, *, verify: bool = True) -> tuple[dict[str, Any], spaces.Space[Any] | None]:
    """(configuration, plain observation space) of the encoder in the file `path`. Raises as `load_encoder`."""
    path = Path(path)
    return _form(path, _opened(path, _read(path, verify))[1])


# The file


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _read(path: Path, verify: bool) -> bytes:
    """The file's content, proved."""
    try:
        content = path.read_bytes()
        if not verify:
            return content
        digest = _beside(path).read_text(encoding="ascii", errors="replace").split()
    except FileNotFoundError as error:
        if error.filename == str(path):
            raise CheckpointError(f"{path} is missing; save an encoder there with rltk.encoders.save_encoder") from None
        raise CheckpointError(
            f"{path} can't be proved: {_beside(path).name} is missing beside it. Copy it there too, or give "
            "verify=False if you know where the file comes from"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path} can't be read: {error}; name a file that save_encoder wrote") from None
    if digest[:1] != [hashlib.sha256(content).hexdigest()]:
        raise _damaged(path, f"its sha256 is not the one in {_beside(path).name}")
    return content


def _opened(path: Path, content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors by name, metadata)."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    length = int.from_bytes(content[:8], "little")
    try:
        if len(content) < 8 or length > min(len(content) - 8, _LARGEST_HEADER):
            raise ValueError("its header is cut off")
        about = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        version = about.get("format_version", "")
    except (ValueError, RecursionError, AttributeError) as error:
        raise _damaged(path, f"it is no safetensors file ({error})") from None
    if not version.isdecimal():
        raise _damaged(path, "its metadata does not say format_version: no encoder of rltk")
    if int(version) > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format_version {version}, made by rltk {about.get('rltk')}; this is rltk {__version__}, which "
            f"reads up to {FORMAT_VERSION}: install a newer rltk"
        )
    try:
        return load(content), about
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise _damaged(path, f"it is no safetensors file ({error})") from None


def _form(path: Path, about: dict[str, str]) -> tuple[dict[str, Any], spaces.Space[Any] | None]:
    try:
        config, space = json.loads(about["config"]), json.loads(about["space"])
        if not isinstance(config, dict):
            raise ValueError("config is no object")
        return config, None if space is None else space_of(space)
    except (ValueError, KeyError, RecursionError) as error:
        raise _damaged(path, f"its metadata is no encoder's: {type(error).__name__}: {error}") from None


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged: {what}; put it back from a copy, or save the encoder again")


# The encoder


def _built(path: Path, config: dict[str, Any], space: spaces.Space[Any] | None) -> nn.Module:
    """A new encoder of the form that the file describes; nobody's random numbers are spent on it."""
    if space is None or config.get("encoder") == "module":
        raise CheckpointError(
            f"{path} holds the weights of {config.get('name')!r}, a module of your own, which no file can rebuild: "
            "give one to fill, load_encoder(path, encoder=module)"
        )
    try:
        with torch.random.fork_rng(devices=[]):
            return encoder_from(config, space)
    except (RltkError, RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise CheckpointError(f"{path} describes an encoder that can't be built here: {error}") from error


def _check_space(path: Path, mine: spaces.Space[Any], other: spaces.Space[Any]) -> None:
    if form_of(mine) != form_of(other):
        raise SpaceError(
            f"the encoder in {path} was made for {form_of(mine)}, but observations are {form_of(other)}; make one for "
            "this observation_space"
        )


def _fill(path: Path, encoder: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put the weights in, all of them or none."""
    own = encoder.state_dict()
    if wrong := sorted(set(own) ^ set(tensors)):
        where = "is missing in the file" if wrong[0] in own else "is in the file and not in the encoder"
        raise CheckpointError(f"{path} does not fit: the weight {wrong[0]!r} {where}; {_MEND}")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise CheckpointError(
                f"{path} does not fit: the weight {name!r} is {tuple(tensors[name].shape)} in the file and "
                f"{tuple(tensor.shape)} in the encoder; {_MEND}"
            )
    floats = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
    if len(floats) == 1:
        encoder.to(floats.pop())
    for name, tensor in encoder.state_dict().items():
        if tensor.dtype != tensors[name].dtype:
            raise CheckpointError(
                f"{path} does not fit: the weight {name!r} is {tensors[name].dtype} in the file and {tensor.dtype} in "
                f"the encoder; {_MEND}"
            )
    encoder.load_state_dict(tensors)


_MEND = "make the encoder with the options of the one that was saved"

"""Which device torch works on."""

import torch

from rltk.errors import ArgumentError


def checked_device(device: str | torch.device) -> torch.device:
    """`device` as torch's; "auto" is a GPU where there is one. ArgumentError for what is not there."""
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ArgumentError(f"device is auto, cpu or cuda; it is {device!r} ({error})") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ArgumentError('device: there is no GPU that torch can use here; use device="cpu" or "auto"')
    return found

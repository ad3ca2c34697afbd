"""The ring of observations: each is stored once, when it is shown, whatever number of transitions point at it."""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from rltk.errors import ArgumentError
from rltk.replay import storage
from rltk.replay.batches import Observations
from rltk.replay.storage import SINGLE, Form

SLOT_FORMS = {"begins": Form((), np.dtype(np.bool_))}


def mask_forms(n_actions: int | None) -> dict[str, Form]:
    """The array of masks, where there is one."""
    return {"mask": Form((n_actions,), np.dtype(np.uint8))} if n_actions else {}


class ObservationRing:
    """Observations of a plain `space`, and their masks if n_actions is given, in `slots` slots on `device`.

    Number t, counted over all that were ever shown, lies in slot t mod slots. shown: how many that were.
    """

    def __init__(self, space: gym.Space, slots: int, n_actions: int | None, device: torch.device) -> None:
        self.slots, self.n_actions, self.device = slots, n_actions, device
        self.is_dict = isinstance(space, gym.spaces.Dict)
        self.forms = storage.forms_of(space)
        self.parts = {name: storage.zeros(slots, form, device) for name, form in self.forms.items()}
        self.masks = {name: storage.zeros(slots, form, device) for name, form in mask_forms(n_actions).items()}
        self.begins = np.zeros(slots, bool)  # on the CPU: the observations that began an episode
        self.shown = 0

    def show(self, observations: Any, masks: Any, count: int, begins: bool) -> np.ndarray:
        """Store `count` observations, with masks (M, A) if those are kept, and return their numbers (M,).

        begins: whether they begin an episode.

        Raises ArgumentError, with nothing stored, if the shapes or the names don't fit.
        """
        values = {**self._named(observations), **self._named_masks(masks)}
        forms = {**self.forms, **mask_forms(self.n_actions)}
        if values.keys() != forms.keys():
            raise ArgumentError(f"observations have the parts {sorted(values)}, but {sorted(forms)} was expected")
        rows = {
            name: storage.checked_rows(f"observations ({name})", values[name], count, form)
            for name, form in forms.items()
        }
        numbers = np.arange(self.shown, self.shown + count)
        for name, array in {**self.parts, **self.masks}.items():
            storage.put(array, numbers % self.slots, rows[name])
        self.begins[numbers % self.slots] = begins
        self.shown += count
        return numbers

    def show_one(self, observation: Any, mask: Any) -> int:
        """Store one observation, no first one, without a batch axis, in arrays on the CPU, and return its number."""
        values = observation if self.is_dict else {SINGLE: observation}
        for name, form in self.forms.items():
            value = values[name]
            shape = value.shape if isinstance(value, np.ndarray) else np.shape(value)
            if shape != form.shape:
                raise ArgumentError(f"observation ({name}) has the shape {shape}, but {form.shape} was expected")
        number = self.shown
        slot = number % self.slots
        if self.masks or mask is not None:
            named = self._named_masks(None if mask is None else np.asarray(mask)[None])
            self.masks["mask"][slot] = storage.checked_rows(
                "masks", named["mask"], 1, mask_forms(self.n_actions)["mask"]
            )
        for name, array in self.parts.items():
            array[slot] = values[name]
        self.begins[slot] = False
        self.shown = number + 1
        return number

    def take(self, slots: Any) -> Observations:
        """The observations in `slots` (any shape), as tensors."""
        if not self.is_dict:
            return storage.take(self.parts[SINGLE], slots)
        return {name: storage.take(array, slots) for name, array in self.parts.items()}

    def take_masks(self, slots: Any) -> torch.Tensor | None:
        """The masks (..., A) bool in `slots` (...), or None where none are kept."""
        return storage.take(self.masks["mask"], slots).bool() if self.masks else None

    def arrays(self) -> dict[str, Any]:
        """All arrays by the names that a state gives them."""
        return {
            **{f"observation/{name}": array for name, array in self.parts.items()},
            **self.masks,
            "begins": self.begins,
        }

    def _named(self, observations: Any) -> dict[str, Any]:
        if not self.is_dict:
            return {SINGLE: observations}
        if not isinstance(observations, Mapping):
            raise ArgumentError(f"observations are a {type(observations).__name__}, but a dict of arrays was expected")
        return dict(observations)

    def _named_masks(self, masks: Any) -> dict[str, Any]:
        if (masks is None) == bool(self.n_actions):
            raise ArgumentError(
                f"masks are missing: this replay keeps one of n_actions={self.n_actions} with each observation"
                if self.n_actions
                else "masks were given, but this replay keeps none; make it with n_actions="
            )
        return {} if masks is None else {"mask": masks}

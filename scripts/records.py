"""What long experiments leave behind: one JSON object a line, a line a finished part, so that a killed one goes on."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rltk.errors import ArgumentError


class Records:
    """The lines of the file `path`, each under the settings that it was made with.

    settings: plain JSON. A file that holds lines of other settings is refused: they are no runs of one experiment.
    A line that a kill left half written is dropped.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any]) -> None:
        self.path, self.settings = Path(path), json.loads(json.dumps(settings))
        self.lines: list[dict[str, Any]] = []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = self.path.read_bytes() if self.path.exists() else b""
            whole = text[: text.rfind(b"\n") + 1]
            if len(whole) < len(text):
                os.truncate(self.path, len(whole))
            self.lines = [json.loads(line) for line in whole.splitlines()]
        except (OSError, ValueError) as error:
            raise ArgumentError(f"out: {self.path} can't be used ({error}); name another folder") from error
        other = [line for line in self.lines if not isinstance(line, dict) or line.get("settings") != self.settings]
        if other:
            raise ArgumentError(
                f"out: {self.path} holds {len(other)} lines of other settings; name another folder, or move it away"
            )

    def add(self, **record: Any) -> None:
        """Append a line, and have the disk hold it before going on."""
        line = {**record, "settings": self.settings}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(line)

    def missing(self, seeds: Iterable[int]) -> list[int]:
        """Those of `seeds` that no line is of."""
        there = {line["seed"] for line in self.lines}
        return [seed for seed in seeds if seed not in there]

"""One plain window that shows frames and tells what was pressed: all that human rendering and watching need."""

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.pygame_check import load_pygame
from rltk.errors import ArgumentError, DisplayError

_HEADLESS = (
    'no window can be opened here ({reason}). Draw without one: render_mode="rgb_array" returns pictures, and '
    "rltk.drawing.save_gif films them; SDL_VIDEODRIVER=dummy in the environment runs this program and draws nowhere"
)


@dataclass(frozen=True)
class WindowEvent:
    """What a person did.

    kind: "quit", "key" (pressed), "move" (of the pointer) or "click".
    key: the character typed ("v", "+"), else the key's name ("space", "escape", "up").
    position: the (x, y) pixel of the frame under the pointer, for "move" and "click".
    """

    kind: Literal["quit", "key", "move", "click"]
    key: str = ""
    position: tuple[int, int] | None = None


class Window:
    """A window that opens at the first frame, as large as it, and shrinks frames that the desktop can't hold.

    title: the window's caption. fps: the most frames a second; `show` waits to keep to it.
    Raises DisplayError from `show` where no window can be opened.
    """

    def __init__(self, title: str = "rltk", fps: float = 30) -> None:
        if not 0 < fps <= 1000:
            raise ArgumentError(f"fps of a window: above 0 and up to 1000 frames a second, found {fps!r}")
        self.title = title
        self.fps = fps
        self._screen: Any = None
        self._clock: Any = None
        self._size: tuple[int, int] | None = None  # of the frames, which may be larger than the window
        self._scale = 1.0

    @property
    def is_open(self) -> bool:
        """True between the first `show` and `close`."""
        return self._screen is not None

    def show(self, frame: NDArray[np.uint8]) -> None:
        """Show a frame, (h, w, 3) uint8 RGB, and wait so long that the rate keeps to fps.

        Raises ArgumentError for another array, DisplayError where no window can be opened.
        """
        frame = np.ascontiguousarray(frame)
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
            raise ArgumentError(f"frame: an (h, w, 3) uint8 array, found {frame.shape} of {frame.dtype}")
        pygame = load_pygame()
        size = (frame.shape[1], frame.shape[0])
        if self._screen is None or size != self._size:
            self._open(size)
        picture = pygame.image.frombuffer(frame, size, "RGB")
        if self._scale < 1:
            # smoothscale wants the window's own size, and a surface of the same depth.
            picture = pygame.transform.smoothscale(picture, self._screen.get_size())
        self._screen.blit(picture, (0, 0))
        pygame.display.flip()
        self._clock.tick(self.fps)

    def events(self) -> list[WindowEvent]:
        """Return what happened since the last call, oldest first; an empty list while no window is open."""
        if self._screen is None:
            return []
        pygame = load_pygame()
        found: list[WindowEvent] = []
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                found.append(WindowEvent("quit"))
            elif event.type == pygame.KEYDOWN:
                found.append(WindowEvent("key", _key_name(pygame, event)))
            elif event.type == pygame.MOUSEMOTION:
                found.append(WindowEvent("move", "", self._in_frame(event.pos)))
            elif event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
                found.append(WindowEvent("click", "", self._in_frame(event.pos)))
        return found

    def close(self) -> None:
        """Close the window; it opens again at the next `show`. Closing twice does no harm."""
        if self._screen is not None:
            # Only the display: pygame.quit() would take fonts and other people's modules along.
            load_pygame().display.quit()
        self._screen = self._size = None

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, size: tuple[int, int]) -> None:
        pygame = load_pygame()
        try:
            pygame.display.init()
            driver = pygame.display.get_driver()
            if driver in ("dummy", "offscreen") and os.environ.get("SDL_VIDEODRIVER") != driver:
                pygame.display.quit()
                raise DisplayError(_HEADLESS.format(reason=f"SDL found only its {driver!r} driver"))
            self._scale = min(1.0, _desktop_share(pygame, size))
            shown = (max(1, int(size[0] * self._scale)), max(1, int(size[1] * self._scale)))
            self._screen = pygame.display.set_mode(shown)
            pygame.display.set_caption(self.title)
        except pygame.error as error:
            self.close()
            raise DisplayError(_HEADLESS.format(reason=f"SDL says: {error}")) from error
        self._clock = self._clock or pygame.time.Clock()
        self._size = size

    def _in_frame(self, position: tuple[int, int]) -> tuple[int, int]:
        return int(position[0] / self._scale), int(position[1] / self._scale)


def _desktop_share(pygame: Any, size: tuple[int, int]) -> float:
    """Return how many times the desktop, less a margin for its bars, is as large as the frame."""
    if pygame.display.get_driver() in ("dummy", "offscreen"):
        return 1.0
    desktops = pygame.display.get_desktop_sizes()
    if not desktops:
        return 1.0
    width, height = desktops[0]
    return min(width * 0.95 / size[0], height * 0.88 / size[1])


def _key_name(pygame: Any, event: Any) -> str:
    typed = getattr(event, "unicode", "")
    if typed and typed.isprintable() and not typed.isspace():
        return str(typed)
    return str(pygame.key.name(event.key))

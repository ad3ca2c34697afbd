"""Loading late, failing early where pygame is broken, and the window under SDL's dummy driver."""

import os
import subprocess
import sys

import numpy as np
import pytest

from rltk.drawing import Window, WindowEvent, check_pygame, pygame_check
from rltk.errors import ArgumentError, DisplayError


def run(code, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SDL_", "DISPLAY", "WAYLAND"))}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**clean, **environment}, timeout=120
    )


def test_importing_the_rooms_loads_no_drawing_library():
    code = """
import sys
import rltk.drawing, rltk.viewing, rltk.drawing.scene
heavy = {"pygame", "matplotlib", "PIL", "torch", "numba", "scipy"} & set(sys.modules)
assert not heavy, heavy
from rltk.drawing import Scene, Cell, Overlay, Token
assert "pygame" not in sys.modules and "matplotlib" not in sys.modules
from rltk.drawing import learning_curve, value_map
assert "pygame" not in sys.modules
import rltk.drawing.plots
learning_curve({"a": ([0, 1], [0, 1])})
assert "matplotlib.pyplot" not in sys.modules
"""
    result = run(code)
    assert result.returncode == 0, result.stderr


def test_painting_is_silent_and_needs_no_display():
    code = """
import numpy as np
from rltk.drawing import Overlay, Scene, paint
picture = paint(Scene(np.zeros((3, 3), int), np.arange(9).reshape(3, 3), agent=(1, 1)), overlay=Overlay(value=range(9)))
assert picture.mean() > 60
import pygame
assert not pygame.display.get_init()
"""
    result = run(code)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_both_distributions_together_are_refused_with_the_mend(monkeypatch):
    monkeypatch.setattr(pygame_check.metadata, "version", lambda name: "2.6")
    with pytest.raises(DisplayError, match="uninstall -y pygame pygame-ce") as caught:
        check_pygame()
    assert "install pygame-ce" in str(caught.value)
    assert pygame_check.main() == 1


def test_a_missing_pygame_says_what_to_install(monkeypatch, capsys):
    def missing(name):
        raise pygame_check.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(pygame_check.metadata, "version", missing)
    assert pygame_check.main() == 1
    assert "pip install pygame-ce" in capsys.readouterr().err


def test_this_installation_is_sound():
    assert check_pygame() in ("pygame", "pygame-ce")
    result = run("import runpy; runpy.run_module('rltk.drawing.pygame_check', run_name='__main__')")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_the_error_says_what_to_do():
    code = """
import numpy as np
from rltk.drawing import Window
from rltk.errors import DisplayError
window = Window()
try:
    window.show(np.zeros((10, 10, 3), np.uint8))
except DisplayError as error:
    assert "rgb_array" in str(error) and "SDL_VIDEODRIVER=dummy" in str(error)
    assert not window.is_open
else:
    raise SystemExit("a window opened")
"""
    result = run(code)
    assert result.returncode == 0, result.stderr + result.stdout


@pytest.fixture
def window(monkeypatch):
    import pygame

    pygame.display.quit()  # somebody may have begun it with another driver, as Gymnasium's pictures do
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with Window("test", fps=500) as opened:
        yield opened


def test_a_window_shows_the_frame_and_takes_its_size(window):
    import pygame

    assert not window.is_open
    assert window.events() == []
    frame = np.zeros((30, 50, 3), np.uint8)
    frame[3, 7] = (1, 2, 250)
    window.show(frame)
    assert pygame.display.get_surface().get_size() == (50, 30)
    assert tuple(pygame.display.get_surface().get_at((7, 3)))[:3] == (1, 2, 250)
    window.show(np.zeros((40, 60, 3), np.uint8))
    assert pygame.display.get_surface().get_size() == (60, 40)
    window.close()
    window.close()
    assert not window.is_open
    assert not pygame.display.get_init()


def test_events_are_named(window):
    import pygame

    window.show(np.zeros((30, 50, 3), np.uint8))
    window.events()
    for event in (
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_v, unicode="v"),
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_SPACE, unicode=" "),
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_UP, unicode=""),
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE, unicode="\x1b"),
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_EQUALS, unicode="+"),
        pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(4, 5)),
        pygame.event.Event(pygame.QUIT),
    ):
        pygame.event.post(event)
    found = [event for event in window.events() if event.kind != "move"]
    assert [event.key for event in found[:5]] == ["v", "space", "up", "escape", "+"]
    assert found[5] == WindowEvent("click", "", (4, 5))
    assert found[6].kind == "quit"


def test_bad_frames_and_rates_are_refused(window):
    with pytest.raises(ArgumentError, match="uint8"):
        window.show(np.zeros((3, 3, 3)))
    with pytest.raises(ArgumentError, match="fps"):
        Window(fps=0)

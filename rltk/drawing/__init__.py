"""Pictures: scenes as data, their painter, films, plots of arrays, and one plain window to show frames in.

Names are loaded when they are first used, so `import rltk.drawing` reads neither pygame nor matplotlib nor pillow.
"""

from typing import TYPE_CHECKING

from rltk.lazy import lazily

if TYPE_CHECKING:
    from rltk.drawing.colours import OKABE_ITO
    from rltk.drawing.film import save_gif
    from rltk.drawing.legend import paint_strip
    from rltk.drawing.painter import Painter, default_cell_size, paint
    from rltk.drawing.panels import Line, Panel, panels_plot
    from rltk.drawing.plots import learning_curve, save_figure, value_map
    from rltk.drawing.pygame_check import check_pygame
    from rltk.drawing.scene import Cell, Overlay, Scene, Token
    from rltk.drawing.scores import interval_plot, profile_plot
    from rltk.drawing.window import Window, WindowEvent

_HOMES = {
    "OKABE_ITO": "colours",
    "Cell": "scene",
    "Line": "panels",
    "Overlay": "scene",
    "Painter": "painter",
    "Panel": "panels",
    "Scene": "scene",
    "Token": "scene",
    "Window": "window",
    "WindowEvent": "window",
    "check_pygame": "pygame_check",
    "default_cell_size": "painter",
    "interval_plot": "scores",
    "learning_curve": "plots",
    "paint": "painter",
    "paint_strip": "legend",
    "panels_plot": "panels",
    "profile_plot": "scores",
    "save_figure": "plots",
    "save_gif": "film",
    "value_map": "plots",
}

__all__ = [
    "OKABE_ITO",
    "Cell",
    "Line",
    "Overlay",
    "Painter",
    "Panel",
    "Scene",
    "Token",
    "Window",
    "WindowEvent",
    "check_pygame",
    "default_cell_size",
    "interval_plot",
    "learning_curve",
    "paint",
    "paint_strip",
    "panels_plot",
    "profile_plot",
    "save_figure",
    "save_gif",
    "value_map",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)

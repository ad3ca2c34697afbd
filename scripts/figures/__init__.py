"""The figures of the textbook, one file each (families share one), by the book's numbers."""

from importlib import import_module

from rltk.errors import UnknownNameError
from rltk.scripts.figures.experiment import Experiment

# name -> (file, what else it is called)
FIGURES: dict[str, tuple[str, tuple[str, ...]]] = {
    "example-6.2": ("random_walk", ()),
    "example-6.3": ("batch_updating", ("figure-6.2",)),
    "example-6.5": ("windy_gridworld", ()),
    "example-6.6": ("cliff_walking", ()),
    "figure-6.3": ("step_sizes", ()),
    "figure-6.5": ("maximization_bias", ("example-6.7",)),
    "figure-7.2": ("n_step", ()),
    "figure-8.2": ("dyna_maze", ("example-8.1",)),
    "figure-12.3": ("lambda_return", ()),
    "figure-12.6": ("td_lambda", ()),
    "figure-12.8": ("true_online", ()),
}


def experiment(name: str) -> Experiment:
    """The experiment of the figure called so."""
    return import_module(f"rltk.scripts.figures.{FIGURES[name][0]}").EXPERIMENT


def named(wanted: tuple[str, ...]) -> list[str]:
    """The figures that are meant: all where nothing is said; "6.3" is Example 6.3 and Figure 6.3.

    Raises UnknownNameError where there is none.
    """
    chosen = set()
    for words in wanted:
        name = words.lower().replace(" ", "-")
        meant = {figure for figure, (_, others) in FIGURES.items() for n in (figure, *others) if _is_meant(name, n)}
        if not meant:
            raise UnknownNameError(f"no figure is called {words!r}; there are {', '.join(FIGURES)}. A number will do")
        chosen |= meant
    return [figure for figure in FIGURES if figure in chosen or not wanted]


def _is_meant(name: str, figure: str) -> bool:
    return name in (figure, figure.split("-")[1])

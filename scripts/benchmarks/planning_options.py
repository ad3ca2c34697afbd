"""The options of `rltk bench planning`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass
class PlanningOptions:
    """Options of `planning`."""

    cases: tuple[str, ...] = ()
    """Problems by name or a part of it; all of them if none is named."""
    peers: tuple[str, ...] = ()
    """storm, quantecon, mdpsolver, toolbox, scipy, dict, or one method by a part of its name ("optimistic"); those
    installed if none is named, and no peer for `none`."""
    seeds: int = 3
    """How many problems of each case, each numbered at random."""
    limit: float = 60.0
    """Seconds that a peer's rounds may take together on one problem; a round that has begun is finished."""
    cutoff: float = 180.0
    """Seconds after which a peer is cut off that has neither finished a round nor begun one."""
    cores: int = 1
    """How many cores every method may use."""
    memory: bool = True
    """Memory that each method adds is measured too, in a process of its own; --no-memory leaves it out."""
    quick: bool = False
    """One small grid, one seed, one round, no processes besides: to see that it works."""
    huge: bool = False
    """Instead of the table: solve one grid of 10^8 states in the compact form."""
    side: int = 11_181
    """Side of the grid of `huge`."""
    goals: int = 125
    """Goals of the grid of `huge`."""
    json: Path | None = None
    """Write every figure to this file as well."""
    markdown: Path | None = None
    """Write the tables to this file as Markdown as well."""

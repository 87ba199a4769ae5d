"""What every part of the suite is told, and what it says of its targets."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import cache
from benchmarks.cache import Corpus, Extent
from benchmarks.corpus import Kind

__all__ = ["Bench", "Claim", "Results", "claim_table", "in_turn", "table", "verdict"]

Results = dict[str, Any]
"""What a part measured, as JSON has it; of a part that goes by class, one entry for each."""


FIGURE = "0123456789+-–≤≥<"
"""What figures begin with."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Frozen settings of a run of the suite."""

    cache: Path
    """Folder for files that are made, kept for the next time, and for what is made of them."""
    scale: float
    """Times the files of everything; far below 1 only shows that it works."""
    runs: int
    """So often everything quick is measured; medians count."""
    classes: Sequence[str]

    @property
    def out(self) -> Path:
        """Where runs write to; emptied before each."""
        return self.cache / "out"

    def full(self, name: str) -> Corpus:
        """All files of a class."""
        return cache.full(name, cache=self.cache, scale=self.scale)

    def few(self, name: str) -> Corpus:
        """The first files of a class, for slower programs."""
        return cache.few(name, cache=self.cache, scale=self.scale)

    def make(self, kind: Kind, name: str, extent: Extent) -> Corpus:
        """Other files, scaled."""
        return cache.make(kind, name, extent.scaled(self.scale), cache=self.cache)


@dataclass(frozen=True, slots=True)
class Claim:
    """One figure that has a target."""

    what: str
    found: str
    target: str
    met: bool


def in_turn(sides: Sequence[Callable[[], float]], *, runs: int, patience: float = float("inf")) -> list[float]:
    """The median of each side, measured one after the other, `runs` times.

    A side that has taken longer than `patience` (in its own measure) in all is not repeated.
    """
    found: list[list[float]] = [[] for _ in sides]
    for _ in range(runs):
        for side, values in zip(sides, found, strict=True):
            if sum(values) <= patience:
                values.append(side())
    return [statistics.median(values) for values in found]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; columns of figures are set to the right."""
    figures = [all(not cell or cell[0] in FIGURE for cell in column) for column in zip(*rows, strict=True)]
    lines = [head, ["---:" if right else "---" for right in figures], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def claim_table(claims: Sequence[Claim], more: Sequence[Sequence[str]] = ()) -> str:
    """Targets and figures, row by row; `more` has rows of the same four columns."""
    rows = [(c.what.rpartition(": ")[2], c.found, c.target, verdict(met=c.met)) for c in claims]
    return table(["", "measured", "target", "met"], [*rows, *more])


def verdict(*, met: bool) -> str:
    """Whether a target is met."""
    return "yes" if met else "**no**"

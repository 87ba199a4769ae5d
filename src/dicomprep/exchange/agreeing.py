"""One label for each image or unit and annotator, of all rows of a table that speak of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ConfigError
from dicomprep.exchange.classes import same_classes
from dicomprep.exchange.label_columns import Said

__all__ = ["Kept", "Rule", "Votes", "keep_one_each"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of rows that contradict each other."""

    multi: bool = False
    """The classes of all of them count."""
    latest: bool = False
    """The last one counts."""


@dataclass(frozen=True, slots=True)
class Votes:
    """Rows with a label of something that is there, side by side."""

    rows: NDArray[np.int64]
    targets: NDArray[np.int64]
    """The image or unit of each."""
    annotators: NDArray[np.int32]
    """Who gave each, by the place in `names`."""
    names: tuple[str, ...]
    times: Sequence[str] | None
    """When each row of the table was said; None where not all have a time."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What counts."""

    votes: NDArray[np.int64]
    """Places of the votes that do, in the order of their rows."""
    united: dict[int, str]
    """Labels made of several rows, by the row that stands for them."""
    repeated: int
    """Rows that say what another one says."""
    note: str = ""


def keep_one_each(said: Said, votes: Votes, rule: Rule, *, what: str) -> Kept:
    """Keep a row for each target and annotator; ConfigError where two say different things and no rule decides.

    Where all rows have a time, it is a history: the newest counts. `what` is the level, for messages.
    """
    order = np.lexsort((votes.rows, votes.annotators, votes.targets))
    targets, annotators = votes.targets[order], votes.annotators[order]
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(targets) != 0) | (np.diff(annotators) != 0)
    firsts = np.flatnonzero(new)
    sizes = np.diff(np.append(firsts, len(order)))
    chosen, united, superseded, repeated = order[firsts], dict[int, str](), 0, 0
    for group in np.flatnonzero(sizes > 1).tolist():
        members = order[firsts[group] : firsts[group] + sizes[group]].tolist()
        chosen[group], label = _choose(said, votes, rule, members, what)
        if label is not None:
            united[int(votes.rows[chosen[group]])] = label
        elif votes.times is None:
            repeated += len(members) - 1
        superseded += rule.latest and len({int(said.codes[votes.rows[one]]) for one in members}) > 1
    chosen.sort()
    note = f"{superseded:,} contradictions: the last row counts (--latest)." if superseded else ""
    return Kept(chosen, united, repeated - superseded if rule.latest else repeated, note)


def _choose(said: Said, votes: Votes, rule: Rule, members: list[int], what: str) -> tuple[int, str | None]:
    """Which of several rows counts, and the label, if it is another than that row's."""
    rows = [int(votes.rows[one]) for one in members]
    if votes.times is not None or rule.latest:
        times = votes.times
        return max(members, key=lambda one: ("" if times is None else times[int(votes.rows[one])], one)), None
    labels = [said.values[said.codes[row]] or "" for row in rows]
    if rule.multi or said.is_one_hot:
        names = dict.fromkeys(name for label in labels for name in label.split(",") if name)
        order = {name: place for place, name in enumerate(said.classes)}
        return members[0], ",".join(sorted(names, key=lambda name: order.get(name, len(order))))
    different = next((place for place, label in enumerate(labels) if not same_classes(labels[0], label)), None)
    if different is not None:
        _refuse(said, rows[0], rows[different], what)
    return members[0], None


def _refuse(said: Said, one: int, other: int, what: str) -> None:
    first, second = (_named(said.values[said.codes[row]]) for row in (one, other))
    lines = f"rows {said.table.lines[one]} and {said.table.lines[other]}"
    target = "image" if what == "frame" else what
    raise ConfigError(
        f"{said.table.path}: {lines} contradict each other: the same {target} is {first} and {second} for the same "
        f"annotator. Give one row per {target} and annotator, separate several classes in one cell by commas, or give "
        "--multi (the classes of all rows count) or --latest (the last row counts). Nothing was imported."
    )


def _named(label: str | None) -> str:
    return label or "none of the classes"

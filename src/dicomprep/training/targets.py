"""From labels to targets: class numbers, marks of several classes, numbers, texts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.database.queries.classes import classes_of, in_class_order
from dicomprep.database.queries.columns import Coded
from dicomprep.database.queries.units import UNCERTAIN_MARK
from dicomprep.errors import ConfigError, like

__all__ = ["UNLABELED", "Labels", "Wanted", "as_number"]

UNLABELED = -1
"""The target of what has no label, or of a class that is uncertain."""

Labels = str | Sequence[str] | Mapping[str, float] | None
MAX_SHOWN = 20
"""Labels that an error lists."""

_WORDS = ("any", "number", "text")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `labels` of a Dataset asks for."""

    labels: Labels
    multi: bool

    def __post_init__(self) -> None:
        if isinstance(self.labels, str) and self.labels not in _WORDS:
            raise ConfigError(f'labels="{self.labels}": give names in a list, or "any", "number" or "text".')
        if self.multi and (isinstance(self.labels, Mapping) or self.labels in ("number", "text")):
            raise ConfigError(
                "labels: a mapping, numbers and texts give one target per image; with multi=True, give names in a list."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The labels that were named."""
        return () if self.labels is None or isinstance(self.labels, str) else tuple(self.labels)

    @property
    def needs_label(self) -> bool:
        """Whether only what has a label is taken, whichever it is."""
        return self.labels is not None if self.multi else isinstance(self.labels, str)

    def require_known(self, labels: Iterable[str], listed: Sequence[str]) -> None:
        """ConfigError where a label is named that nothing has and no list: it would choose nothing without a word."""
        named = (name for label in labels for name in (label, *label.split(","), *classes_of(label)) if name)
        known = dict.fromkeys(named) | dict.fromkeys(listed)
        unknown = [f"{name}{like(name, known)}" for name in self.names if name not in known]
        if unknown:
            there = ", ".join(list(known)[:MAX_SHOWN]) or "none yet"
            raise ConfigError(f"labels: nothing is labeled {', '.join(unknown)}. There are: {there}.")

    def choose(self, label: Coded) -> NDArray[np.int64]:
        """The rows that are taken. Returns (n,) int64; `label` has a code for each row, (rows,)."""
        taken = np.array([self._takes(value) for value in label.values], bool)
        return np.flatnonzero(taken[label.codes]) if len(taken) else np.zeros(0, np.int64)

    def classes(self, labels: Iterable[str], numbered: Sequence[str], *, padded: bool) -> tuple[str, ...]:
        """The classes, in the order of their targets, of the labels that occur; `in_class_order` says the rest."""
        if self.names or self.labels in ("number", "text"):
            return self.names
        if not self.multi:
            return tuple(labels)
        return in_class_order(chain.from_iterable(map(classes_of, labels)), numbered, padded=padded)

    def targets(self, label: Coded, classes: Sequence[str]) -> NDArray[Any]:
        """The target of every row. Returns (n,), or (n, classes) with `multi`; `label` has a code for each, (n,)."""
        known = self._known(label.values, classes)
        return known[label.codes] if len(label.codes) else known[:0]

    def _takes(self, value: str | None) -> bool:
        if self.labels == "number":
            return as_number(value) is not None
        if self.needs_label:
            return value is not None
        return not self.names or value in self.names or self.multi

    def _known(self, values: Sequence[str | None], classes: Sequence[str]) -> NDArray[Any]:
        """The target of each label."""
        if self.multi:
            return np.array([_marks(value, classes) for value in values], np.float32).reshape(-1, len(classes))
        if self.labels == "text":
            return np.array([value or "" for value in values], object)
        if self.labels == "number":
            return np.array([as_number(value) for value in values], np.float32)
        if isinstance(self.labels, Mapping):
            whole = all(isinstance(value, int) for value in self.labels.values())
            given = [self.labels.get(value or "", UNLABELED) if value is not None else UNLABELED for value in values]
            return np.array(given, np.int64 if whole else np.float32)
        numbers = {name: number for number, name in enumerate(classes)}
        return np.array([numbers.get(value, UNLABELED) for value in values], np.int64)  # type: ignore[arg-type]


def _marks(value: str | None, classes: Sequence[str]) -> list[float]:
    """1 where a label has the class, else 0; -1 where it is uncertain, or there is no label."""
    if value is None:
        return [UNLABELED] * len(classes)
    names = set(value.split(","))
    return [float(name in names) or -float(f"{name}{UNCERTAIN_MARK}" in names) for name in classes]


def as_number(value: str | None) -> float | None:
    """A label as a number, also with a decimal comma; None where it is none."""
    try:
        number = float((value or "").replace(",", "."))
    except ValueError:
        return None
    return number if np.isfinite(number) else None

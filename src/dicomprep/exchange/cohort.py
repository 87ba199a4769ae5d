"""The table that papers begin with: who and what is in each split."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dicomprep.config import SPLIT_NAMES
from dicomprep.dicom.manufacturers import name_manufacturer

__all__ = ["Cohort", "CohortRow", "Subject", "cohort_in_markdown"]

MAX_VALUES = 12
"""Manufacturers, body parts or labels listed; bounds the table."""

NOT_STATED = "not stated"
UNLABELED = "unlabeled"
_SEXES = {"F": "female", "M": "male", "O": "other"}


class Subject(NamedTuple):
    """What some images have in common."""

    split: str
    patient: object
    age: int | None
    sex: str | None
    manufacturer: str | None
    body_part: str | None
    spacing_mm: float | None
    """Between rows."""
    label: str | None


@dataclass(frozen=True, slots=True)
class CohortRow:
    """A line of the table: a heading where it has no cells."""

    name: str
    cells: tuple[str, ...] = ()
    """By split, then of all."""
    is_part: bool = False
    """Of what the heading above says."""


@dataclass(slots=True)
class Cohort:
    """Counts by split; memory grows with patients and distinct values, not with images."""

    patients: dict[str, dict[object, tuple[int | None, str | None]]] = field(default_factory=lambda: defaultdict(dict))
    """Age and sex of each, as first stated: the youngest age that is recorded."""
    images: Counter[str] = field(default_factory=Counter)
    values: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Images by value, of each column and split."""
    spacings: dict[str, Counter[float]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, one: Subject, images: int) -> None:
        """Count images."""
        age, sex = self.patients[one.split].get(one.patient, (None, None))
        ages = [each for each in (age, one.age) if each is not None]
        self.patients[one.split][one.patient] = min(ages, default=None), sex or one.sex
        self.images[one.split] += images
        for column, value in (("manufacturer", name_manufacturer(one.manufacturer)), ("body_part", one.body_part)):
            self.values[column, one.split][value or NOT_STATED] += images
        for name in (UNLABELED,) if one.label is None else one.label.split(","):
            self.values["label", one.split][name or "none of the classes"] += images
        if one.spacing_mm is not None:
            self.spacings[one.split][round(one.spacing_mm, 3)] += images

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that have images, train first."""
        return tuple(name for name in SPLIT_NAMES if self.images[name])

    def rows(self) -> Iterator[CohortRow]:
        """The lines of the table."""
        groups = [(name,) for name in self.splits] + [self.splits]
        totals = [sum(len(self.patients[name]) for name in names) for names in groups]
        yield CohortRow("Patients", tuple(f"{total:,}" for total in totals))
        yield CohortRow("Images", tuple(f"{self._count(names):,}" for names in groups))
        people = [[person for name in names for person in self.patients[name].values()] for names in groups]
        ages: list[Counter[float]] = [Counter(age for age, _ in one if age is not None) for one in people]
        yield CohortRow("Age (years), median (IQR)", tuple(map(_median, ages)))
        sexes = [Counter(_SEXES.get(sex or "", NOT_STATED) for _, sex in one) for one in people]
        spacings = [sum((self.spacings[name] for name in names), Counter[float]()) for names in groups]
        yield CohortRow("Pixel spacing (mm), median (IQR)", tuple(map(_median, spacings)))
        yield from _section("Sex, patients (%)", sexes, totals)
        images = [self._count(names) for names in groups]
        for column, title in (("manufacturer", "Manufacturer"), ("body_part", "Body part"), ("label", "Label")):
            counts = [sum((self.values[column, name] for name in names), Counter[str]()) for names in groups]
            yield from _section(f"{title}, images (%)", counts, images)

    def _count(self, names: Iterable[str]) -> int:
        return sum(self.images[name] for name in names)


def _section(title: str, counts: Sequence[Counter[str]], totals: Sequence[int]) -> Iterator[CohortRow]:
    """A heading and a line for each value, the commonest first; the rarest together, what is not stated last."""
    last = {NOT_STATED: 1, UNLABELED: 1}
    names = sorted(counts[-1], key=lambda name: (last.get(name, 0), -counts[-1][name], name))
    shown = names if len(names) <= MAX_VALUES else names[: MAX_VALUES - 1]
    yield CohortRow(title)
    others = set(names) - set(shown)
    for name, together in [*((name, (name,)) for name in shown), (f"{len(others):,} others", tuple(others))]:
        if together:
            sums = (sum(one[each] for each in together) for one in counts)
            yield CohortRow(name, tuple(map(_share, sums, totals)), is_part=True)


def _share(count: int, total: int) -> str:
    """A count and its percentage.

    >>> _share(12, 400)
    '12 (3.0)'
    """
    return f"{count:,} ({100 * count / total:.1f})" if total else "0"


def _median(counts: Counter[float]) -> str:
    """Median and quartiles of values that occur several times.

    >>> _median(Counter({40: 1, 50: 2, 70: 1}))
    '50 (47.5–55)'
    """
    total = sum(counts.values())
    if not total:
        return "–"
    low, middle, high = (_quantile(counts, share * (total - 1)) for share in (0.25, 0.5, 0.75))
    return f"{middle:.4g} ({low:.4g}–{high:.4g})"


def _quantile(counts: Mapping[float, int], place: float) -> float:
    """The value at a place (from 0) among all in their order, between two of them in proportion."""
    before, below = int(place), place - int(place)
    ends = []
    for wanted in (before, before + (below > 0)):
        seen = 0
        for value in sorted(counts):
            seen += counts[value]
            if seen > wanted:
                ends.append(value)
                break
    return ends[0] + below * (ends[1] - ends[0])


def cohort_in_markdown(cohort: Cohort, escape: Callable[[object], str]) -> str:
    """The table for a data card; `escape` makes text of files and people plain."""
    names = (*cohort.splits, "all")
    lines = [f"| | {' | '.join(names)} |", f"| --- |{' ---: |' * len(names)}"]
    for row in cohort.rows():
        cells = row.cells or ("",) * len(names)
        name = f"– {escape(row.name)}" if row.is_part else escape(row.name) if row.cells else f"**{escape(row.name)}**"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"

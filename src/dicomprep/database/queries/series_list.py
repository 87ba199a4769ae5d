"""Reads of the view `series`: those that meet a condition, and the best of each study for a purpose."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, select, true

from dicomprep.database.conditions import parse_condition
from dicomprep.database.schema import files
from dicomprep.database.series_schema import series, stale_series
from dicomprep.errors import ConfigError, count_of
from dicomprep.privacy.allow_list import Kind

__all__ = ["BestSeries", "Purpose", "SeriesRow", "best_series", "find_series", "has_stale_series", "in_series"]

MAX_KEYS = 30_000
"""Keys of series that may be given one by one; SQLite takes 32,766 parameters of a statement."""

PLANES = ("axial", "coronal", "sagittal", "oblique")
KERNELS = ("soft", "bone", "lung")
WEIGHTINGS = (
    *("T1", "T2", "T2*", "PD", "FLAIR", "STIR", "DWI", "ADC", "SWI", "MRA", "PERFUSION", "FMRI", "MAP", "PHASE"),
)
CONTRASTS = {"contrast": "yes", "enhanced": "yes", "plain": "no", "unenhanced": "no"}
UNKNOWN = "unknown"


class SeriesRow(NamedTuple):
    """What a list shows of a series."""

    series_key: str
    study_key: str | None
    split: str
    modality: str | None
    kind: str
    images: int
    plane: str
    slices: int
    spacing_mm: float | None
    volume: str
    volume_reason: str
    kernel: str | None
    contrast: str | None
    weighting: str | None
    slice_thickness_mm: float | None
    body_part: str | None


class BestSeries(NamedTuple):
    """The series of a study that serves a purpose best, or None, and why."""

    study_key: str | None
    series: SeriesRow | None
    why: str


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a series is wanted for: each is empty, or what the column of this name is to be."""

    modality: str = ""
    plane: str = ""
    kernel: str = ""
    weighting: str = ""
    contrast: str = ""
    body_part: str = ""

    @classmethod
    def parse(cls, text: str, *, modalities: Sequence[str], body_parts: Sequence[str]) -> "Purpose":
        """The purpose that words state, such as `CT axial soft`; ConfigError where one of them is none.

        `modalities` and `body_parts` are those that there are.
        """
        said: dict[str, str] = {}
        for word in text.replace(",", " ").split():
            name, value = _meaning(word, modalities, body_parts)
            if said.setdefault(name, value) != value:
                raise ConfigError(f"--best {text}: {said[name]} and {value} exclude each other.")
        return cls(**said)


def _meaning(word: str, modalities: Sequence[str], body_parts: Sequence[str]) -> tuple[str, str]:
    lower, upper = word.lower(), word.upper()
    known: tuple[tuple[str, bool, str], ...] = (
        ("plane", lower in PLANES, lower),
        ("kernel", lower in KERNELS, lower),
        ("weighting", upper in WEIGHTINGS, upper),
        ("contrast", lower in CONTRASTS, CONTRASTS.get(lower, "")),
        ("modality", upper in modalities, upper),
        ("body_part", upper in body_parts, upper),
    )
    for name, holds, value in known:
        if holds:
            return name, value
    choices = ", ".join((*modalities, *PLANES, *KERNELS, *WEIGHTINGS, *CONTRASTS, *body_parts))
    raise ConfigError(f"--best: {word} is none of {choices}.")


def has_stale_series(connection: Connection) -> bool:
    """Whether something changed since the facts of series were made."""
    return connection.execute(select(stale_series.c.id).limit(1)).first() is not None


def in_series(wanted: str | Sequence[str]) -> ColumnElement[bool]:
    """The condition on `schema.files` of series with these keys, or that meet a condition on the view."""
    if isinstance(wanted, str):
        return files.c.series_key.in_(select(series.c.series_key).where(_condition(wanted)))
    if len(wanted) > MAX_KEYS:
        raise ConfigError(f"series: {len(wanted):,} keys; give at most {MAX_KEYS:,}, or a condition.")
    return files.c.series_key.in_(list(wanted))


def _condition(where: str | None) -> ColumnElement[bool]:
    return true() if where is None else parse_condition(where, dict(series.columns.items()))


def find_series(connection: Connection, where: str | None) -> list[SeriesRow]:
    """The series that meet a condition on the columns of the view; study after study, by their number."""
    columns = (series.c[name] for name in SeriesRow._fields)
    order = (series.c.study_key, series.c.series_number, series.c.series_key)
    return [SeriesRow(*row) for row in connection.execute(select(*columns).where(_condition(where)).order_by(*order))]


def best_series(rows: Sequence[SeriesRow], purpose: Purpose) -> Iterator[BestSeries]:
    """Of each study the series that serves best: original, a volume, of known contrast, of most slices, thinnest.

    Only what is known to be what is wanted serves, but that contrast may be unknown; of equals the first by its key.
    """
    studies: dict[str | None, list[SeriesRow]] = {}
    for row in rows:
        studies.setdefault(row.study_key, []).append(row)
    for study_key, of_study in studies.items():
        serving = [row for row in of_study if _serves(row, purpose)]
        best = max(sorted(serving, key=lambda row: row.series_key), key=_rank(purpose), default=None)
        why = _refusal(of_study, purpose) if best is None else _explain(best, purpose, len(serving))
        yield BestSeries(study_key, best, why)


_WANTED = ("modality", "plane", "kernel", "weighting", "contrast", "body_part")
_APART = (Kind.ORIGINAL, Kind.DERIVED)


def _matches(row: SeriesRow, purpose: Purpose, name: str) -> bool | None:
    """Whether a column is what is wanted; None where headers often do not say it."""
    wanted, value = getattr(purpose, name), getattr(row, name)
    if not wanted:
        return True
    if value is None or value == UNKNOWN:
        return None if name == "contrast" and value else False
    return wanted in value.split("_") if name == "body_part" else bool(value == wanted)


def _serves(row: SeriesRow, purpose: Purpose) -> bool:
    return row.kind in _APART and all(_matches(row, purpose, name) is not False for name in _WANTED)


def _rank(purpose: Purpose) -> Callable[[SeriesRow], tuple[Any, ...]]:
    def rank(row: SeriesRow) -> tuple[Any, ...]:
        is_volume = row.volume == "yes" and row.slices > 1
        is_certain = _matches(row, purpose, "contrast") is True
        thinness = -(row.slice_thickness_mm or row.spacing_mm or float("inf"))
        return row.kind == Kind.ORIGINAL, is_volume, is_certain, row.slices, thinness

    return rank


def _explain(row: SeriesRow, purpose: Purpose, count: int) -> str:
    parts = [row.kind, "a volume" if row.volume == "yes" else f"no volume ({row.volume_reason})"]
    asked = (name for name in ("plane", "kernel", "weighting", "contrast") if getattr(purpose, name))
    parts += [f"{name} {getattr(row, name) or UNKNOWN}" for name in asked]
    parts.append(count_of(row.slices, "slice"))
    if row.slice_thickness_mm is not None:
        parts.append(f"{row.slice_thickness_mm:g} mm")
    return f"{', '.join(parts)}; of {count} that may serve" if count > 1 else ", ".join(parts)


def _refusal(rows: Sequence[SeriesRow], purpose: Purpose) -> str:
    """What no series of a study is, the first that none of them is."""
    if not any(row.kind in _APART for row in rows):
        return "no original or derived images"
    for name in _WANTED:
        if not any(_matches(row, purpose, name) is not False for row in rows if row.kind in _APART):
            return f"no series with {name} {getattr(purpose, name)}"
    return "no series is all of it"

"""What is derived of a series from its images; where they differ, nothing is said rather than something wrong."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection

from dicomprep.database.queries.frames import FailedFile, failed_files
from dicomprep.database.queries.series import frames_of_series
from dicomprep.database.queries.slice_order import DIVIDING, PlacedSlice, SeriesImage, order_slices
from dicomprep.database.queries.stacks import READ, NotAVolumeError, make_slice, make_stack
from dicomprep.pixels.stacking import find_gaps

__all__ = ["DerivedSeries", "derive_series"]

UNKNOWN = "unknown"
_DIFFUSION = frozenset(["DWI", "T2", "T2*", "PD", UNKNOWN])
"""What images of a diffusion series are called by themselves: those without diffusion are T2."""

_DERIVED = ("plane", "kernel", "contrast", "weighting")
_SHARED = ("study_key", "group_id", "modality", "study_year", "manufacturer", "series_number")
"""What all images of a series have in common, as the first of them says it."""
_OFTEN = ("body_part", "description_terms", "slice_thickness_mm")
"""What is taken as most of them say it."""

_COLUMNS = (
    *("id", "duplicate_of", "kind", "kind_reason", *(f"{name}{end}" for name in _DERIVED for end in ("", "_reason"))),
    *(*_SHARED, *_OFTEN, *(name for name in DIVIDING if name not in ("group_id", "kind"))),
)


class DerivedSeries(NamedTuple):
    """What is derived of a series."""

    key: str
    facts: dict[str, Any]
    """A row of `series_facts`."""
    order: list[PlacedSlice]


def derive_series(connection: Connection, keys: Sequence[str]) -> Iterator[DerivedSeries]:
    """What is derived of these series; of those without an image nothing."""
    rows = frames_of_series(connection, keys, (*READ, *_COLUMNS))
    for key, of_one in groupby(rows, key=lambda row: row[0]):
        images = [
            SeriesImage(make_slice(values[: len(READ)]), held, dict(zip(_COLUMNS, values[len(READ) :], strict=True)))
            for _, held, values in of_one
        ]
        uids = {image.slice.series_uid for image in images if image.slice.series_uid}
        failed = [file for uid in sorted(uids) for file in failed_files(connection, uid)]
        yield DerivedSeries(key, {"series_key": key} | _derive(images, failed), order_slices(images, failed))


def _derive(images: Sequence[SeriesImage], failed: Sequence[FailedFile]) -> dict[str, Any]:
    facts: dict[str, Any] = {name: images[0].said[name] for name in _SHARED}
    facts |= {name: _most(image.said[name] for image in images) for name in _OFTEN}
    facts |= {"images": sum(image.said["duplicate_of"] is None for image in images), "slices": len(images)}
    facts["kind"], facts["kind_reason"] = _kind(images)
    for name in _DERIVED:
        facts[name], facts[f"{name}_reason"] = _agreed(images, name)
    facts["volume"], facts["volume_reason"] = _volume(images, failed)
    return facts | _spacing(images, is_volume=facts["volume"] == "yes") | _divisions(images)


def _most(values: Iterator[Any]) -> Any:  # noqa: ANN401
    """What occurs most often, and of such the first; None where nothing is said."""
    counts = Counter(value for value in values if value is not None)
    return counts.most_common(1)[0][0] if counts else None


def _kind(images: Sequence[SeriesImage]) -> tuple[str, str]:
    kinds = Counter(image.said["kind"] or "original" for image in images)
    kind, count = kinds.most_common(1)[0]
    reason = _most(image.said["kind_reason"] for image in images if image.said["kind"] == kind)
    return kind, f"{reason or 'not read yet'}{_share(count, images)}"


def _share(count: int, images: Sequence[SeriesImage]) -> str:
    return "" if count == len(images) else f" ({count} of {len(images)} images)"


def _agreed(images: Sequence[SeriesImage], name: str) -> tuple[str | None, str | None]:
    """What all images say that say anything."""
    values = Counter(image.said[name] for image in images if image.said[name] is not None)
    if not values:
        return None, None
    if name == "weighting" and "DWI" in values and _DIFFUSION.issuperset(values) and _has_diffusion(images):
        return "DWI", "b-value"
    said = [value for value in values if value != UNKNOWN] or [UNKNOWN]
    if len(said) > 1:
        return UNKNOWN, "images differ: " + ", ".join(f"{value} {values[value]}" for value in sorted(said))
    reason = _most(image.said[f"{name}_reason"] for image in images if image.said[name] == said[0])
    return said[0], f"{reason}{_share(values[said[0]], images)}"


def _has_diffusion(images: Sequence[SeriesImage]) -> bool:
    return any(value > 0 for value in _b_values(images))


def _volume(images: Sequence[SeriesImage], failed: Sequence[FailedFile]) -> tuple[str, str]:
    """As `dicomprep.volume` decides it."""
    slices = [image.slice for image in images if not image.is_held]
    held = [image.slice.filename for image in images if image.is_held]
    try:
        stack = make_stack(slices, failed, held)
    except NotAVolumeError as error:
        return "no", error.reason
    if len(stack.slices) == 1:
        return "yes", "a single slice"
    return "yes", "by position" if stack.positions is not None else "by Instance Number, without positions"


def _spacing(images: Sequence[SeriesImage], *, is_volume: bool) -> dict[str, Any]:
    """From slice to slice in mm, between different positions, and how many of these steps are too long."""
    positions = sorted({image.slice.position for image in images if image.slice.position is not None})
    if len({image.slice.orientation for image in images}) > 1 and not is_volume:
        return {"spacing_mm": None, "gaps": None, "spacing_reason": "slices differ in orientation"}
    if len(positions) < 2:
        reason = "one position" if positions else "no positions"
        return {"spacing_mm": None, "gaps": None, "spacing_reason": reason}
    usual, gaps = find_gaps(np.array(positions))
    reason = f"{len(positions)} positions"
    return {"spacing_mm": round(usual, 4), "gaps": 0 if is_volume else gaps, "spacing_reason": reason}


def _divisions(images: Sequence[SeriesImage]) -> dict[str, Any]:
    """Into how many echoes, times and phases a series divides, and into which b-values."""
    echoes = _different(images, "echo_time_ms")
    phases = _different(images, "cardiac_phase_percent")
    b_values = _b_values(images)
    times = len({image.slice.temporal_position for image in images} - {None}) or 1
    at_place = _at_one_place(images)
    reasons = {"Echo Time": echoes, "Diffusion B-value": len(b_values), "Nominal Percentage of Cardiac Phase": phases}
    reasons["Temporal Position"] = times
    if at_place > 1 and max(reasons.values()) == 1:
        if _at_one_place(images, "acquisition_number") == at_place:  # functional MR has both
            times = reasons["Acquisition Number"] = at_place
        elif _at_one_place(images, "trigger_time_ms") == at_place:
            phases = reasons["Trigger Time"] = at_place
    divided = ", ".join(f"{name}: {count}" for name, count in reasons.items() if count > 1)
    undivided = "several images at one position, which nothing tells apart" if at_place > 1 else "undivided"
    texts = "\\".join(f"{value:g}" for value in b_values) or None
    counts = {"echoes": echoes, "time_points": times, "phases": phases, "b_values": texts}
    return counts | {"divisions_reason": divided or undivided}


def _different(images: Sequence[SeriesImage], name: str) -> int:
    return len({image.said[name] for image in images} - {None}) or 1


def _b_values(images: Sequence[SeriesImage]) -> list[float]:
    texts = {image.said["b_values"] for image in images} - {None}
    return sorted({float(value) for text in texts for value in text.split("\\")})


def _at_one_place(images: Sequence[SeriesImage], name: str = "") -> int:
    """How many images lie at one position at most; with `name`, of how many values of that column."""
    places = defaultdict[object, set[object]](set)
    for number, image in enumerate(images):
        if image.slice.position is not None:
            places[image.slice.orientation, image.slice.position].add(image.said[name] if name else number)
    return max(map(len, places.values()), default=1)

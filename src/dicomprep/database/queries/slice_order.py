"""The images of a series in their order, divided into stacks: slices that follow each other without a gap."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dicomprep.database.queries.frames import FailedFile
from dicomprep.database.queries.stacks import TILT_TOLERANCE, Slice
from dicomprep.pixels.stacking import find_breaks

__all__ = ["DIVIDING", "PlacedSlice", "SeriesImage", "order_slices"]

SAME_PLACE_MM = 1e-3
"""Positions that differ by less are one."""

_ALWAYS = ("group_id", "kind", "echo_time_ms", "b_values", "cardiac_phase_percent")
"""Slices that differ in one of these are of different parts of their series, wherever they lie."""
_NUMBERS = ("acquisition_number", "trigger_time_ms", "repetition_time_ms")
DIVIDING = (*_ALWAYS, *_NUMBERS, "image_type")
"""Columns by which a series is divided; the last four only where several slices lie at one position."""


class SeriesImage(NamedTuple):
    """An image of a series."""

    slice: Slice
    is_held: bool
    said: dict[str, Any]
    """By name of column."""


class PlacedSlice(NamedTuple):
    """An image in the order of its series."""

    frame_id: int
    stack: int
    """Slices of one stack, next to each other in this order, are neighbors in the patient."""


_Place = list[SeriesImage]
"""Images at one position."""


def order_slices(images: Sequence[SeriesImage], failed: Sequence[FailedFile]) -> list[PlacedSlice]:
    """Put the images of a series in their order: part by part, and in each by position along the normal.

    Parts differ in orientation, time, echo, b-value, phase, view or patient; they come by their first Instance Number.
    Of what has no position each image is a stack of its own, as are several at one position that nothing tells apart.
    `failed` are files of the series of which no image could be made.
    """
    parts = sorted(_parts(images), key=lambda part: min(map(_number, (image for place in part for image in place))))
    stacks = [stack for part in parts for stack in _stacks(part, failed)]
    return [PlacedSlice(image.said["id"], number) for number, stack in enumerate(stacks) for image in stack]


def _number(image: SeriesImage) -> tuple[int, int, int]:
    return image.slice.instance_number or 0, image.slice.frame_number, image.said["id"]


def _parts(images: Sequence[SeriesImage]) -> Iterator[list[_Place]]:
    parts, planes = defaultdict[tuple[Any, ...], list[SeriesImage]](list), _Planes()
    for image in images:
        one = image.slice
        view = (planes.find(one.orientation), one.temporal_position, one.transform.geometry, one.spacing)
        parts[(*view, *(image.said[name] for name in _ALWAYS), one.position is None)].append(image)
    for (*_, is_nowhere), part in parts.items():
        if is_nowhere:
            yield [[image] for image in sorted(part, key=_number)]
        else:
            yield from _divide(_places(part))


class _Planes:
    """Numbers of the planes of a series; those that differ by less than TILT_TOLERANCE are one."""

    def __init__(self) -> None:
        self._known: dict[str | None, int] = {}
        self._cosines: list[NDArray[np.float64]] = []

    def find(self, orientation: str | None) -> int:
        if orientation not in self._known:
            cosines = np.array((orientation or "nan").split("\\"), np.float64)
            alike = (n for n, other in enumerate(self._cosines) if _is_alike(cosines, other))
            self._known[orientation] = next(alike, len(self._cosines))
            self._cosines.append(cosines)
        return self._known[orientation]


def _is_alike(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return one.shape == other.shape and bool(np.abs(one - other).max() <= TILT_TOLERANCE)


def _places(images: Sequence[SeriesImage]) -> list[_Place]:
    places: list[_Place] = []
    for image in sorted(images, key=lambda image: (image.slice.position, _number(image))):
        if places and _position([image]) - _position(places[-1]) < SAME_PLACE_MM:
            places[-1].append(image)
        else:
            places.append([image])
    return places


def _position(place: _Place) -> float:
    return place[0].slice.position or 0.0


def _divide(places: list[_Place]) -> Iterator[list[_Place]]:
    """Into parts with one image at each position, by the first column that tells apart all that lie at one.

    Where all positions have as many, the n-th of each are one part, for numbers may count on from slice to slice.
    """
    most = max(map(len, places))
    is_even = all(len(place) == most for place in places)
    for name in (*_NUMBERS, "image_type", *([""] if is_even else [])) if most > 1 else ():
        values = [[image.said[name] if name else _number(image) for image in place] for place in places]
        if all(_are_different(those) for those in values):
            ranks = [[sorted(those).index(value) for value in those] for those in values]
            yield from _by_value(places, ranks if is_even and name != "image_type" else values)
            return
    yield places


def _are_different(values: Sequence[Any]) -> bool:
    return None not in values and len(set(values)) == len(values)


def _by_value(places: Sequence[_Place], values: Sequence[Sequence[Any]]) -> Iterator[list[_Place]]:
    parts = defaultdict[Any, list[_Place]](list)
    for place, those in zip(places, values, strict=True):
        for image, value in zip(place, those, strict=True):
            parts[value].append([image])
    yield from parts.values()


def _stacks(part: Sequence[_Place], failed: Sequence[FailedFile]) -> Iterator[list[SeriesImage]]:
    """The places of a part, divided where they do not follow each other."""
    broken = _breaks(part, failed)
    stack: list[SeriesImage] = []
    for place, begins in zip(part, [True, *broken], strict=True):
        if begins and stack:
            yield stack
            stack = []
        if len(place) > 1:
            yield from ([image] for image in place)
        else:
            stack.extend(place)
    if stack:
        yield stack


def _breaks(part: Sequence[_Place], failed: Sequence[FailedFile]) -> list[bool]:
    """Whether each place but the last is no neighbor of the next."""
    slices = [place[0].slice for place in part]
    if len(part) < 2 or slices[0].position is None:
        return [True] * (len(part) - 1)
    gaps = find_breaks(*_points(slices))
    ambiguous = [len(place) > 1 for place in part]
    return [
        bool(gap) or one_ambiguous or other_ambiguous or _lost_between(one, other, failed)
        for gap, (one, other), (one_ambiguous, other_ambiguous) in zip(
            gaps, pairwise(slices), pairwise(ambiguous), strict=True
        )
    ]


def _points(slices: Sequence[Slice]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Positions along the normal, and how far the origins of slices lie beside it, if all say it."""
    positions = np.array([one.position for one in slices], np.float64)
    if any(one.origin is None for one in slices):
        return positions, None
    origins = np.array([(one.origin or "").split("\\") for one in slices], np.float64)
    row, column = np.array((slices[0].orientation or "").split("\\"), np.float64).reshape(2, 3)
    return positions, origins @ np.stack([row, column], axis=1)


def _lost_between(one: Slice, other: Slice, failed: Sequence[FailedFile]) -> bool:
    """Whether the image of a file that failed may belong between two, which spacing shows only if others are there."""
    if not failed or (one.instance_number is not None and one.instance_number == other.instance_number):
        return False
    if one.instance_number is None or other.instance_number is None:
        return True
    low, high = sorted((one.instance_number, other.instance_number))
    return any(high - low > 1 if file.instance_number is None else low < file.instance_number < high for file in failed)

"""Which images of a series belong together: one orientation and size, and one echo, b-value, time, phase … a part."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dicomprep.dicom.planes import describe_plane
from dicomprep.pixels.stacking import is_even

__all__ = ["ImageOfSeries", "divide", "is_doubled", "places_of", "positions_of"]

SAME_PLACE_MM = (0.001, 0.01)
"""Slices nearer than this are at one place: echoes of one slice may differ in the last digit. Of thin slices, as OCT
has them, a tenth of the longest step between these limits."""

TILT_TOLERANCE = 1e-3
"""How much a direction cosine may differ within a part: 0.06 degrees."""

_COMPONENTS = {
    **dict.fromkeys(("M", "MAG", "MAGNITUDE", "MODULUS", "M_FFE", "M_SE", "M_IR"), "magnitude"),
    **dict.fromkeys(("P", "PHASE", "PHASE_MAP", "P_FFE", "VELOCITY_MAP", "VELOCITY"), "phase"),
    **dict.fromkeys(("R", "REAL", "R_FFE"), "real"),
    **dict.fromkeys(("I", "IMAGINARY", "I_FFE"), "imaginary"),
    **{word: word.lower() for word in ("ADC", "FA", "TRACEW", "WATER", "FAT", "IN_PHASE", "OUT_PHASE", "OPP_PHASE")},
    **{"W": "water", "F": "fat", "IP": "in_phase", "OP": "out_phase"},
}
"""What an image shows, by a value of its Image Type."""

_KERNELS = ("soft", "bone", "lung")


class ImageOfSeries(NamedTuple):
    """One image of a series: where it lies in the patient, and what may tell it from others there."""

    file: int
    """Which of the files it is in."""
    frame: int
    filename: str
    shape: tuple[int, int]
    spacing: tuple[float, float] | None
    """Of rows and columns in mm."""
    cosines: tuple[float, ...] | None
    origin: tuple[float, ...] | None
    instance: int | None
    said: Mapping[str, object]
    """What divides series, by name."""


Part = tuple[str, list[ImageOfSeries]]


@dataclass(frozen=True, slots=True)
class _Divider:
    """An attribute that tells apart images at one place, and what images are called after it."""

    name: str
    label: Callable[[Any, int], str]
    """From its value and which of the values it is, from 1."""
    is_ranked: bool = False
    """It may differ slightly from slice to slice: what counts is the order at each place."""


def _numbered(word: str) -> Callable[[Any, int], str]:
    return lambda _value, number: f"{word}{number}"


def _valued(word: str) -> Callable[[Any, int], str]:
    return lambda value, _number: f"{word}none" if value is None else f"{word}{value:g}"


_DIVIDERS = (
    _Divider("stack", _numbered("stack")),
    _Divider("segment", _valued("segment")),
    _Divider("image_type", lambda value, number: _component(value) or f"type{number}"),
    _Divider("energy_window", _numbered("energy")),
    _Divider("kernel", lambda value, number: value if value in _KERNELS else f"kernel{number}"),
    _Divider("inversion_time_ms", _numbered("inversion"), is_ranked=True),
    _Divider("echo_time_ms", _numbered("echo"), is_ranked=True),
    _Divider("b_value", _valued("b")),
    _Divider("direction", _numbered("direction")),
    _Divider("temporal_position", _numbered("time"), is_ranked=True),
    _Divider("cardiac_phase_percent", _valued("phase")),
    _Divider("rr_interval", _numbered("interval")),
    _Divider("time_slot", _numbered("phase")),
    _Divider("time_slice", _numbered("time")),
    _Divider("trigger_time_ms", _numbered("phase"), is_ranked=True),
    _Divider("acquisition_number", _numbered("acquisition"), is_ranked=True),
    _Divider("time", _numbered("time"), is_ranked=True),
    _Divider("content_time", _numbered("time"), is_ranked=True),
)
"""In the order in which they are tried, and in which names have them."""


def divide(images: Sequence[ImageOfSeries]) -> list[Part]:
    """The parts of a series by name; one without a name where it is not divided.

    By orientation, by size and spacing; then, where several images are at one place, by the attributes that tell them
    apart. What nothing tells apart stays together: see `is_doubled`.
    """
    parts = [
        (_joined(plane, size, rest), members)
        for plane, of_plane in _by_orientation(images)
        for size, of_size in _by_size(of_plane)
        for rest, members in _by_dividers(of_size, _DIVIDERS)
    ]
    return _distinct(parts)


def is_doubled(images: Sequence[ImageOfSeries]) -> bool:
    """Whether several images are at one place."""
    return _most_at_one_place(places_of(images)) > 1


def positions_of(images: Sequence[ImageOfSeries]) -> NDArray[np.float64] | None:
    """How far each image lies along the normal, (images,) in mm; None where one has no position."""
    first = images[0].cosines
    if first is None or any(image.origin is None for image in images):
        return None
    normal = np.cross(first[:3], first[3:])
    return np.array([image.origin for image in images], np.float64) @ normal


def _joined(*names: str) -> str:
    return "_".join(filter(None, names))


def _distinct(parts: list[Part]) -> list[Part]:
    """No two parts have one name."""
    seen, named = Counter[str](), []
    for name, members in parts:
        seen[name] += 1
        named.append((name if seen[name] == 1 else _joined(name, f"part{seen[name]}"), members))
    return named


def _by_orientation(images: Sequence[ImageOfSeries]) -> list[Part]:
    groups: list[tuple[tuple[float, ...] | None, list[ImageOfSeries]]] = []
    for image in images:
        for cosines, members in groups:
            if _is_parallel(cosines, image.cosines):
                members.append(image)
                break
        else:
            groups.append((image.cosines, [image]))
    if len(groups) == 1:
        return [("", groups[0][1])]
    return _numbered_parts([(_plane(cosines), members) for cosines, members in groups])


def _is_parallel(one: tuple[float, ...] | None, other: tuple[float, ...] | None) -> bool:
    if one is None or other is None:
        return one is other
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= TILT_TOLERANCE


def _plane(cosines: tuple[float, ...] | None) -> str:
    return describe_plane(None if cosines is None else "\\".join(map(str, cosines)))[0]


def _numbered_parts(parts: list[Part]) -> list[Part]:
    """Names that several have get a number."""
    several, seen, named = Counter(name for name, _ in parts), Counter[str](), []
    for name, members in parts:
        seen[name] += 1
        named.append((f"{name}{seen[name]}" if several[name] > 1 else name, members))
    return named


def _by_size(images: Sequence[ImageOfSeries]) -> list[Part]:
    groups = _grouped(images, lambda image: (image.shape, image.spacing))
    if len(groups) == 1:
        return [("", list(images))]
    return _numbered_parts([(f"{shape[0]}x{shape[1]}", members) for (shape, _), members in groups])


def _grouped(
    images: Sequence[ImageOfSeries], key: Callable[[ImageOfSeries], Any]
) -> list[tuple[Any, list[ImageOfSeries]]]:
    groups = defaultdict[Any, list[ImageOfSeries]](list)
    for image in images:
        groups[key(image)].append(image)
    return list(groups.items())


def _sorted_groups(images: Sequence[ImageOfSeries], name: str) -> list[tuple[Any, list[ImageOfSeries]]]:
    """By what is said under a name."""
    return sorted(_grouped(images, lambda image: image.said.get(name)), key=lambda group: _sorting(group[0]))


def _by_dividers(images: list[ImageOfSeries], dividers: Sequence[_Divider]) -> Iterator[Part]:
    places = places_of(images)
    if _most_at_one_place(places) == 1:
        yield from _by_blocks(images)
        return
    for number, divider in enumerate(dividers, start=1):
        groups = _by_value(images, places, divider) or (_by_rank(places, divider) if divider.is_ranked else [])
        if groups:
            for name, members in groups:
                for rest, some in _by_dividers(members, dividers[number:]):
                    yield _joined(name, rest), some
            return
    yield "", images


def _by_value(
    images: Sequence[ImageOfSeries], places: Sequence[Sequence[ImageOfSeries]], divider: _Divider
) -> list[Part]:
    """No more values than images at one place, and fewer of these then; else it is something of each slice."""
    most = _most_at_one_place(places)
    groups = _sorted_groups(images, divider.name)
    if not 2 <= len(groups) <= most or any(_most_at_one_place(places_of(members)) == most for _, members in groups):
        return []
    return [(divider.label(value, number), members) for number, (value, members) in enumerate(groups, start=1)]


def _by_rank(places: Sequence[Sequence[ImageOfSeries]], divider: _Divider) -> list[Part]:
    """The first at each place, the second …, where all places have as many and all values there are different."""
    count = len(places[0])
    ranked: list[list[ImageOfSeries]] = [[] for _ in range(count)]
    for members in places:
        values = {image.said.get(divider.name) for image in members}
        if len(members) != count or len(values) != count or None in values:
            return []
        ordered = sorted(members, key=lambda image: _sorting(image.said[divider.name]))
        for images, image in zip(ranked, ordered, strict=True):
            images.append(image)
    return [(divider.label(number, number), images) for number, images in enumerate(ranked, start=1)]


def _by_blocks(images: list[ImageOfSeries]) -> list[Part]:
    """Blocks of slices beside each other, where the whole is no even stack and each of them is."""
    if _is_even_stack(images):
        return [("", images)]
    for name, word in (("stack", "stack"), ("acquisition_number", "acquisition")):
        groups = _sorted_groups(images, name)
        if len(groups) > 1 and all(len(members) > 1 and _is_even_stack(members) for _, members in groups):
            return [(f"{word}{number}", members) for number, (_, members) in enumerate(groups, start=1)]
    return [("", images)]


def _is_even_stack(images: Sequence[ImageOfSeries]) -> bool:
    positions = positions_of(images)
    return positions is None or is_even(np.sort(positions))


def places_of(images: Sequence[ImageOfSeries]) -> list[list[ImageOfSeries]]:
    """Images at one place together, along the normal; without positions each by itself."""
    positions = positions_of(images)
    if positions is None:
        return [[image] for image in images]
    order = np.argsort(positions, kind="stable").tolist()
    steps = np.diff(positions[order], append=positions.max())
    tolerance = min(max(SAME_PLACE_MM[0], 0.1 * float(steps.max())), SAME_PLACE_MM[1])
    places = [[images[order[0]]]]
    for before, at in pairwise(order):
        if positions[at] - positions[before] > tolerance:
            places.append([])
        places[-1].append(images[at])
    return places


def _most_at_one_place(places: Sequence[Sequence[ImageOfSeries]]) -> int:
    return max(map(len, places))


def _sorting(value: Any) -> tuple[int, Any]:  # noqa: ANN401
    """What is not said comes first; numbers before text."""
    if value is None:
        return 0, 0
    return (1, value) if isinstance(value, (int, float)) else (2, value)


def _component(image_type: str | None) -> str | None:
    words = [_COMPONENTS[word] for word in (image_type or "").split("\\") if word in _COMPONENTS]
    return words[-1] if words else None

"""The b-values of a file in s/mm²: as the standard states them, else in the private elements of vendors."""

import re
from collections.abc import Iterator

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.fast_scan import PRIVATE_B_VALUES
from dicomprep.dicom.frame_types import item_or_none
from dicomprep.dicom.numbers import read_numbers
from dicomprep.errors import InputError
from dicomprep.privacy.allow_list import is_plausible

__all__ = ["read_b_values"]

MAX_FRAMES_READ = 5_000
"""Frames of which the b-value is read; bounds time."""

MAX_B_VALUES = 64

_IN_NAME = re.compile(rb"(?i)(?:ep2?d?_?b|_b)([0-9]{1,5})")
"""Of Siemens' Sequence Name: `*ep_b1000#12`, `ep_b0`."""

GE_OFFSET = 1_000_000_000
"""GE adds it to b-values in some releases."""


def read_b_values(root: Attributes) -> tuple[float, ...]:
    """The different b-values of the frames of a file, ascending; none where no diffusion is stated."""
    return tuple(sorted({value for value in _stated(root) if is_plausible("b_values", value)})[:MAX_B_VALUES])


def _stated(root: Attributes) -> list[float]:
    found = [value for item in (root, *_diffusion_items(root)) if (value := _of(item)) is not None]
    if found or root.code("Modality") != "MR":
        return found
    for creator, (place, tag) in PRIVATE_B_VALUES.items():
        if root.raw_of(place).strip(b" \0") == creator and (numbers := read_numbers(root.raw_of(tag))):
            return [numbers[0] - GE_OFFSET if numbers[0] >= GE_OFFSET else numbers[0]]
    match = _IN_NAME.search(root.raw("SequenceName"))
    return [float(match[1])] if match else []


def _of(item: Attributes) -> float | None:
    if "DiffusionBValue" not in item:
        return 0.0 if "DiffusionDirectionality" in item and item.code("DiffusionDirectionality") == "NONE" else None
    try:
        return item.number("DiffusionBValue")
    except InputError:
        return None


def _diffusion_items(root: Attributes) -> Iterator[Attributes]:
    shared = item_or_none(root, "SharedFunctionalGroupsSequence")
    groups = [] if shared is None else [shared]
    if "PerFrameFunctionalGroupsSequence" in root and root.code("Modality") == "MR":
        try:
            groups += root.items("PerFrameFunctionalGroupsSequence")[:MAX_FRAMES_READ]
        except InputError:
            return
    for group in groups:
        item = item_or_none(group, "MRDiffusionSequence") if "MRDiffusionSequence" in group else None
        if item is not None:
            yield item

"""Which values are black and white where a file states neither window nor VOI LUT; the standard leaves it open.

What a value means decides: counts, doses and probabilities begin at zero, Hounsfield units have an end, pictures of
eight bits are ready for a display, and everything else gets a range that outliers do not move.
"""

from dataclasses import replace

import numpy as np

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.palette import read_supplement
from dicomprep.dicom.units import is_in_hounsfield_units
from dicomprep.dicom.vocabulary import LABEL_MAP
from dicomprep.errors import InputError
from dicomprep.pixels.intensity import LookupTable, Rescale, ValueRange, apply_modality
from dicomprep.pixels.stored import Layout
from dicomprep.pixels.value_range import RangeRule

__all__ = ["is_label_map", "limit_to_grayscale", "read_range"]

COUNTS = frozenset({"NM", "PT"})
"""Modalities whose values are counts or concentrations, even those of 8 bits."""

HOUNSFIELD_LIMITS = (-1024.0, 3071.0)
"""12 bits of Hounsfield units from air; below lies only what a scanner fills the corners with."""


def read_range(frame: FrameAttributes, layout: Layout, *, rescaled: bool) -> ValueRange | RangeRule:
    """The range itself where the header gives it, else the rule by which it is measured.

    `rescaled` says that a modality transform turns stored values into others.
    """
    root = frame.root
    modality = root.text("Modality")
    if root.text("SegmentationType") == "FRACTIONAL":
        return ValueRange(0.0, _maximum_fraction(root), "zero to Maximum Fractional Value")
    if (is_label_map(root) and layout.bits_stored > 1) or modality == "RTDOSE":
        return RangeRule(percentiles=(0, 100), from_zero=True)
    if modality in COUNTS:
        return RangeRule(from_zero=True)
    if layout.bits_stored <= 8 and not layout.signed and layout.kind == "integer" and not rescaled:
        return ValueRange(0.0, float(2**layout.bits_stored - 1), "all stored values")
    if modality == "CT" and is_in_hounsfield_units(frame, layout):
        return RangeRule(limits=HOUNSFIELD_LIMITS)
    return RangeRule()


def is_label_map(root: Attributes) -> bool:
    """Whether stored values are names of segments, between which there is nothing (PS3.3 C.8.20.2)."""
    return root.text("SegmentationType") in ("LABELMAP", "BINARY") or root.text("SOPClassUID") == LABEL_MAP


def limit_to_grayscale(
    rule: RangeRule, frame: FrameAttributes, modality: Rescale | LookupTable, *, big_endian: bool
) -> RangeRule:
    """`rule`, for values below those that a supplemental palette colors."""
    palette, _ = read_supplement(frame, big_endian=big_endian)
    if palette is None:
        return rule
    end = float(apply_modality(np.array(palette[1] - 1.0), modality))
    return replace(rule, limits=(rule.limits[0], end))


def _maximum_fraction(root: Attributes) -> float:
    try:
        greatest = root.integer("MaximumFractionalValue") or 255
    except InputError:
        return 255.0
    return float(greatest) if 0 < greatest < 2**16 else 255.0

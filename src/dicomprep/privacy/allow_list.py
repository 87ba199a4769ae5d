"""What of a header is worth training on and names no one: the allow-list, as values with types and units.

Everything else of a header stays where it is. Each field is a column of `files` or `frames` and of the view `tags`.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["AGE_CAP", "LIMITS", "SET_APART", "TRAINING_KINDS", "Kind", "Limits", "Position", "Tags", "is_plausible"]

AGE_CAP = 89
"""Years. Older patients are so few that their age would tell who they are (HIPAA 164.514(b)(2)(i)(C))."""


class Kind(StrEnum):
    """What an image is (docs/examinations.md)."""

    ORIGINAL = "original"
    LOCALIZER = "localizer"
    DERIVED = "derived"
    SCREEN = "screen"
    MASK = "mask"
    DOSE = "dose"
    MAP = "map"
    SLIDE_LABEL = "slide_label"
    TEST_PATTERN = "test_pattern"


TRAINING_KINDS = (Kind.ORIGINAL, Kind.DERIVED)
"""What loaders, exports and the labeling queue take unless they are asked for others."""

SET_APART = tuple(kind for kind in Kind if kind not in (*TRAINING_KINDS, Kind.SLIDE_LABEL))
"""What is not in the view `images`. Labels of slides are, to be seen beside their slide as a risk."""


class Tags(NamedTuple):
    """What holds for all frames of a file. Text is of a closed vocabulary, but for manufacturer and model."""

    body_part: str | None = None
    laterality: str | None = None
    """L, R, U (unpaired) or B (both)."""
    view_position: str | None = None
    patient_position: str | None = None
    image_type: str | None = None
    """Values in their order, with backslashes between them; those of no vocabulary are `OTHER`."""
    photometric_interpretation: str | None = None
    manufacturer: str | None = None
    manufacturer_model: str | None = None
    kvp: float | None = None
    tube_current_ma: float | None = None
    exposure_time_ms: float | None = None
    exposure_mas: float | None = None
    magnetic_field_t: float | None = None
    repetition_time_ms: float | None = None
    echo_time_ms: float | None = None
    rows: int | None = None
    columns: int | None = None
    row_spacing_mm: float | None = None
    """From the middle of a row of pixels to that of the next; at the detector where nothing else is stated."""
    column_spacing_mm: float | None = None
    slice_thickness_mm: float | None = None
    series_number: int | None = None
    acquisition_number: int | None = None
    patient_sex: str | None = None
    """F, M or O (other)."""
    patient_age: int | None = None
    """Full years, at most `AGE_CAP`."""
    study_year: int | None = None
    recognisable_face: int | None = None
    """1 where a stack of such images shows a head, from which a face can be made."""
    kind: str | None = None
    """A `Kind`."""
    kind_reason: str | None = None
    """The attribute that decided, and the word of it, which is one that this program knows."""
    view_modifiers: str | None = None
    """What the view has besides its position (spot, magnification …): terms in alphabetical order, commas between."""
    presentation_intent: str | None = None
    """FOR PRESENTATION or FOR PROCESSING, of MG, DX and IO."""
    description_terms: str | None = None
    """Clinical words of the descriptions, with spaces between; all others are left out."""
    plane: str | None = None
    """axial, coronal, sagittal, oblique or unknown."""
    plane_reason: str | None = None
    kernel: str | None = None
    """Of CT: soft, bone, lung or unknown."""
    kernel_reason: str | None = None
    contrast: str | None = None
    """yes, no or unknown."""
    contrast_reason: str | None = None
    weighting: str | None = None
    """Of MR: T1, T2, FLAIR … or unknown."""
    weighting_reason: str | None = None
    inversion_time_ms: float | None = None
    b_values: str | None = None
    """In s/mm², ascending, with backslashes between them."""
    trigger_time_ms: float | None = None
    cardiac_phase_percent: float | None = None
    """Of the cycle from one heartbeat to the next."""


class Position(NamedTuple):
    """Where a frame stands in its series."""

    slice_mm: float | None = None
    """Of its first pixel's middle, along the normal of the image plane: rises in the direction of that normal."""
    orientation: str | None = None
    """Direction cosines of its rows and of its columns, as in Image Orientation (Patient), to four decimals."""
    in_stack: int | None = None
    temporal: int | None = None
    point: str | None = None
    """Where its first pixel's middle lies, as in Image Position (Patient), to four decimals."""


class Limits(NamedTuple):
    """The least and the greatest value that a number of its kind has in truth."""

    least: float
    most: float


_COUNT = Limits(-999_999, 999_999)
_INDEX = Limits(0, 999_999)
_SIZE = Limits(1, 65_535)
_LENGTH = Limits(0, 1000)

LIMITS: Mapping[str, Limits] = MappingProxyType(
    {
        "instance_number": _COUNT,
        "series_number": _COUNT,
        "acquisition_number": _COUNT,
        "stack_position": _INDEX,
        "temporal_position": _INDEX,
        "kvp": Limits(0, 50_000),  # of accelerators, too: 25 MV
        "tube_current_ma": Limits(0, 10_000),
        "exposure_time_ms": Limits(0, 999_999),
        "exposure_mas": Limits(0, 99_999),  # also where somebody means microampere seconds
        "magnetic_field_t": Limits(0, 30),
        "repetition_time_ms": Limits(0, 99_999),
        "echo_time_ms": Limits(0, 9_999),
        "inversion_time_ms": Limits(0, 99_999),
        "trigger_time_ms": Limits(0, 99_999),
        "cardiac_phase_percent": Limits(0, 100),
        "b_values": Limits(0, 50_000),
        "rows": _SIZE,
        "columns": _SIZE,
        "row_spacing_mm": _LENGTH,
        "column_spacing_mm": _LENGTH,
        "slice_thickness_mm": _LENGTH,
        "study_year": Limits(1901, 2299),  # also years that were shifted into the future
        "slice_position_mm": Limits(-10_000, 10_000),
        "image_position": Limits(-10_000, 10_000),
        "measured_value": Limits(-999_999_999, 999_999_999),  # volumes in cubic millimeters
        "image_orientation": Limits(-1.001, 1.001),  # cosines, and how they are rounded
    }
)
"""By column. A number beyond is of another kind, such as somebody's telephone number, and is not recorded."""


def is_plausible(column: str, number: float) -> bool:
    """Whether a number may be what the column is for.

    >>> is_plausible("kvp", 120.0), is_plausible("series_number", 1715550123)
    (True, False)
    """
    limits = LIMITS[column]
    return limits.least <= number <= limits.most

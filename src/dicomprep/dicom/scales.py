"""What a viewer writes beside an image: the unit of its values, spacing, directions in the patient, speed of a cine.

Texts are of closed vocabularies: a header that says a name in place of a unit has none.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.positions import read_plane
from dicomprep.dicom.provenance import read_provenance
from dicomprep.dicom.spacing import read_aspect, read_column_mm, read_spacing
from dicomprep.dicom.suv import SUV_KEYWORDS, read_suv
from dicomprep.dicom.units import is_in_hounsfield_units
from dicomprep.errors import ExportError, InputError
from dicomprep.pixels.stored import Layout

__all__ = ["SCALE_KEYWORDS", "Scales", "read_scales"]

SCALE_KEYWORDS = (
    "PatientOrientation", "RecommendedDisplayFrameRate", "CineRate", "FrameTime", "FrameTimeVector",
    *SUV_KEYWORDS,
)  # fmt: skip
"""What has to be read of a file for it."""

UNITS = {
    "HU": "HU", "HU_MOD": "HU (modified)", "MGML": "mg/mL", "Z_EFF": "effective Z", "ED": "10²³ e/mL", "PCT": "%",
    "OD": "10⁻³ OD", "Gy": "Gy", "CNTS": "counts", "CPS": "counts/s", "BQML": "Bq/mL", "GML": "g/mL", "PCNT": "%",
    "CM2": "cm²", "CM2ML": "cm²/mL", "MGMINML": "mg/min/mL", "UMOLMINML": "µmol/min/mL", "UMOLML": "µmol/mL",
    "MLMING": "mL/min/g", "MLG": "mL/g", "MLMINML": "mL/min/mL", "MLML": "mL/mL", "1CM": "1/cm", "STDDEV": "SD",
}  # fmt: skip
"""Rescale Type (PS3.3 C.11.1.1.2), Units (C.8.9.1.1.3) and Dose Units as they are written."""

MIN_COSINE = 0.2
"""Of a direction with an axis of the patient from which it is named by that, too (78 degrees)."""

MIN_RATE, MAX_RATE = 0.05, 1000.0
"""Frames per second; beyond them it is a mistake."""

_AXES = ("LR", "PA", "HF")
"""Both ends of each axis, the positive one first (PS3.3 C.7.6.2.1.1)."""

_DIRECTION = re.compile(r"[APRLHF]{1,3}")
_RATES: tuple[tuple[str, Callable[[float], float]], ...] = (
    ("RecommendedDisplayFrameRate", float),
    ("CineRate", float),
    ("FrameTime", lambda milliseconds: 1000 / milliseconds),
    ("FrameTimeVector", lambda milliseconds: 1000 / milliseconds),
)


@dataclass(frozen=True, slots=True)
class Scales:
    """Of one frame."""

    unit: str
    """Of the values that the modality transform gives; empty where it is unknown."""
    suv_factor: float | None
    """From these values to SUV by body weight."""
    spacing_mm: tuple[float, float] | None
    """Of rows and columns."""
    is_at_detector: bool
    """The spacing is that at the detector: what lies before it is smaller."""
    directions: tuple[str, str] | None
    """Where rows and columns lead to in the patient, such as ("L", "P")."""
    frames_per_second: float | None


def read_scales(frame: FrameAttributes, layout: Layout) -> Scales:
    """What the header says of a frame."""
    spacing, _ = read_spacing(frame)
    column_mm = read_column_mm(frame)
    return Scales(
        unit=_read_unit(frame, layout),
        suv_factor=_read_suv_factor(frame),
        spacing_mm=None if column_mm is None else (float(f"{column_mm * read_aspect(frame)[0]:.7g}"), column_mm),
        is_at_detector=spacing is not None and spacing.keyword == "ImagerPixelSpacing",
        directions=_read_directions(frame),
        frames_per_second=_read_rate(frame.root),
    )


def _read_unit(frame: FrameAttributes, layout: Layout) -> str:
    if is_in_hounsfield_units(frame, layout):
        return "HU"
    provenance = read_provenance(frame)
    unit = UNITS.get(provenance.table_units if provenance.modality_table else provenance.units, "")
    return "" if unit == "HU" else unit  # assumed of all CT, and of these it is not so


def _read_suv_factor(frame: FrameAttributes) -> float | None:
    try:
        _, factor, _ = read_suv(frame)
    except (ExportError, InputError):
        return None
    return float(f"{factor:.6g}") if isfinite(factor) else None


def _read_directions(frame: FrameAttributes) -> tuple[str, str] | None:
    """By Image Orientation (Patient), else Patient Orientation."""
    plane = frame.find("PlaneOrientationSequence", "ImageOrientationPatient")
    orientation, _ = read_plane(plane.raw("ImageOrientationPatient"))
    if orientation is not None:
        cosines = [float(cosine) for cosine in orientation.split("\\")]
        named = _name(cosines[:3]), _name(cosines[3:])
    else:
        raw = frame.root.raw("PatientOrientation").decode("ascii", "replace")
        stated = [direction.strip(" \0") for direction in raw.split("\\")]
        if len(stated) != 2 or not all(map(_DIRECTION.fullmatch, stated)):
            return None
        named = stated[0], stated[1]
    return named if all(named) else None


def _name(cosines: list[float]) -> str:
    """The letters of a direction, the nearest axis first."""
    pairs = sorted(zip(cosines, _AXES, strict=True), key=lambda pair: -abs(pair[0]))
    return "".join(ends[cosine < 0] for cosine, ends in pairs if abs(cosine) >= MIN_COSINE)


def _read_rate(root: Attributes) -> float | None:
    for keyword, to_rate in _RATES:
        try:
            values = [value for value in root.numbers(keyword) if value > 0]
        except InputError:
            continue
        rate = to_rate(sum(values) / len(values)) if values else 0.0
        if MIN_RATE <= rate <= MAX_RATE:
            return float(f"{rate:.4g}")
    return None

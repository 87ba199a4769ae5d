"""What the modality values of a frame measure, and in which unit: Hounsfield units, SUV, or as the header calls it."""

from dataclasses import dataclass, field
from enum import StrEnum

from dicomprep.dicom.attributes import label
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.provenance import read_provenance
from dicomprep.dicom.suv import SUV_KEYWORDS, Inputs, read_suv
from dicomprep.dicom.units import is_in_hounsfield_units
from dicomprep.errors import ExportError, InputError
from dicomprep.pixels.stored import Layout

__all__ = ["QUANTITY_KEYWORDS", "Quantity", "Values", "read_quantity"]

QUANTITY_KEYWORDS = SUV_KEYWORDS


class Values(StrEnum):
    """Which values a volume from the sources has."""

    AUTO = "auto"
    """Hounsfield units where the header says so, SUV of PET, else rescaled values."""
    HU = "hu"
    SUV = "suv"
    RESCALED = "rescaled"


@dataclass(frozen=True, slots=True)
class Quantity:
    """How modality values become what is asked for."""

    unit: str | None
    """`HU`, `SUVbw g/ml`, as Rescale Type, Units or Dose Units says; None where nothing does."""
    factor: float = 1.0
    inputs: Inputs = field(default_factory=dict)
    """What the factor was computed from, by keyword."""


def read_quantity(frame: FrameAttributes, layout: Layout, values: Values) -> Quantity:
    """The quantity of a frame's modality values; ExportError where it is not what `values` asks for, or unreadable."""
    _require_readable(frame)
    if values is Values.HU and not is_in_hounsfield_units(frame, layout):
        raise ExportError("its values are not in Hounsfield units")
    if values is Values.SUV or (values is Values.AUTO and _is_activity(frame)):
        return Quantity(*read_suv(frame))
    if is_in_hounsfield_units(frame, layout):
        return Quantity("HU")
    return Quantity(_unit(frame))


def _unit(frame: FrameAttributes) -> str | None:
    provenance = read_provenance(frame)
    return provenance.table_units or provenance.units or None


def _is_activity(frame: FrameAttributes) -> bool:
    """Whether it is PET that can be expected to have SUV; ratios, times and rates of a map do not."""
    units = (frame.root.text("Units") or "BQML").upper()
    return frame.root.text("Modality") == "PT" and units in ("BQML", "CNTS", "GML")


def _require_readable(frame: FrameAttributes) -> None:
    """A slope that cannot be read leaves values in unknown units."""
    found = frame.find("PixelValueTransformationSequence", "RescaleSlope", "RescaleIntercept")
    try:
        slope = found.number("RescaleSlope")
        found.number("RescaleIntercept")
    except InputError as error:
        raise ExportError(error.detail) from error
    if slope == 0:
        raise ExportError(f"{label('RescaleSlope')} is 0")

"""In which units modality values are: which of them are Hounsfield units (DICOM PS3.3 C.11.1.1.2)."""

from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.errors import InputError
from dicomprep.pixels.intensity import Rescale, value_span
from dicomprep.pixels.stored import Layout

__all__ = ["is_in_hounsfield_units"]

MAX_BITS = 16
"""Of what may be Hounsfield units as they are."""


def is_in_hounsfield_units(frame: FrameAttributes, layout: Layout) -> bool:
    """Whether modality values are Hounsfield units: as Rescale Type says, else those of CT but for localizers.

    A CT image that states no type is believed where its values can be below zero, as those of air are: those of a page
    of doses or a screenshot of a CT console cannot. One that states no rescale either must have 16 bits or fewer.
    """
    table = frame.root.item("ModalityLUTSequence")
    if table is not None:
        return table.code("ModalityLUTType") == "HU"
    rescale = frame.find("PixelValueTransformationSequence", "RescaleSlope", "RescaleIntercept")
    stated = rescale.code("RescaleType")
    if stated:
        return stated == "HU"
    try:
        slope, intercept = rescale.numbers("RescaleSlope"), rescale.numbers("RescaleIntercept")
    except InputError:
        return False
    if len(slope) != len(intercept) or frame.root.code("Modality") != "CT":
        return False
    is_localizer = b"LOCALIZER" in frame.root.raw("ImageType").upper()
    is_integer = layout.kind == "integer" and layout.bits_stored <= MAX_BITS
    if is_localizer or not (slope or is_integer):
        return False
    stated_rescale = Rescale(slope[0] or 1.0, intercept[0]) if slope else Rescale()
    return value_span(stated_rescale, bits_stored=layout.bits_stored, signed=layout.signed)[0] < 0

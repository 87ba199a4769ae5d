"""Attributes that say what an image is, where their values are terms or numbers: free text may identify somebody.

For people who look at an image without asking for its header. What an attribute says beyond its terms, and a number
that is longer than such a number is, stays behind an explicit step.
"""

import re
from math import isfinite, nan

from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.uid import UID_dictionary

from dicomprep.dicom import vocabulary
from dicomprep.dicom.numbers import MAX_DIGITS, parse_numbers

__all__ = ["displayable_value"]

_YES_OR_NO = frozenset(("YES", "NO"))
_SIDES = frozenset(("L", "R", "B", "U"))
TERMS = {
    "Modality": vocabulary.MODALITIES,
    "BodyPartExamined": vocabulary.BODY_PARTS,
    "ViewPosition": vocabulary.VIEW_POSITIONS,
    "ImageLaterality": _SIDES,
    "Laterality": _SIDES,
    "PatientPosition": vocabulary.PATIENT_POSITIONS,
    "ImageType": vocabulary.IMAGE_TYPES,
    "ScanningSequence": frozenset(("SE", "IR", "GR", "EP", "RM")),
    "SequenceVariant": frozenset(("SK", "MTC", "SS", "TRSS", "SP", "MP", "OSP", "TOF", "NONE")),
    "PhotometricInterpretation": vocabulary.PHOTOMETRIC,
    "RescaleType": frozenset(("HU", "OD", "US", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT")),
    "VOILUTFunction": frozenset(("LINEAR", "LINEAR_EXACT", "SIGMOID")),
    "PresentationLUTShape": frozenset(("IDENTITY", "INVERSE")),
    "LossyImageCompression": frozenset(("00", "01")),
    "BurnedInAnnotation": _YES_OR_NO,
    "Units": frozenset((
        "CNTS", "NONE", "CM2", "CM2ML", "PCNT", "CPS", "BQML", "MGMINML", "UMOLMINML", "MLMING", "MLG", "1CM", "UMOLML",
        "PROPCNTS", "PROPCPS", "MLMINML", "MLML", "GML", "STDDEV",
    )),
}  # fmt: skip
NUMBERS = frozenset((
    "KVP", "Exposure", "ExposureTime", "XRayTubeCurrent", "SliceThickness", "SpacingBetweenSlices", "PixelSpacing",
    "ImagerPixelSpacing", "RepetitionTime", "EchoTime", "FlipAngle", "MagneticFieldStrength", "Rows", "Columns",
    "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation", "WindowCenter",
    "WindowWidth", "RescaleSlope", "RescaleIntercept", "PixelPaddingValue", "LossyImageCompressionRatio", "FrameTime",
    "CineRate", "InstanceNumber",
))  # fmt: skip
_ORIENTATION = re.compile(r"[APRLHF]{1,3}")


def displayable_value(element: DataElement) -> str | None:
    """What an attribute says in terms or numbers; None where it says anything else, or is none of those."""
    value = element.value
    values = list(value) if isinstance(value, MultiValue) else [value]
    shown = [_plain(element.keyword, one) for one in values]
    return "\\".join(one for one in shown if one is not None) if shown and None not in shown else None


def _plain(keyword: str, value: object) -> str | None:
    if keyword in NUMBERS:
        return _short_number(value)
    text = str(value)
    if keyword == "SOPClassUID":
        return UID_dictionary[text][0] if text in UID_dictionary else None
    if keyword == "PatientOrientation":
        return text if _ORIENTATION.fullmatch(text) else None
    return text if text in TERMS.get(keyword, ()) else None


def _parse(text: str) -> float:
    try:
        return next(iter(parse_numbers(text).values), nan)
    except ValueError:
        return nan


def _short_number(value: object) -> str | None:
    """To seven digits: more are no more to look at, and can hold a number of another kind."""
    number = float(value) if isinstance(value, (int, float)) else _parse(str(value))
    return f"{number:.7g}" if isfinite(number) and abs(number) < 10**MAX_DIGITS else None

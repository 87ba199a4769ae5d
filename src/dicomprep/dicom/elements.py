"""The attributes that matter, picked out of a data set that is written as usual, without walking through pydicom.

Anything unusual (undefined lengths, unknown Value Representations, a data set that breaks off) is left to pydicom,
which takes four times as long for the same attributes.
"""

import struct
from functools import lru_cache

from pydicom.charset import convert_encodings, default_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement, convert_raw_data_element, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicomprep.dicom.sniff import Encoding

__all__ = ["PIXEL_KEYWORDS", "SCANNED_BYTES", "WANTED", "WANTED_TAGS", "scan_dataset"]

SCANNED_BYTES = 2**20
"""Pixels that begin later than this are left to pydicom as well."""

PIXEL_KEYWORDS = {0x7FE00010: "PixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00008: "FloatPixelData"}
WANTED = (
    # identity and context
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "InstanceNumber", "Modality",
    "PatientID", "IssuerOfPatientID", "SpecificCharacterSet",
    # pixels
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelDataProviderURL",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    # grey
    "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "VOILUTSequence", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "PresentationLUTShape", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "RescaleType", "SegmentationType",
    "MaximumFractionalValue", "DoseGridScaling",
    # what `inspect` explains
    "WindowCenterWidthExplanation", "Units", "DoseUnits", "LossyImageCompression", "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    # colour
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData", "ICCProfile",
    "OpticalPathSequence",
    # shape
    "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio",
)  # fmt: skip
WANTED_TAGS = [BaseTag(tag) for keyword in WANTED if (tag := tag_for_keyword(keyword)) is not None]

_CHARACTER_SET = BaseTag(0x00080005)
_UNDEFINED, _DELIMITERS = 0xFFFFFFFF, 0xFFFE
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_NAMES: dict[bytes, str | None] = {b"": None, **{vr: vr.decode() for vr in _SHORT_VRS | _LONG_VRS}}

_Elements = dict[BaseTag, RawDataElement]


def scan_dataset(buffer: bytes | memoryview, encoding: Encoding, start: int) -> tuple[Dataset, int] | None:
    """The wanted attributes of the data set that begins at `start`, and where its pixel element does (PS3.5 7.1).

    None where it is not written as usual, or holds no pixels as far as `buffer` reaches.
    """
    try:
        scanned = _scan(buffer, start, encoding)
    except struct.error:  # it ends before the pixels
        return None
    if scanned is None:
        return None
    elements, position = scanned
    character_set = elements.get(_CHARACTER_SET)
    names = default_encoding if character_set is None else _character_encodings(character_set.value or b"")
    dataset = Dataset(elements)
    dataset.set_original_encoding(encoding.implicit, not encoding.big_endian, names)
    return dataset, position


def _scan(buffer: bytes | memoryview, at: int, encoding: Encoding) -> tuple[_Elements, int] | None:
    order, little = (">", False) if encoding.big_endian else ("<", True)
    implicit = encoding.implicit
    read_head, read_long = struct.Struct(f"{order}2H2sH").unpack_from, struct.Struct(f"{order}I").unpack_from
    elements: _Elements = {}
    while True:
        group, number, vr, length = read_head(buffer, at)
        value_at = at + 8
        if implicit:
            vr, (length,) = b"", read_long(buffer, at + 4)
        elif vr in _LONG_VRS:
            (length,) = read_long(buffer, value_at)
            value_at += 4
        elif vr not in _SHORT_VRS:
            return None
        number |= group << 16
        if number in PIXEL_KEYWORDS:
            return elements, at
        if length == _UNDEFINED or group == _DELIMITERS:
            return None
        tag = _WANTED.get(number)
        if tag is not None:
            name = _NAMES[vr]
            value = bytes(buffer[value_at : value_at + length]) if length else empty_value_for_VR(name, raw=True)
            elements[tag] = RawDataElement(tag, name, length, value, value_at, implicit, little)
        at = value_at + length


@lru_cache(maxsize=64)
def _character_encodings(character_set: bytes) -> list[str]:
    """The Python encodings that Specific Character Set (0008,0005) names; the default where it is damaged."""
    raw = RawDataElement(_CHARACTER_SET, "CS", len(character_set), character_set, 0, False, True)
    try:
        return list(convert_encodings(convert_raw_data_element(raw).value))
    except (AttributeError, LookupError, TypeError, ValueError):  # pydicom means to forgive that, too
        return [default_encoding]


_WANTED: dict[int, BaseTag] = {int(tag): tag for tag in WANTED_TAGS}

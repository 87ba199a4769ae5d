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

from dicomprep.dicom.nesting import LONG_VRS, UNDEFINED, find_end
from dicomprep.dicom.sniff import Encoding

__all__ = [
    "CHARACTER_SET",
    "GE_COMPONENT",
    "GE_SCAN_TIME",
    "MAX_CHARACTER_SET_BYTES",
    "OVERLAY_ROWS",
    "PHILIPS_SUV",
    "PIXEL_KEYWORDS",
    "PRIVATE_B_VALUES",
    "PRIVATE_DIRECTIONS",
    "SCANNED_BYTES",
    "TAGS",
    "WANTED",
    "character_encodings",
    "scan_dataset",
    "to_dataset",
    "wanted_tags",
]

SCANNED_BYTES = 2**20
"""Pixels that begin later than this are left to pydicom as well."""

PIXEL_KEYWORDS = {0x7FE00010: "PixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00008: "FloatPixelData"}
WANTED = (
    # identity and context
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "InstanceNumber", "Modality",
    "FrameOfReferenceUID",
    "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "SpecificCharacterSet",
    "AccessionNumber", "StudyID",
    # pixels
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelDataProviderURL",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    # gray
    "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "VOILUTSequence", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "PresentationLUTShape", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "RescaleType", "SegmentationType",
    "MaximumFractionalValue", "DoseGridScaling",
    # what `inspect` explains
    "WindowCenterWidthExplanation", "Units", "DoseUnits", "LossyImageCompression", "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    # color
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData", "ICCProfile",
    "OpticalPathSequence", "PixelPresentation",
    # shape
    "TotalPixelMatrixColumns", "DimensionOrganizationType",
    "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio",
    # the allow-list (`recorded_tags`), and what burned-in text is suspected by (`burned_in_text`)
    "BodyPartExamined", "ImageLaterality", "Laterality", "ViewPosition", "PatientPosition", "ImageType",
    "Manufacturer", "ManufacturerModelName", "KVP", "XRayTubeCurrent", "ExposureTime", "Exposure",
    "MagneticFieldStrength", "RepetitionTime", "EchoTime", "SliceThickness", "SeriesNumber", "AcquisitionNumber",
    "PatientSex", "PatientAge", "PatientBirthDate", "StudyDate", "ImagePositionPatient", "ImageOrientationPatient",
    "TemporalPositionIdentifier", "GridFrameOffsetVector", "BurnedInAnnotation", "ConversionType",
    "SequenceOfUltrasoundRegions", "SeriesDescription", "ProtocolName", "StudyDescription",
    "ViewCodeSequence", "AnatomicRegionSequence", "SpecimenLabelInImage", "RecognizableVisualFeatures",
    "PresentationIntentType",
    # what a series is: kernel, contrast, weighting, b-values
    "ConvolutionKernel", "ContrastBolusAgent", "ContrastBolusAgentSequence", "ContrastBolusVolume",
    "ScanningSequence", "SequenceVariant", "SequenceName", "PulseSequenceName", "EchoPulseSequence", "InversionTime",
    "FlipAngle", "AcquisitionContrast", "DiffusionBValue", "TriggerTime", "NominalPercentageOfCardiacPhase",
    # where the picture lies in its frame, and which way round it is
    "PatientOrientation", "ShutterLeftVerticalEdge", "ShutterRightVerticalEdge", "ShutterUpperHorizontalEdge",
    "ShutterLowerHorizontalEdge", "CenterOfCircularShutter", "RadiusOfCircularShutter",
    "VerticesOfThePolygonalShutter", "CollimatorLeftVerticalEdge", "CollimatorRightVerticalEdge",
    "CollimatorUpperHorizontalEdge", "CollimatorLowerHorizontalEdge", "CenterOfCircularCollimator",
    "RadiusOfCircularCollimator", "VerticesOfThePolygonalCollimator",
)  # fmt: skip
TAGS = {keyword: BaseTag(tag) for keyword in WANTED if (tag := tag_for_keyword(keyword)) is not None}
"""The very objects under which scanned elements are kept: they are found without being compared."""

OVERLAY_ROWS = BaseTag(0x60000010)
"""Of the first overlay: a group of many (60xx), whose attributes have no keyword of their own."""

OVERLAY_BIT_POSITIONS = tuple(BaseTag(0x60000102 + (number << 17)) for number in range(16))
"""Of each overlay (60xx,0102): not zero where the plane lies in unused bits of the pixels."""

PRIVATE_B_VALUES = {
    b"SIEMENS MR HEADER": (BaseTag(0x00190010), BaseTag(0x0019100C)),
    b"GEMS_PARM_01": (BaseTag(0x00430010), BaseTag(0x00431039)),
    b"Philips Imaging DD 001": (BaseTag(0x20010010), BaseTag(0x20011003)),
}
"""By private creator: where it stands, and the element of its block that has the b-value."""

PRIVATE_DIRECTIONS = {
    b"SIEMENS MR HEADER": (BaseTag(0x00190010), BaseTag(0x0019100E)),
    b"GEMS_ACQU_01": (BaseTag(0x00190010), BaseTag(0x001910BB), BaseTag(0x001910BC), BaseTag(0x001910BD)),
    b"Philips MR Imaging DD 001": (
        *(BaseTag(0x20050010), BaseTag(0x200510B0), BaseTag(0x200510B1), BaseTag(0x200510B2)),
    ),
}
"""By private creator: where it stands, and the elements that have the direction of a diffusion gradient."""

PHILIPS_SUV = (BaseTag(0x70530010), BaseTag(0x70531000), BaseTag(0x70531009))
"""Of PET in counts: the private creator, the factor to SUV, the factor to becquerel per ml."""

GE_COMPONENT = (BaseTag(0x00430010), BaseTag(0x0043102F))
"""Of MR: the private creator, whether it is magnitude (0), phase, real or imaginary (3)."""

GE_SCAN_TIME = (BaseTag(0x00090010), BaseTag(0x0009100D))
"""Of PET: the private creator, when the scan began."""

CHARACTER_SET = BaseTag(0x00080005)
MAX_CHARACTER_SET_BYTES = 4096
"""Bytes of Specific Character Set; bounds time, for each name in it is looked up. A longer value is none."""

_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_DELIMITER_BYTES = 8
_NAMES = {vr: vr.decode() for vr in _SHORT_VRS | LONG_VRS}

_Elements = dict[BaseTag, RawDataElement]


@lru_cache(maxsize=8)
def wanted_tags(extra: tuple[str, ...] = ()) -> list[BaseTag]:
    """What is picked out of a data set, with `extra` keywords beyond the usual."""
    more = (tag_for_keyword(keyword) for keyword in extra if keyword not in TAGS)
    others = (BaseTag(tag) for tag in more if tag is not None)
    blocks = (*PRIVATE_B_VALUES.values(), *PRIVATE_DIRECTIONS.values(), PHILIPS_SUV, GE_SCAN_TIME, GE_COMPONENT)
    private = (tag for tags in blocks for tag in tags)
    return [*TAGS.values(), OVERLAY_ROWS, *OVERLAY_BIT_POSITIONS, *private, *others]


def scan_dataset(
    buffer: bytes | memoryview, encoding: Encoding, start: int, extra: tuple[str, ...] = ()
) -> tuple[_Elements, int] | None:
    """The wanted elements of the data set that begins at `start`, and where its pixel element does (PS3.5 7.1).

    None where it is not written as usual, or holds no pixels as far as `buffer` reaches.
    """
    try:
        known = _known_tags(extra, swapped=not encoding.big_endian)
        return (_scan_implicit if encoding.implicit else _scan_explicit)(buffer, start, encoding, known)
    except (struct.error, ValueError):  # it ends before the pixels, or something is where an item should be
        return None


def to_dataset(elements: _Elements, encoding: Encoding) -> Dataset:
    """A data set of scanned elements, for what only pydicom can read."""
    character_set = elements.get(CHARACTER_SET)
    names = default_encoding if character_set is None else character_encodings(character_set.value or b"")
    dataset = Dataset(elements)
    dataset.set_original_encoding(encoding.implicit, not encoding.big_endian, names)
    return dataset


def _scan_explicit(
    buffer: bytes | memoryview, at: int, encoding: Encoding, known: dict[int, BaseTag]
) -> tuple[_Elements, int] | None:
    order, little = (">", False) if encoding.big_endian else ("<", True)
    read_head, read_long = struct.Struct(f"{order}I2sH").unpack_from, struct.Struct(f"{order}I").unpack_from
    elements: _Elements = {}
    while True:
        number, vr, length = read_head(buffer, at)
        value_at, end = at + 8, 0
        tag = known.get(number)
        if tag is not None and tag in _ENDS:
            return (elements, at) if tag in PIXEL_KEYWORDS else None
        if vr in LONG_VRS:
            (length,) = read_long(buffer, value_at)
            value_at += 4
            if length == UNDEFINED and encoding.big_endian:  # in little endian it leads beyond the end, and to pydicom
                unknown = vr == b"UN"
                end = find_end(buffer, value_at, implicit=unknown, big_endian=not unknown)
                length = end - _DELIMITER_BYTES - value_at
        elif vr not in _SHORT_VRS:
            return None
        if tag is not None:
            elements[tag] = _element(tag, vr, bytes(buffer[value_at : value_at + length]), value_at, little)
        at = end or value_at + length


def _element(tag: BaseTag, vr: bytes, value: bytes, at: int, little: bool) -> RawDataElement:
    """An element as pydicom has it before it is converted. UN is in little endian, whatever is around it (CP-246)."""
    if vr == b"UN" and not little:
        return RawDataElement(tag, None, len(value), value or None, at, True, True)
    name = _NAMES[vr]
    return RawDataElement(tag, name, len(value), value or empty_value_for_VR(name, raw=True), at, False, little)


def _scan_implicit(
    buffer: bytes | memoryview, at: int, encoding: Encoding, known: dict[int, BaseTag]
) -> tuple[_Elements, int] | None:
    order, little = (">", False) if encoding.big_endian else ("<", True)
    read_head = struct.Struct(f"{order}2I").unpack_from
    elements: _Elements = {}
    while True:
        number, length = read_head(buffer, at)
        value_at = at + 8  # an undefined length leads beyond the end
        tag = known.get(number)
        if tag is not None and tag in _ENDS:
            return (elements, at) if tag in PIXEL_KEYWORDS else None
        if tag is not None:
            value = bytes(buffer[value_at : value_at + length]) if length else None
            elements[tag] = RawDataElement(tag, None, length, value, value_at, True, little)
        at = value_at + length


@lru_cache(maxsize=64)
def character_encodings(character_set: bytes) -> list[str]:
    """The Python encodings that Specific Character Set (0008,0005) names; the default where it is damaged."""
    if len(character_set) > MAX_CHARACTER_SET_BYTES:
        return [default_encoding]
    raw = RawDataElement(CHARACTER_SET, "CS", len(character_set), character_set, 0, False, True)
    try:
        return list(convert_encodings(convert_raw_data_element(raw).value))
    except (AttributeError, LookupError, TypeError, ValueError):  # pydicom means to forgive that, too
        return [default_encoding]


_ENDS = frozenset({*map(BaseTag, PIXEL_KEYWORDS), BaseTag(0xFFFEE000), BaseTag(0xFFFEE00D), BaseTag(0xFFFEE0DD)})
"""Where scanning ends: at the pixels, or at a delimiter that has no place in a data set."""


@lru_cache(maxsize=16)
def _known_tags(extra: tuple[str, ...], *, swapped: bool) -> dict[int, BaseTag]:
    """What scanning takes notice of; `swapped` as the four bytes of a tag are read in little endian in one piece."""
    known = (*wanted_tags(extra), *_ENDS)
    return {(tag & 0xFFFF) << 16 | tag >> 16 if swapped else int(tag): tag for tag in known}

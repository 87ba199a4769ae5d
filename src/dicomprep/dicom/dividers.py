"""What may tell apart images at one place of a series: echo, b-value, time, phase … of one frame, from its header."""

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.fast_scan import GE_COMPONENT, PRIVATE_DIRECTIONS
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.numbers import read_numbers
from dicomprep.dicom.recorded_tags import read_tags
from dicomprep.errors import InputError
from dicomprep.privacy.allow_list import Tags

__all__ = ["DIVIDER_KEYWORDS", "read_dividers"]

DIVIDER_KEYWORDS = ("AcquisitionTime", "ContentTime", "DiffusionGradientOrientation", "StackID")
"""What is read of a header for it, beyond what every header is read for."""

Dividers = dict[str, object]

_NUMBERS = {
    "inversion_time_ms": ("MRModifierSequence", "InversionTimes"),
    "echo_time_ms": ("MREchoSequence", "EffectiveEchoTime"),
    "b_value": ("MRDiffusionSequence", "DiffusionBValue"),
    "temporal_position": ("FrameContentSequence", "TemporalPositionIndex"),
    "cardiac_phase_percent": ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    "trigger_time_ms": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    "acquisition_number": ("FrameContentSequence", "FrameAcquisitionNumber"),
    "segment": ("SegmentIdentificationSequence", "ReferencedSegmentNumber"),
}
"""By name: the functional group and the attribute of it that differs from frame to frame (PS3.3 C.7.6.16.2)."""

_TYPES = tuple(f"{kind}FrameTypeSequence" for kind in ("MRImage", "CTImage", "PET", "ParametricMap"))


def read_dividers(root: Attributes, frame: FrameAttributes) -> Dividers:
    """What the header says of one frame, under the names that divide a series; None where it says nothing."""
    tags = root.cached("tags of dividers", lambda: read_tags(root))
    found = _of_file(root, tags)
    if frame.is_grouped:
        found |= {name: value for name, value in _of_groups(frame).items() if value is not None}
    return found


def _of_file(root: Attributes, tags: Tags) -> Dividers:
    names = ("image_type", "kernel", *(name for name in _NUMBERS if name != "b_value"))
    said: Dividers = {name: getattr(tags, name, None) for name in names}
    b_value = tags.b_values if "\\" not in (tags.b_values or "") else None
    said["b_value"] = None if b_value is None else float(b_value)
    said["direction"] = read_numbers(root.raw("DiffusionGradientOrientation")) or _private_direction(root)
    said["temporal_position"] = next(iter(read_numbers(root.raw("TemporalPositionIdentifier"))), None)
    said["time"], said["content_time"] = _seconds(root.raw("AcquisitionTime")), _seconds(root.raw("ContentTime"))
    component = _ge_component(root)
    return said | {"image_type": component} if component else said


def _private_direction(root: Attributes) -> tuple[float, ...] | None:
    for creator, (place, *tags) in PRIVATE_DIRECTIONS.items():
        if root.raw_of(place).strip(b" \0") == creator:
            numbers = tuple(number for tag in tags for number in read_numbers(root.raw_of(tag)))
            return numbers if len(numbers) == 3 else None
    return None


def _ge_component(root: Attributes) -> str | None:
    """M, P, R or I; GE does not say it in Image Type."""
    numbers = read_numbers(root.raw_of(GE_COMPONENT[1]))
    is_ge = root.raw_of(GE_COMPONENT[0]).strip(b" \0") == b"GEMS_PARM_01"
    return "MPRI"[int(numbers[0])] if is_ge and numbers and numbers[0] in range(4) else None


def _of_groups(frame: FrameAttributes) -> Dividers:
    said: Dividers = {name: _number(frame.find(*place), place[1]) for name, place in _NUMBERS.items()}
    direction = frame.find("MRDiffusionSequence", "DiffusionGradientDirectionSequence")
    item = direction.item("DiffusionGradientDirectionSequence")
    said["direction"] = None if item is None else read_numbers(item.raw("DiffusionGradientOrientation")) or None
    said["image_type"] = _frame_type(frame)
    said["kernel"] = _text(frame.find("CTReconstructionSequence", "ConvolutionKernel"), "ConvolutionKernel")
    said["stack"] = _text(frame.find("FrameContentSequence", "StackID"), "StackID")
    content = frame.find("FrameContentSequence", "FrameAcquisitionDateTime")
    said["time"] = _seconds(content.raw("FrameAcquisitionDateTime")[8:])
    return said


def _frame_type(frame: FrameAttributes) -> str | None:
    """With Complex Image Component in the place of M, P, R and I."""
    item = frame.find("MRImageFrameTypeSequence", "ComplexImageComponent")
    component = item.code("ComplexImageComponent") or None
    types = [frame.find(name, "FrameType").raw("FrameType") for name in _TYPES]
    written = next(filter(None, types), b"").decode("ascii", "replace")
    parts = [part.strip() for part in written.split("\\")]
    return "\\".join(filter(None, [*parts, component])) or None


def _number(attributes: Attributes, keyword: str) -> float | None:
    try:
        return attributes.number(keyword)
    except InputError:
        return None


def _text(attributes: Attributes, keyword: str) -> str | None:
    try:
        return attributes.text(keyword)
    except InputError:
        return None


def _seconds(raw: bytes) -> float | None:
    """A time of day, HHMMSS.FFFFFF."""
    text = raw.decode("ascii", "replace").strip(" \0").replace(":", "")
    try:
        return int(text[:2]) * 3600 + int(text[2:4]) * 60 + float(text[4:13])
    except ValueError:
        return None

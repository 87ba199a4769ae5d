"""What may tell apart images at one place of a series: echo, b-value, time, phase … of one frame, from its header."""

from dicomprep.dicom.attributes import Attributes
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
    said |= {"b_value": None if b_value is None else float(b_value), "temporal_position": None}
    said["direction"] = read_numbers(root.raw("DiffusionGradientOrientation")) or None
    said["temporal_position"] = next(iter(read_numbers(root.raw("TemporalPositionIdentifier"))), None)
    said["time"] = _seconds(root.raw("AcquisitionTime")) or _seconds(root.raw("ContentTime"))
    return said


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

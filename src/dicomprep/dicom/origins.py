"""Where the rules of a frame come from, for a person who wants to check them."""

from dataclasses import dataclass

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.dicom.grey import FrameAttributes
from dicomprep.errors import InputError

__all__ = ["Origins", "read_origins"]

UNITS_OF_MODALITY = {"CT": "HU"}
_UNITS = {"GY": "Gy", "US": ""}
"""Defined terms that are not how a unit is written; US is unspecified."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Attributes and places, in words."""

    modality: str
    """Of the modality transform; empty where there is none."""
    voi: str
    """Of the window or VOI LUT; empty where there is none."""
    units: str
    """Of modality values; empty where they are unknown."""
    spacing: str
    """Height and width of a pixel, and the attribute that says so; empty where none does."""
    loss: str
    """What an earlier lossy compression did; empty where nothing is said of one."""


def read_origins(frame: FrameAttributes) -> Origins:
    """Trace each rule to its attribute and its place: the frame's functional groups, the shared ones, or the file."""
    rescale, place = frame.trace("PixelValueTransformationSequence", "RescaleSlope", "RescaleIntercept")
    modality = ""
    if "ModalityLUTSequence" in frame.root:
        modality = f"{label('ModalityLUTSequence')} of the file"
    elif rescale.has_value("RescaleSlope") or rescale.has_value("RescaleIntercept"):
        modality = f"{label('RescaleSlope')} and Intercept of {place}"
    elif "DoseGridScaling" in frame.root:
        modality = f"{label('DoseGridScaling')} of the file"
    return Origins(
        modality=modality,
        voi=_trace_voi(frame),
        units=_read_units(frame.root, rescale) if modality else "",
        spacing=_trace_spacing(frame),
        loss=_read_loss(frame.root),
    )


def _trace_voi(frame: FrameAttributes) -> str:
    found, place = frame.trace("FrameVOILUTSequence", "VOILUTSequence", "WindowCenter")
    if found.item("VOILUTSequence") is not None:
        keyword, count = "VOILUTSequence", len(found.items("VOILUTSequence"))
    elif found.has_value("WindowCenter"):
        keyword, count = "WindowCenter", len(_numbers(found, "WindowCenter"))
    else:
        return ""
    name = found.text("WindowCenterWidthExplanation")
    first = f", the first of {count}" if count > 1 else ""
    return f"{label(keyword)} of {place}{first}" + (f", “{name}”" if name else "")


def _read_units(root: Attributes, rescale: Attributes) -> str:
    modality = root.text("Modality") or ""
    stated = rescale.text("RescaleType") or root.text("Units") or root.text("DoseUnits")
    return _UNITS.get(stated or "", stated) or UNITS_OF_MODALITY.get(modality, "")


def _trace_spacing(frame: FrameAttributes) -> str:
    measures, place = frame.trace("PixelMeasuresSequence", "PixelSpacing")
    for attributes, keyword, whose in (
        (measures, "PixelSpacing", place),
        (frame.root, "ImagerPixelSpacing", "the file, at the detector"),
        (frame.root, "NominalScannedPixelSpacing", "the file"),
        (frame.root, "PixelAspectRatio", "the file"),
    ):
        values = _numbers(attributes, keyword)
        if len(values) >= 2:
            unit = "" if keyword == "PixelAspectRatio" else " mm"
            return f"{values[0]:g} high, {values[1]:g} wide{unit}: {label(keyword)} of {whose}"
    return ""


def _read_loss(root: Attributes) -> str:
    if root.text("LossyImageCompression") != "01":
        return ""
    ratios = ", ".join(f"{ratio:g}:1" for ratio in _numbers(root, "LossyImageCompressionRatio"))
    method = root.text("LossyImageCompressionMethod")
    return " ".join(filter(None, ["compressed with loss", ratios, f"({method})" if method else ""]))


def _numbers(attributes: Attributes, keyword: str) -> list[float]:
    try:
        return attributes.numbers(keyword)
    except InputError:
        return []

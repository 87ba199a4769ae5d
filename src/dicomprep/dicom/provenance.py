"""Where the rules of a frame come from, for a person who wants to check them."""

from dataclasses import dataclass

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.spacing import read_spacing
from dicomprep.errors import InputError

__all__ = ["Provenance", "read_provenance"]

UNITS_OF_MODALITY = {"CT": "HU"}
_UNITS = {"GY": "Gy", "US": ""}
"""Defined terms that are not how a unit is written; US is unspecified."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Attributes and places, in words."""

    rescale: str
    """Of slope and intercept; empty where there are none that can be read."""
    modality_table: str
    """Of a Modality LUT; empty where there is none."""
    window: str
    """Of the window; empty where there is none."""
    voi_table: str
    """Of a VOI LUT; empty where there is none."""
    units: str
    """Of rescaled values; empty where they are unknown."""
    table_units: str
    """Of what a Modality LUT gives."""
    shape: str
    """Presentation LUT Shape; empty where it is not stated."""
    spacing: str
    """Between rows and between columns, and the attribute that says so; empty where none does."""
    loss: str
    """What an earlier lossy compression did; empty if none is stated."""


def read_provenance(frame: FrameAttributes) -> Provenance:
    """Trace each rule to its attribute and its place: the frame's functional groups, the shared ones, or the file."""
    rescale, place = frame.trace("PixelValueTransformationSequence", "RescaleSlope", "RescaleIntercept")
    stated = ""
    if _numbers(rescale, "RescaleSlope") or _numbers(rescale, "RescaleIntercept"):
        stated = f"{label('RescaleSlope')} and Intercept of {place}"
    elif "DoseGridScaling" in frame.root and not rescale.has_value("RescaleSlope"):
        stated = f"{label('DoseGridScaling')} of the file"
    table = frame.root.item("ModalityLUTSequence")
    window, voi_table = _trace_voi(frame)
    return Provenance(
        rescale=stated,
        modality_table=f"{label('ModalityLUTSequence')} of the file" if table else "",
        window=window,
        voi_table=voi_table,
        units=_read_units(frame.root, rescale) if stated else "",
        table_units=_written((table.text("ModalityLUTType") or "") if table else ""),
        shape=frame.root.text("PresentationLUTShape") or "",
        spacing=_describe_spacing(frame),
        loss=_read_loss(frame.root),
    )


def _trace_voi(frame: FrameAttributes) -> tuple[str, str]:
    """Whose window it would be, and whose VOI LUT."""
    found, place = frame.trace("FrameVOILUTSequence", "VOILUTSequence", "WindowCenter")
    name = found.text("WindowCenterWidthExplanation")
    window = _first_of("WindowCenter", place, len(_numbers(found, "WindowCenter"))) + (f", “{name}”" if name else "")
    tables = len(found.items("VOILUTSequence"))
    return (
        window if found.has_value("WindowCenter") else "",
        _first_of("VOILUTSequence", place, tables) if tables else "",
    )


def _first_of(keyword: str, place: str, count: int) -> str:
    return f"{label(keyword)} of {place}" + (f", first of {count}" if count > 1 else "")


def _read_units(root: Attributes, rescale: Attributes) -> str:
    modality = root.text("Modality") or ""
    stated = rescale.text("RescaleType") or root.text("Units") or root.text("DoseUnits") or ""
    return _written(stated) or UNITS_OF_MODALITY.get(modality, "")


def _written(units: str) -> str:
    return _UNITS.get(units, units)


def _describe_spacing(frame: FrameAttributes) -> str:
    spacing, _ = read_spacing(frame)
    if spacing is None:
        return ""
    values = f"{spacing.rows:g} × {spacing.columns:g}" if spacing.is_in_mm else f"{spacing.rows:g}:{spacing.columns:g}"
    return f"{values}{' mm' if spacing.is_in_mm else ''} ({label(spacing.keyword)} of {spacing.place})"


def _read_loss(root: Attributes) -> str:
    if root.text("LossyImageCompression") != "01":
        return ""
    ratios = ", ".join(f"{ratio:g}:1" for ratio in _numbers(root, "LossyImageCompressionRatio"))
    method = root.text("LossyImageCompressionMethod")
    return " ".join(filter(None, ["lossy compression", ratios, f"({method})" if method else ""]))


def _numbers(attributes: Attributes, keyword: str) -> tuple[float, ...]:
    try:
        return attributes.numbers(keyword)
    except InputError:
        return ()

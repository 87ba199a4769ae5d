"""How the header of a frame says that its stored values are drawn (DICOM PS3.3 C.7.6.16, C.11.1, C.11.2)."""

from dataclasses import replace

import numpy as np

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.intensity import LookupTable, Rescale, Window
from dicomprep.pixels.stored import Layout

__all__ = ["FrameAttributes", "read_aspect", "read_inversion", "read_modality", "read_padding", "read_voi"]

Span = tuple[float, float]
Notes = tuple[str, ...]
"""What had to be corrected, in words."""

ASPECT_LIMIT = 20.0
"""Pixels that claim to be longer than this are taken as square."""


class FrameAttributes:
    """One frame's view of its file: per-frame functional groups over shared ones over the root."""

    def __init__(self, root: Attributes, index: int) -> None:
        self.root = root
        places = {
            "this frame": root.item("PerFrameFunctionalGroupsSequence", index),
            "all frames": root.item("SharedFunctionalGroupsSequence"),
        }
        self._groups = {place: group for place, group in places.items() if group is not None}

    @property
    def is_grouped(self) -> bool:
        """Whether the file has functional groups at all."""
        return bool(self._groups)

    def find(self, macro: str, *keywords: str) -> Attributes:
        """The nearest item that has one of `keywords`: in the functional group `macro`, else the root."""
        return self.trace(macro, *keywords)[0]

    def trace(self, macro: str, *keywords: str) -> tuple[Attributes, str]:
        """What `find` finds, and whose it is: `this frame`, `all frames` or `the file`."""
        for place, group in self._groups.items():
            item = group.item(macro)
            if item is not None and any(item.has_value(keyword) for keyword in keywords):
                return item, place
        return self.root, "the file"


def read_modality(
    frame: FrameAttributes, *, span: Span, big_endian: bool
) -> tuple[Rescale | LookupTable | None, Notes]:
    """Modality LUT Sequence, else the frame's Pixel Value Transformation, else the root's rescale; and corrections.

    None where a rescale is stated that cannot be read: the stored values are in unknown units then. `span` is from
    the lowest to the highest stored value that there can be.
    """
    table, notes = _find_table(frame.root, "ModalityLUTSequence", span=span, big_endian=big_endian)
    if table is not None:
        return table, notes
    found = frame.find("PixelValueTransformationSequence", "RescaleSlope", "RescaleIntercept")
    try:
        slope, intercept = found.number("RescaleSlope"), found.number("RescaleIntercept")
    except InputError as error:
        return None, (*notes, f"{error.detail}; stored values are drawn as they are, without the file's window")
    if slope is None and intercept is None and "DoseGridScaling" in frame.root:  # PS3.3 C.8.8.3
        slope = frame.root.number("DoseGridScaling")
    if slope == 0:
        notes = (*notes, f"{label('RescaleSlope')} is 0; taken as 1")
    return Rescale(slope or 1.0, intercept or 0.0), (*notes, *found.salvaged)


def read_voi(frame: FrameAttributes, *, span: Span, big_endian: bool) -> tuple[Window | LookupTable | None, Notes]:
    """The first VOI LUT, else the first window, else None; and what had to be corrected.

    `span` is from the lowest to the highest value that the modality transform can give.
    """
    found = frame.find("FrameVOILUTSequence", "VOILUTSequence", "WindowCenter")
    table, notes = _find_table(found, "VOILUTSequence", span=span, big_endian=big_endian)
    if table is not None:
        return table, notes
    window, more_notes = _read_window(found)
    return window, (*notes, *more_notes)


def _read_window(found: Attributes) -> tuple[Window | None, Notes]:
    try:
        center, width = found.number("WindowCenter"), found.number("WindowWidth")
    except InputError as error:
        return None, (f"{error.detail}; the window is not used",)
    notes = tuple(found.salvaged)
    if center is None or width is None:
        return None, notes
    if width <= 0:
        return None, (
            *notes,
            f"{label('WindowWidth')} {width:g} is not possible; the window is not used",
        )
    function = (found.text("VOILUTFunction") or "LINEAR").upper()
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        note = f"{label('VOILUTFunction')} is unknown; taken as LINEAR"
        return Window(center, width, "LINEAR" if width >= 1 else "LINEAR_EXACT"), (*notes, note)
    if function == "LINEAR" and width < 1:
        note = f"{label('WindowWidth')} {width:g} is not possible for LINEAR; taken as LINEAR_EXACT"
        return Window(center, width, "LINEAR_EXACT"), (*notes, note)
    return Window(center, width, function), notes


def read_inversion(root: Attributes, layout: Layout) -> bool:
    """Whether low values are bright: Presentation LUT Shape says so, else MONOCHROME1 (PS3.3 C.11.6, C.7.6.3.1.2)."""
    shape = root.text("PresentationLUTShape")
    if shape in ("IDENTITY", "INVERSE"):
        return shape == "INVERSE"
    return layout.photometric_interpretation == "MONOCHROME1"


def read_padding(root: Attributes, layout: Layout) -> tuple[tuple[int, int] | None, Notes]:
    """Lowest and highest stored value that stand for padding (PS3.3 C.7.5.1.1.2), and what had to be corrected."""
    ends = []
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        try:
            value = root.integer(keyword)
        except InputError:
            return None, (f"{label(keyword)} is malformed; nothing is taken as padding",)
        ends += [] if value is None else [_as_stored(value, layout)]
    if layout.kind == "float" or "PixelPaddingValue" not in root or not ends:
        return None, ()
    return (min(ends), max(ends)), ()


def read_aspect(frame: FrameAttributes) -> tuple[float, Notes]:
    """Height of a pixel over its width, and what had to be corrected."""
    measures = frame.find("PixelMeasuresSequence", "PixelSpacing")
    for attributes, keyword in (
        (measures, "PixelSpacing"),
        (frame.root, "ImagerPixelSpacing"),
        (frame.root, "NominalScannedPixelSpacing"),
        (frame.root, "PixelAspectRatio"),
    ):
        try:
            spacing = attributes.numbers(keyword)
        except InputError as error:
            return 1.0, (f"{error.detail}; pixels taken as square",)
        if len(spacing) < 2:
            continue
        if min(spacing) > 0 and 1 / ASPECT_LIMIT <= spacing[0] / spacing[1] <= ASPECT_LIMIT:
            return spacing[0] / spacing[1], ()
        return 1.0, (f"{label(keyword)} {spacing[0]:g}\\{spacing[1]:g} is not possible; pixels taken as square",)
    return 1.0, ()


def _as_stored(value: int, layout: Layout) -> int:
    """Padding written with the other signedness, as it is stored."""
    span = 2**layout.bits_allocated
    if layout.signed and value >= span // 2:
        return value - span
    return value + span if not layout.signed and value < 0 else value


def _find_table(
    attributes: Attributes, keyword: str, *, span: Span, big_endian: bool
) -> tuple[LookupTable | None, Notes]:
    """The first table of a sequence; one that is malformed is not used, and that is noted."""
    item = attributes.item(keyword)
    if item is None:
        return None, ()
    if "LUTData" not in item:
        return None, (f"{label(keyword)} is not used: it holds no {label('LUTData')}",)
    try:
        table = _read_table(item, big_endian=big_endian)
    except InputError as error:
        return None, (f"{label(keyword)} is not used: {error.detail}",)
    if table.first >= 2**15 and table.first > span[1] and span[0] < 0:  # a negative value, written as an unsigned one
        table = replace(table, first=table.first - 2**16)
    return table, ()


def _read_table(item: Attributes, *, big_endian: bool) -> LookupTable:
    descriptor = item.integers("LUTDescriptor")
    if len(descriptor) != 3:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label('LUTDescriptor')} has {len(descriptor)} of 3 values")
    count, first, bits = descriptor
    raw = item.content("LUTData")
    if raw is None:  # written as numbers, not as words
        raw, big_endian = (np.array(item.integers("LUTData"), np.int64) & 0xFFFF).astype("<u2").tobytes(), False
    values = np.frombuffer(raw[: len(raw) // 2 * 2], ">u2" if big_endian else "<u2")
    if len(values) < (count or 65536) <= len(raw):  # 8-bit entries, packed
        values = np.frombuffer(raw, np.uint8)
    values = values[: count or 65536]
    if len(values) == 0 or not 1 <= bits <= 16:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label('LUTData')} holds no table of {bits} bits")
    significant = max(bits, int(values.max()).bit_length())
    return LookupTable(first, min(16, significant), values.astype("<u2").tobytes())

"""How the header of a frame says that its stored values are drawn (DICOM PS3.3 C.7.6.16, C.11.1, C.11.2)."""

import numpy as np

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.intensity import LookupTable, Rescale, Window
from dicomprep.pixels.stored import Layout

__all__ = ["FrameAttributes", "read_aspect", "read_inversion", "read_modality", "read_padding", "read_voi"]

Notes = tuple[str, ...]
"""What had to be corrected, in words."""

ASPECT_LIMIT = 20.0
"""Pixels that claim to be longer than this are taken as square."""


class FrameAttributes:
    """One frame's view of its file: per-frame functional groups over shared ones over the root."""

    def __init__(self, root: Attributes, index: int) -> None:
        self.root = root
        self._groups = [
            group
            for group in (
                root.item("PerFrameFunctionalGroupsSequence", index),
                root.item("SharedFunctionalGroupsSequence"),
            )
            if group is not None
        ]

    def find(self, macro: str, *keywords: str) -> Attributes:
        """The nearest item that has one of `keywords`: in the functional group `macro`, else the root."""
        for group in self._groups:
            item = group.item(macro)
            if item is not None and any(keyword in item for keyword in keywords):
                return item
        return self.root


def read_modality(frame: FrameAttributes, *, big_endian: bool) -> tuple[Rescale | LookupTable, Notes]:
    """Modality LUT Sequence, else the frame's Pixel Value Transformation, else the root's rescale; and corrections."""
    table, notes = _find_table(frame.root, "ModalityLUTSequence", big_endian=big_endian)
    if table is not None:
        return table, notes
    found = frame.find("PixelValueTransformationSequence", "RescaleSlope", "RescaleIntercept")
    slope, intercept = found.number("RescaleSlope"), found.number("RescaleIntercept")
    if slope == 0:
        notes = (*notes, f"{label('RescaleSlope')} is 0; taken as 1")
    return Rescale(slope or 1.0, intercept or 0.0), notes


def read_voi(frame: FrameAttributes, *, big_endian: bool) -> tuple[Window | LookupTable | None, Notes]:
    """The first VOI LUT, else the first window, else None; and what had to be corrected."""
    found = frame.find("FrameVOILUTSequence", "VOILUTSequence", "WindowCenter")
    table, notes = _find_table(found, "VOILUTSequence", big_endian=big_endian)
    if table is not None:
        return table, notes
    window, more_notes = _read_window(found)
    return window, (*notes, *more_notes)


def _read_window(found: Attributes) -> tuple[Window | None, Notes]:
    try:
        center, width = found.number("WindowCenter"), found.number("WindowWidth")
    except InputError as error:
        return None, (f"{error.detail}; the window is not used",)
    if center is None or width is None:
        return None, ()
    if width <= 0:
        return None, (f"{label('WindowWidth')} {width:g} is not possible; the window is not used",)
    function = (found.text("VOILUTFunction") or "LINEAR").upper()
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        note = f"{label('VOILUTFunction')} {function} is unknown; taken as LINEAR"
        return Window(center, width, "LINEAR" if width >= 1 else "LINEAR_EXACT"), (note,)
    if function == "LINEAR" and width < 1:
        note = f"{label('WindowWidth')} {width:g} is not possible for LINEAR; taken as LINEAR_EXACT"
        return Window(center, width, "LINEAR_EXACT"), (note,)
    return Window(center, width, function), ()


def read_inversion(root: Attributes, layout: Layout) -> bool:
    """MONOCHROME1, or Presentation LUT Shape INVERSE: both say that low values are bright (PS3.3 C.11.6)."""
    shape = root.text("PresentationLUTShape")
    return layout.photometric_interpretation == "MONOCHROME1" or shape == "INVERSE"


def read_padding(root: Attributes, layout: Layout) -> tuple[int, int] | None:
    """Lowest and highest stored value that stand for padding (PS3.3 C.7.5.1.1.2)."""
    value = root.integer("PixelPaddingValue")
    if value is None or layout.kind == "float":
        return None
    limit = root.integer("PixelPaddingRangeLimit", value)
    ends = [_as_stored(v, layout) for v in (value, value if limit is None else limit)]
    return min(ends), max(ends)


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


def _find_table(attributes: Attributes, keyword: str, *, big_endian: bool) -> tuple[LookupTable | None, Notes]:
    """The first table of a sequence; one that is malformed is not used, and that is noted."""
    item = attributes.item(keyword)
    if item is None or "LUTData" not in item:
        return None, ()
    try:
        return _read_table(item, big_endian=big_endian), ()
    except InputError as error:
        return None, (f"{label(keyword)} is not used: {error.detail}",)


def _read_table(item: Attributes, *, big_endian: bool) -> LookupTable:
    descriptor = item.integers("LUTDescriptor")
    if len(descriptor) != 3:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label('LUTDescriptor')} has {len(descriptor)} of 3 values")
    count, first, bits = descriptor
    raw = item.content("LUTData")
    if raw is not None:
        values = np.frombuffer(raw[: len(raw) // 2 * 2], ">u2" if big_endian else "<u2")
        if len(values) < (count or 65536) <= len(raw):  # 8-bit entries, packed
            values = np.frombuffer(raw, np.uint8)
    else:
        values = np.array(item.integers("LUTData"), np.int64) & 0xFFFF
    values = values[: count or 65536]
    if len(values) == 0 or not 1 <= bits <= 16:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label('LUTData')} holds no table of {bits} bits")
    significant = max(bits, int(values.max()).bit_length())
    return LookupTable(first, min(16, significant), values.astype("<u2").tobytes())

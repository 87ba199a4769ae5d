"""How the header of a frame says that its stored values are drawn (DICOM PS3.3 C.7.6.16, C.11.1, C.11.2)."""

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.dicom.numbers import format_number
from dicomprep.dicom.tables import Notes, Span, find_table
from dicomprep.dicom.vocabulary import XRAY_ANGIOGRAPHIC
from dicomprep.errors import InputError
from dicomprep.pixels.intensity import LookupTable, Rescale, Window, value_span
from dicomprep.pixels.stored import Layout

__all__ = [
    "FrameAttributes",
    "Stated",
    "read_inversion",
    "read_modality",
    "read_stated",
    "read_voi",
    "read_window",
]

Stated = tuple[Rescale | LookupTable, Window | LookupTable | None, Notes]


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


def read_stated(frame: FrameAttributes, layout: Layout, *, big_endian: bool) -> Stated:
    """The modality and VOI transform that the header states for a frame, and what had to be corrected."""
    stored = value_span(Rescale(), bits_stored=layout.bits_stored, signed=layout.signed)
    modality, notes = read_modality(frame, span=stored, big_endian=big_endian)
    if modality is None:
        return Rescale(), None, notes
    span = value_span(modality, bits_stored=layout.bits_stored, signed=layout.signed)
    voi, more_notes = read_voi(frame, span=span, big_endian=big_endian)
    return modality, voi, (*notes, *more_notes)


def read_modality(
    frame: FrameAttributes, *, span: Span, big_endian: bool
) -> tuple[Rescale | LookupTable | None, Notes]:
    """Modality LUT Sequence, else the frame's Pixel Value Transformation, else the root's rescale; and corrections.

    None where a rescale is stated that cannot be read: the stored values are in unknown units then. `span` is from
    the lowest to the highest stored value that there can be.
    """
    if frame.root.text("SOPClassUID") in XRAY_ANGIOGRAPHIC:  # it leads back to X-ray intensity, PS3.3 C.8.7.1.1.2
        return Rescale(), _note_unused_transform(frame.root)
    table, notes = find_table(frame.root, "ModalityLUTSequence", span=span, big_endian=big_endian)
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
        notes = (*notes, f"{label('RescaleSlope')} is 0; treated as 1")
    return Rescale(slope or 1.0, intercept or 0.0), (*notes, *found.corrections)


def _note_unused_transform(root: Attributes) -> Notes:
    if "ModalityLUTSequence" in root:
        return (f"{label('ModalityLUTSequence')} is not for display in X-ray angiography; not applied",)
    try:
        plain = (root.number("RescaleSlope") or 1, root.number("RescaleIntercept") or 0) == (1, 0)
    except InputError:
        plain = False
    return () if plain else (f"{label('RescaleSlope')} is not for display in X-ray angiography; not applied",)


def read_voi(frame: FrameAttributes, *, span: Span, big_endian: bool) -> tuple[Window | LookupTable | None, Notes]:
    """The first VOI LUT, else the first window, else None; and what had to be corrected.

    `span` is from the lowest to the highest value that the modality transform can give.
    """
    found = frame.find("FrameVOILUTSequence", "VOILUTSequence", "WindowCenter")
    table, notes = find_table(found, "VOILUTSequence", span=span, big_endian=big_endian)
    if table is not None:
        return table, notes
    window, more_notes = read_window(found)
    return window, (*notes, *more_notes)


def read_window(found: Attributes, place: int = 0) -> tuple[Window | None, Notes]:
    """The window at `place` (from 0) of those that an item or a file has, else None; and what had to be corrected."""
    try:
        center, width = _number_at(found, "WindowCenter", place), _number_at(found, "WindowWidth", place)
    except InputError as error:
        return None, (f"{error.detail}; window ignored",)
    notes = tuple(found.corrections)
    if center is None or width is None:
        return None, notes
    if width <= 0:
        return None, (
            *notes,
            f"{label('WindowWidth')} {format_number(width)} is invalid; window ignored",
        )
    function = (found.text("VOILUTFunction") or "LINEAR").upper()
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        note = f"{label('VOILUTFunction')} is unknown; treated as LINEAR"
        return Window(center, width, "LINEAR" if width >= 1 else "LINEAR_EXACT"), (*notes, note)
    if function == "LINEAR" and width < 1:
        note = f"{label('WindowWidth')} {format_number(width)} is invalid for LINEAR; treated as LINEAR_EXACT"
        return Window(center, width, "LINEAR_EXACT"), (*notes, note)
    return Window(center, width, function), notes


def _number_at(found: Attributes, keyword: str, place: int) -> float | None:
    """One of several numbers; of the first alone the others may be malformed."""
    return found.number(keyword) if place == 0 else next(iter(found.numbers(keyword)[place:]), None)


def read_inversion(root: Attributes, layout: Layout) -> bool:
    """Whether low values are bright: Presentation LUT Shape says so, else MONOCHROME1 (PS3.3 C.11.6, C.7.6.3.1.2)."""
    shape = root.text("PresentationLUTShape")
    if shape in ("IDENTITY", "INVERSE"):
        return shape == "INVERSE"
    return layout.photometric_interpretation == "MONOCHROME1"

"""Which window each frame is drawn with: what was asked for as far as it applies, else the file's own."""

from collections.abc import Callable
from typing import NamedTuple

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.grayscale import FrameAttributes, read_window
from dicomprep.dicom.tables import Notes, Span, find_table
from dicomprep.errors import InputError
from dicomprep.pixels.intensity import LookupTable, ValueRange, Window
from dicomprep.pixels.windows import AskedWindow, plain_name

__all__ = ["NO_SUCH_WINDOW", "PRESET_NOT_USED", "Voi", "choose_windows", "find_own_window"]

PRESET_NOT_USED = "--window preset is in HU, which these values are not; the file's own window is used"
NO_SUCH_WINDOW = "--window names a window that the file does not have; its own first one is used"

Voi = Window | LookupTable | ValueRange
OwnWindow = tuple[Window | LookupTable | None, Notes]


class _Place(NamedTuple):
    """Where a window stands among those of an item or a file."""

    is_table: bool
    number: int
    """From 0."""


def choose_windows(
    asked: tuple[AskedWindow, ...],
    *,
    is_hounsfield: Callable[[], bool],
    find: Callable[[AskedWindow], OwnWindow],
    own: Callable[[], Voi],
) -> tuple[tuple[Voi, ...], Notes]:
    """The windows to draw with, and notes: `own` where none is asked for, or one that does not apply.

    Where none of three applies there is one, for a grayscale image: three times the same is no color.
    """
    if not asked:
        return (own(),), ()
    chosen: list[Voi] = []
    notes: list[str] = []
    for window in asked:
        voi, more = _choose(window, is_hounsfield, find)
        chosen.append(own() if voi is None else voi)
        notes += more
    fell_back = PRESET_NOT_USED in notes or NO_SUCH_WINDOW in notes
    if fell_back and all(voi == chosen[0] for voi in chosen):
        chosen = chosen[:1]
    return tuple(chosen), tuple(dict.fromkeys(notes))


def _choose(
    window: AskedWindow, is_hounsfield: Callable[[], bool], find: Callable[[AskedWindow], OwnWindow]
) -> tuple[Voi | None, Notes]:
    if window.is_of_file:
        found, notes = find(window)
        return found, notes if found is not None else (*notes, NO_SUCH_WINDOW)
    if window.is_preset and not is_hounsfield():
        return None, (PRESET_NOT_USED,)
    return Window(window.center, window.width), ()


def find_own_window(frame: FrameAttributes, window: AskedWindow, *, span: Span, big_endian: bool) -> OwnWindow:
    """The frame's VOI LUT or window with this name or number; None where it has none. And notes, which name it.

    A VOI LUT comes before a window, as where none is asked for. `span` is as `read_voi` has it.
    """
    found = frame.find("FrameVOILUTSequence", "VOILUTSequence", "WindowCenter")
    place = _place_of(found, window)
    if place is None:
        return None, ()
    if place.is_table:
        voi, notes = find_table(found, "VOILUTSequence", span=span, big_endian=big_endian, place=place.number)
        return voi, (*_note(window, "VOI LUT", place, voi), *notes)
    own, notes = read_window(found, place.number)
    return own, (*_note(window, "window", place, own), *notes)


def _note(window: AskedWindow, kind: str, place: _Place, voi: Window | LookupTable | None) -> Notes:
    return () if voi is None else (f"--window {window.text}: {kind} {place.number + 1} of the file",)


def _place_of(found: Attributes, window: AskedWindow) -> _Place | None:
    tables = found.items("VOILUTSequence")
    if window.index:
        return _Place(is_table=window.index <= len(tables), number=window.index - 1)
    names_of_tables = [next(iter(_names(table, "LUTExplanation")), "") for table in tables]
    if window.explanation in names_of_tables:
        return _Place(is_table=True, number=names_of_tables.index(window.explanation))
    names = _names(found, "WindowCenterWidthExplanation")
    return _Place(is_table=False, number=names.index(window.explanation)) if window.explanation in names else None


def _names(found: Attributes, keyword: str) -> list[str]:
    try:
        return [plain_name(str(value)) for value in found.values(keyword)]
    except InputError:
        return []

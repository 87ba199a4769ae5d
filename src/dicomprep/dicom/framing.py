"""What a header says of where a picture lies in its frame, and which way round it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.kinds import read_kind
from dicomprep.dicom.units import is_in_hounsfield_units
from dicomprep.errors import InputError
from dicomprep.pixels.content import Content
from dicomprep.pixels.geometry import Box, join_boxes
from dicomprep.pixels.stored import Layout
from dicomprep.privacy.allow_list import Kind

__all__ = ["Framing", "Orientation", "read_framing", "read_orientation"]

_PROJECTIONS = frozenset(["CR", "DX", "RF", "XA", "RG", "PX", "IO", "RTIMAGE"])
_ULTRASOUND = frozenset(["US", "IVUS", "BDUS"])
_NO_PICTURES = frozenset([Kind.MASK, Kind.DOSE, Kind.MAP])

_SECTIONS = frozenset(["CT", "MR", "PT", "NM"])
"""Modalities whose images lie in space by their direction cosines."""

_BARS = (13, 14)
"""Region Data Type (0018,6014) of a gray bar and a color bar (PS3.3 C.8.5.5.1.2)."""

MAX_REGIONS = 100
"""Of one frame; bounds time."""

MAX_BANNERLESS_SHARE = 0.98
"""Of a frame's pixels; regions that have more leave no room for writing."""


@dataclass(frozen=True, slots=True)
class Framing:
    """Where the picture lies, as far as the header says so."""

    content: Content | None
    """What is looked for in the pixels; None where no part of the frame may be cut off."""
    stated: Box | None = None
    """The picture's place by the header: ultrasound regions, shutter, collimator."""
    regions: tuple[Box, ...] = ()
    """Ultrasound regions that leave room for writing; all that is outside of them is no picture."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """Which way round a picture is shown, by its header."""

    flipped: tuple[bool, bool] = (False, False)
    """Whether its rows and its columns are to be reversed."""
    is_known: bool = True
    """False where the chest wall of a breast could be on either side."""
    by_laterality: bool = False
    """It is known by which breast it is: by custom, which the picture may contradict."""


def read_framing(frame: FrameAttributes, layout: Layout) -> Framing:
    """What is looked for in a file's frames, and what the header says of its place."""
    root, shape = frame.root, (layout.rows, layout.columns)
    if layout.tiled or read_kind(root)[0] in _NO_PICTURES:
        return Framing(None)
    modality = root.code("Modality")
    if modality in _ULTRASOUND:
        return _frame_ultrasound(root, shape)
    if modality in _PROJECTIONS:
        return Framing(Content.FIELD, _read_shutter(root, shape))
    if modality == "CT":
        return Framing(Content.HOUNSFIELD if is_in_hounsfield_units(frame, layout) else Content.BODY)
    others = {"MG": Content.BREAST, "MR": Content.BODY}
    return Framing(others.get(modality, Content.FRAMED))


def _frame_ultrasound(root: Attributes, shape: tuple[int, int]) -> Framing:
    found = list(_read_regions(root, shape))
    pictures = [box for box, is_bar in found if not is_bar]
    covered = _bound(pictures) if pictures else None
    regions = tuple(box for box, _ in found)
    return Framing(Content.ULTRASOUND, covered, regions if _leave_room(regions, shape) else ())


def _read_regions(root: Attributes, shape: tuple[int, int]) -> Iterator[tuple[Box, bool]]:
    """Each region of Sequence of Ultrasound Regions (0018,6011) that lies in the frame, and whether it is a bar."""
    names = ("RegionLocationMinY0", "RegionLocationMinX0", "RegionLocationMaxY1", "RegionLocationMaxX1")
    try:
        regions = root.items("SequenceOfUltrasoundRegions")
    except InputError:
        return
    if len(regions) > MAX_REGIONS:
        return
    for region in regions:
        edges = _integers(region, names)
        if edges is not None:
            box = _clip((edges[0], edges[1], edges[2] + 1, edges[3] + 1), shape)
            if box is not None:
                yield box, (_integers(region, ("RegionDataType",)) or [0])[0] in _BARS


def _leave_room(regions: Sequence[Box], shape: tuple[int, int]) -> bool:
    area = sum((bottom - top) * (right - left) for top, left, bottom, right in regions)
    return 0 < area <= MAX_BANNERLESS_SHARE * shape[0] * shape[1]


def _read_shutter(root: Attributes, shape: tuple[int, int]) -> Box | None:
    """What display shutter (PS3.3 C.7.6.11) and collimator (C.8.7.3) leave of a frame; None where they leave all."""
    found: Box = (0, 0, *shape)
    for word in ("Shutter", "Collimator"):
        for box in (_rectangle(root, word), _circle(root, word), _polygon(root, word)):
            inside = _clip(box, shape) if box is not None else None
            both = _overlap(found, inside) if inside is not None else None
            found = both or found
    return found if found != (0, 0, *shape) else None


def _rectangle(root: Attributes, word: str) -> Box | None:
    """The edges are those of what is hidden: numbers of pixels, from 1."""
    names = ("UpperHorizontalEdge", "LeftVerticalEdge", "LowerHorizontalEdge", "RightVerticalEdge")
    edges = _integers(root, [f"{word}{name}" for name in names])
    return None if edges is None else (edges[0], edges[1], edges[2] - 1, edges[3] - 1)


def _circle(root: Attributes, word: str) -> Box | None:
    center, radius = _all_integers(root, f"CenterOfCircular{word}"), _integers(root, [f"RadiusOfCircular{word}"])
    if radius is None or len(center) != 2:
        return None
    row, column = center
    return row - radius[0] - 1, column - radius[0] - 1, row + radius[0], column + radius[0]


def _polygon(root: Attributes, word: str) -> Box | None:
    corners = _all_integers(root, f"VerticesOfThePolygonal{word}")
    if len(corners) < 6 or len(corners) % 2:
        return None
    return min(corners[::2]) - 1, min(corners[1::2]) - 1, max(corners[::2]), max(corners[1::2])


def read_orientation(frame: FrameAttributes) -> Orientation:
    """How a frame is to be flipped so that feet are at the bottom and a breast's chest wall is on the left.

    Patient Orientation (0020,0020) decides, else the side of a breast; without either it stays as it is.
    """
    along_rows, along_columns = _read_directions(frame)
    is_upside_down = along_columns.startswith("H") and not along_rows.startswith(("H", "F"))
    if frame.root.code("Modality") == "MG":
        if along_rows[:1] in ("A", "P"):
            return Orientation((is_upside_down, along_rows[0] == "P"))
        side = _read_laterality(frame)
        return Orientation((is_upside_down, side == "R"), is_known=side in ("L", "R"), by_laterality=True)
    return Orientation((is_upside_down, is_upside_down and not along_rows.startswith("L")))


def _read_directions(frame: FrameAttributes) -> tuple[str, str]:
    """Where rows and columns of a projection lead to, in capitals: of the frame, else of the file."""
    found = frame.find("PatientOrientationInFrameSequence", "PatientOrientation")
    parts = found.raw("PatientOrientation").decode("ascii", "replace").upper().split("\\")
    is_projection = frame.root.code("Modality") not in _SECTIONS
    return (parts[0].strip(" \0"), parts[1].strip(" \0")) if len(parts) == 2 and is_projection else ("", "")


def _read_laterality(frame: FrameAttributes) -> str:
    group = frame.find("FrameAnatomySequence", "FrameLaterality")
    stated = (group.code("FrameLaterality"), frame.root.code("ImageLaterality"), frame.root.code("Laterality"))
    return next((side for side in stated if side), "")


def _integers(attributes: Attributes, names: Sequence[str]) -> list[int] | None:
    """One value of each; None where any is missing or malformed."""
    try:
        values = [attributes.integer(name) for name in names]
    except InputError:
        return None
    return [value for value in values if value is not None] if None not in values else None


def _all_integers(attributes: Attributes, name: str) -> tuple[int, ...]:
    try:
        return attributes.integers(name)
    except InputError:
        return ()


def _clip(box: Box, shape: tuple[int, int]) -> Box | None:
    """The part of a box that lies in the frame; None where that is nothing."""
    return _overlap(box, (0, 0, *shape))


def _overlap(one: Box, other: Box) -> Box | None:
    box = (max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3]))
    return box if box[0] < box[2] and box[1] < box[3] else None


def _bound(boxes: Sequence[Box]) -> Box:
    whole = boxes[0]
    for box in boxes[1:]:
        whole = join_boxes(whole, box)
    return whole

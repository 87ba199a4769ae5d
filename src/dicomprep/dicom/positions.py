"""Where a frame stands in its series and in the patient, as its header says."""

from functools import lru_cache

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.numbers import read_numbers, read_offsets, read_whole
from dicomprep.errors import InputError
from dicomprep.privacy.allow_list import Position, is_plausible

__all__ = ["find_place", "locate", "read_index", "read_plane", "read_position"]

Point = tuple[float, float, float]


def read_position(root: Attributes, frame: FrameAttributes, *, index: int, count: int) -> Position:
    """Where frame `index` of `count` stands: its functional groups say so, else the root.

    The root has the place of the first frame, and in RT Dose how far the others are from it. PS3.3 C.7.6.2.1.1,
    C.7.6.16.2, C.8.8.3.2.
    """
    content = root
    if frame.is_grouped:
        content = frame.find("FrameContentSequence", "InStackPositionNumber", "TemporalPositionIndex")
    point, cosines = find_place(root, frame, index=index, count=count)
    orientation, normal = read_plane(cosines)
    slice_mm, text = locate(point, normal)
    if content is root:
        time = read_whole(root.raw("TemporalPositionIdentifier"), "temporal_position")
        return Position(slice_mm, orientation, None, time, text)
    stack = read_index(content, "InStackPositionNumber", "stack_position")
    return Position(
        slice_mm, orientation, stack, read_index(content, "TemporalPositionIndex", "temporal_position"), text
    )


def find_place(root: Attributes, frame: FrameAttributes, *, index: int, count: int) -> tuple[tuple[float, ...], bytes]:
    """Image Position (Patient) of a frame, unrounded and empty where it is not known, and its cosines as written."""
    place, plane = root, root
    if frame.is_grouped:
        place = frame.find("PlanePositionSequence", "ImagePositionPatient")
        plane = frame.find("PlaneOrientationSequence", "ImageOrientationPatient")
    cosines = plane.raw("ImageOrientationPatient")
    normal = read_plane(cosines)[1]
    point = read_numbers(place.raw("ImagePositionPatient")) if normal else ()
    if normal and len(point) == 3 and place is root and count > 1:
        offsets = read_offsets(root.raw("GridFrameOffsetVector"))
        known = len(offsets) == count
        return tuple(
            p + n * (offsets[index] - offsets[0]) for p, n in zip(point, normal, strict=True)
        ) if known else (), cosines
    return point, cosines


def read_index(attributes: Attributes, keyword: str, column: str) -> int | None:
    """A whole number from 1; None where it is none that `column` can have."""
    try:
        value = attributes.integer(keyword)
    except InputError:
        return None
    return value if value is not None and value > 0 and is_plausible(column, value) else None


def locate(point: tuple[float, ...], normal: Point | None) -> tuple[float | None, str | None]:
    """How far a point lies along the normal, and the point as text; neither where one of them cannot be."""
    if normal is None or len(point) != 3 or not all(is_plausible("image_position", part) for part in point):
        return None, None
    slice_mm = round(sum(a * b for a, b in zip(normal, point, strict=True)), 4)
    if not is_plausible("slice_position_mm", slice_mm):
        return None, None
    return slice_mm, "\\".join(str(round(part, 4)) for part in point)


@lru_cache(maxsize=256)
def read_plane(orientation: bytes) -> tuple[str | None, Point | None]:
    """The cosines of an image's rows and columns as text, and the normal of its plane."""
    cosines = read_numbers(orientation)
    if len(cosines) != 6 or not all(is_plausible("image_orientation", cosine) for cosine in cosines):
        return None, None
    ax, ay, az, bx, by, bz = cosines
    text = "\\".join(f"{round(cosine, 4) + 0.0:.6g}" for cosine in cosines)  # + 0.0: no minus zero
    return text, (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)

"""Which plane of the patient an image lies in, by its direction cosines (PS3.3 C.7.6.2.1.1)."""

import math
from functools import lru_cache

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.frame_types import end_groups, has_groups, item_or_none
from dicomprep.dicom.positions import read_plane

__all__ = ["describe_plane", "read_plane_name"]

MIN_COSINE = 0.8
"""Of the normal with the nearest axis of the patient; an image that is turned further (36.9 degrees) is oblique."""

MAX_SKEW = 0.02
"""How far cosines may be from perpendicular unit vectors: some headers state two decimals."""

_PLANES = ("sagittal", "coronal", "axial")
"""By the axis along which their normal lies: x to the left, y to the back, z to the head."""

Said = tuple[str, str]


def read_plane_name(root: Attributes) -> Said:
    """The plane of all frames of a file and why: axial, coronal, sagittal, oblique or unknown."""
    orientations = [root.raw("ImageOrientationPatient")]
    if has_groups(root):
        items = (item_or_none(group, "PlaneOrientationSequence") for group in end_groups(root))
        orientations = [item.raw("ImageOrientationPatient") for item in items if item is not None] or orientations
    said = {describe_plane(read_plane(raw)[0]) for raw in orientations}
    if len({plane for plane, _ in said}) > 1:
        return "unknown", "frames lie in different planes"
    return min(said)


@lru_cache(maxsize=1024)
def describe_plane(orientation: str | None) -> Said:
    r"""The plane of cosines as they are recorded, and why.

    >>> describe_plane(r"1\0\0\0\0.9397\-0.342")
    ('axial', 'normal 20 degrees from the axis')
    """
    if orientation is None:
        return "unknown", "no Image Orientation (Patient)"
    cosines = tuple(map(float, orientation.split("\\")))
    row, column = cosines[:3], cosines[3:]
    skew = (_dot(row, row) - 1, _dot(column, column) - 1, _dot(row, column))
    if max(map(abs, skew)) > MAX_SKEW:
        return "unknown", "cosines are not perpendicular unit vectors"
    (ax, ay, az), (bx, by, bz) = row, column
    normal = [abs(part) for part in (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)]
    largest = max(normal)
    plane = _PLANES[normal.index(largest)] if largest >= MIN_COSINE else "oblique"
    return plane, f"normal {_degrees(largest)} degrees from the axis"


def _dot(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _degrees(cosine: float) -> int:
    return round(math.degrees(math.acos(min(cosine, 1.0))))

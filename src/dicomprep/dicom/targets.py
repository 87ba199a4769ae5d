"""The image that an item refers to: by SOP Instance UID and frame, or by where its plane lies (PS3.3 10.3, C.7.6.2)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.lenient import items, read_counts, read_uid
from dicomprep.privacy.allow_list import is_plausible
from dicomprep.privacy.references import Reference

__all__ = ["NO_TARGET", "REFERENCING", "Target", "axial_plane", "find_targets", "read_targets"]

MAX_DEPTH = 8
"""Nested sequences that are searched for images; bounds time."""

REFERENCING = ("ReferencedSeriesSequence", "ReferencedImageSequence", "ReferencedInstanceSequence",
               "ReferencedSOPSequence", "RTReferencedStudySequence", "RTReferencedSeriesSequence",
               "ContourImageSequence", "BlendingSequence", "AdvancedBlendingSequence", "ReferencedStudySequence",
               "VolumetricPresentationStateInputSequence", "VolumetricPresentationInputSetSequence")  # fmt: skip
"""Sequences that lead to images."""


PLANE_TOLERANCE_MM = 0.01
"""By how much points may be off their plane."""


class Target(NamedTuple):
    """An image, or what is known of it."""

    sop_instance_uid: str | None = None
    frame: int | None = None
    series_instance_uid: str | None = None
    frame_of_reference_key: int | None = None
    plane_mm: float | None = None
    orientation: str | None = None

    def of(self, about: Reference) -> Reference:
        """What is said, of this image."""
        return about._replace(
            target_sop_instance_uid=self.sop_instance_uid,
            target_frame=self.frame,
            target_series_instance_uid=self.series_instance_uid,
            frame_of_reference_key=self.frame_of_reference_key,
            plane_mm=self.plane_mm,
            plane_orientation=self.orientation,
        )


NO_TARGET = Target()


def read_targets(item: Attributes) -> list[Target]:
    """The frames that an item names (SOP Instance Reference Macro); the image as a whole where it names none."""
    uid = read_uid(item, "ReferencedSOPInstanceUID")
    if uid is None:
        return []
    frames = [frame for frame in read_counts(item, "ReferencedFrameNumber") if frame > 0]
    return [Target(uid, frame) for frame in frames] or [Target(uid)]


def find_targets(item: Attributes, depth: int = 0) -> Iterator[Target]:
    """All images that an item or one nested in it names."""
    yield from read_targets(item)
    if depth < MAX_DEPTH:
        for keyword in REFERENCING:
            for inner in items(item, keyword):
                yield from find_targets(inner, depth + 1)


def axial_plane(coordinates: Sequence[float]) -> float | None:
    """The height of points (x, y, z, x, y, z, …) in mm, where they lie in one axial plane.

    >>> axial_plane((0, 0, -12.5, 9, 0, -12.5)), axial_plane((0, 0, -12.5, 9, 0, 3))
    (-12.5, None)
    """
    heights = coordinates[2::3]
    if not heights or max(heights) - min(heights) > PLANE_TOLERANCE_MM:
        return None
    return round(float(heights[0]), 4) if is_plausible("slice_position_mm", heights[0]) else None

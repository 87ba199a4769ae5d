"""What a segmentation, a report, a mark or a presentation state says of an image: the allow-list of such files.

Meanings are those of standard coding schemes; of what people typed only words of the clinical vocabulary are kept.
Each field is a column of `image_references` and of the view `references`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from dicomprep.errors import ErrorCode, count_of

__all__ = ["NO_REFERENCES", "Reference", "ReferenceKind", "References"]


class ReferenceKind(StrEnum):
    """What says something of an image. The values are stable."""

    SEGMENT = "segment"
    CONTOUR = "contour"
    MEASUREMENT = "measurement"
    EVALUATION = "evaluation"
    KEY_IMAGE = "key_image"
    PRESENTATION = "presentation"


class Reference(NamedTuple):
    """One statement on one image or frame; codes are `scheme:value`, such as `SCT:10200004`."""

    kind: str
    """A `ReferenceKind`."""
    number: int | None = None
    """Segment Number or ROI Number."""
    label: str | None = None
    """Words of Segment Label, ROI Name, Content Label or Key Object Description."""
    code: str | None = None
    """Segmented Property Type, ROI code, name of a measurement or evaluation, title of a Key Object Selection."""
    meaning: str | None = None
    category_code: str | None = None
    """Segmented Property Category, finding of a measurement group, modifier of a title."""
    category_meaning: str | None = None
    """The same in words; RT ROI Interpreted Type of a contour."""
    site_code: str | None = None
    """Anatomic Region of a segment, finding site of a measurement group."""
    site_meaning: str | None = None
    value: float | None = None
    """Of a measurement."""
    unit: str | None = None
    """Of `value`, in UCUM."""
    value_code: str | None = None
    """Of an evaluation."""
    value_meaning: str | None = None
    shapes: int | None = None
    """Contours, regions or graphic objects on the image."""
    source_frame: int | None = None
    """The frame of the segmentation, from 1."""
    target_sop_instance_uid: str | None = None
    target_frame: int | None = None
    """From 1, as the standard counts; None: the image as a whole."""
    target_series_instance_uid: str | None = None
    """Where the file names no image: the series in which `plane_mm` is to be found."""
    frame_of_reference_key: int | None = None
    """Where the file names no series either."""
    plane_mm: float | None = None
    """Where the plane lies along its normal, as in `slice_position_mm`."""
    plane_orientation: str | None = None
    """As `image_orientation`; None for a contour, whose plane is axial."""


@dataclass(frozen=True, slots=True)
class References:
    """What one file says of images of other files."""

    rows: tuple[Reference, ...] = ()
    error_code: ErrorCode | None = None
    """Why there is not more; None where it is all."""
    error_detail: str = ""

    def explain(self) -> str:
        """In words, as the detail of the file."""
        images = {row.target_sop_instance_uid for row in self.rows} - {None}
        told = f"describes images: {count_of(len(self.rows), 'reference')}, {count_of(len(images), 'image')} named"
        return told if self.error_code is None else f"{told}; not all could be read: {self.error_detail}"


NO_REFERENCES = References()

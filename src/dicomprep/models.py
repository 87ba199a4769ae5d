"""What travels through the pipeline: each noun says what is now true of an input.

Path → Source → Frame → Normalized → Thumbnail → Written → Outcome → row
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.config import ImageOptions, Splits
from dicomprep.errors import ErrorCode
from dicomprep.pixels.content import WHOLE_FRAME, Fact, Placement
from dicomprep.pixels.geometry import Box
from dicomprep.pixels.intensity import GrayscaleTransform, ValueRange
from dicomprep.pixels.resampling import EVERY_PIXEL, Grid
from dicomprep.pixels.transform import DecodedAs, Intensity, Transform
from dicomprep.privacy.allow_list import Position, Tags
from dicomprep.privacy.burned_in import Reason
from dicomprep.privacy.references import NO_REFERENCES, References
from dicomprep.storage.base import ImageStore, Source

__all__ = [
    "DecodedAs",
    "Frame",
    "FrameFailure",
    "FrameRange",
    "Instance",
    "Intensity",
    "Normalized",
    "Outcome",
    "PatientIdentity",
    "Settings",
    "Status",
    "Task",
    "Thumbnail",
    "Transform",
    "Written",
]

Pixels = NDArray[Any]
"""(rows, columns) or (rows, columns, 3)."""


class Status(StrEnum):
    """What became of an input; every input has exactly one."""

    DONE = "done"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    UNSTABLE = "unstable"


class _Message:
    """Crosses from process to process as its plain values: a third of the time that frozen dataclasses take else."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), _values_of(type(self))(self)  # type: ignore[arg-type]


@cache
def _values_of(kind: Any) -> Callable[[Any], tuple[Any, ...]]:  # noqa: ANN401
    return attrgetter(*(field.name for field in fields(kind)))


@dataclass(frozen=True, slots=True)
class Settings:
    """What every worker is told, once."""

    image: ImageOptions
    splits: Splits
    images: ImageStore
    """Where thumbnails go to."""
    key: bytes | None
    """The secret of the data set; None where workers are on other machines, to which it does not travel."""
    max_bytes: int
    workers: int = 1
    """How many there are to share the frames of a long file."""
    tags: tuple[str, ...] = ()
    """Keywords of attributes that are recorded beyond the allow-list."""
    timeout: float = 120.0
    """Seconds of a frame, by which the budget of a file as a whole is measured."""


@dataclass(frozen=True, slots=True)
class FrameRange(_Message):
    """Some frames of a long file, for one worker: their numbers, from 0."""

    indices: tuple[int, ...]
    value_range: ValueRange | None = None
    """What all frames without a window share, where it has been measured already."""


@dataclass(frozen=True, slots=True)
class Task(_Message):
    """A source that is to be processed, and the name its images shall have."""

    source: Source
    study_id: str
    name: str
    """`study_id/stem`; a frame of a multi-frame file adds its number."""
    folder: str = ""
    """What the folder is called where it stands for a patient, if that is not `study_id`."""
    digest_only: bool = False
    """Only take the digest: the parent asks whether this is a known file that moved."""
    header_only: bool = False
    """Only read what the header says: the images of this known file are as they should be."""
    recorded: bool = False
    """An input by an earlier run: it stays one, even if its content is no DICOM any more."""
    frame_range: FrameRange | None = None
    """Only these frames; None for the file as a whole."""

    @property
    def input_bytes(self) -> int:
        """About how many bytes are read for it."""
        size = self.source.version.size
        return size if self.frame_range is None else size // 2


@dataclass(frozen=True, slots=True)
class Instance(_Message):
    """What the header says of a file beyond its pixels; no direct identifier is among it."""

    transfer_syntax: str | None = None
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    frame_of_reference_key: int | None = None
    """A hash of the Frame of Reference UID, by which images in one space are found."""
    instance_number: int | None = None
    modality: str | None = None
    group_kind: str = "folder"
    """How the group was identified: patient, study or folder."""
    group_key: str = ""
    """A keyed hash of what must not be divided between splits."""
    draw: int = 0
    """What the group drew, by which it is assigned to a split: recorded under the key only."""
    bare_draw: int | None = None
    """What the patient would have drawn if no issuer were stated; None without an issuer."""
    former_key: str = ""
    """What earlier releases would have called the group, where that differs."""
    issuerless_key: str = ""
    """What the patient would be called if no issuer were stated; empty where none is."""
    study_key: str = ""
    """A keyed hash of the Study Instance UID, which is given on in its place."""
    series_key: str = ""
    accession_key: str = ""
    study_number_key: str = ""
    """Keyed hashes of Accession Number and Study ID (0020,0010), by which tables of labels name studies."""
    tags: Tags = Tags()  # noqa: RUF009  (a tuple)
    extra_tags: str | None = None
    """Attributes recorded by `--tag`: a JSON object by keyword."""
    reasons: tuple[Reason, ...] = ()
    """Why there may be text in the pixels, by the header alone."""
    is_lossy: bool = False
    """Its stored values are not those that were there before a compression, the present one or an earlier."""


@dataclass(frozen=True, slots=True)
class PatientIdentity(_Message):
    """An ID and its issuer: what is hashed, and never recorded."""

    patient_id: str | None
    issuer: str | None
    """Issuer of Patient ID, else the Universal Entity ID that stands for it; None where neither is stated."""
    former: "PatientIdentity | None" = None
    """How releases before 0006 read it, where that differs: data sets of theirs go on under their keys."""
    accession_number: str | None = None
    study_number: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame: stored values and all that is needed to draw them, as plain numbers."""

    index: int
    pixels: Pixels
    """Stored values, sign-extended to their dtype."""
    bits_stored: int
    photometric_interpretation: str
    source_shape: tuple[int, int]
    """Rows and columns of the image; `pixels` has fewer where a codec decoded at a reduced resolution."""
    digest: bytes = b""
    """Of its stored values, however they are wrapped; of the codestream where such frames are decoded in part."""
    perceptual_hash: int | None = None
    """A perceptual hash of it; None where there is too little in it."""
    stream_digest: bytes = b""
    """Of its codestream, whatever was decoded of it; empty where it has none of its own."""
    grid: Grid = EVERY_PIXEL
    """Where `pixels` lie in the image."""
    step: int = 0
    """`pixels` are rounded to about such steps, fine detail more coarsely; 0: not at all."""
    grayscale: tuple[GrayscaleTransform, ...] = ()
    """From stored values to a display, for one sample a pixel that is no palette index: three give red, green, blue."""
    palette: NDArray[np.uint16] | None = None
    """(entries, 3) with 16 significant bits."""
    palette_first: int = 0
    """The stored value that the first palette entry stands for."""
    aspect: float = 1.0
    """Height of a pixel over its width."""
    column_mm: float | None = None
    """From one column to the next, in mm; None where the header does not say, or nobody asks."""
    position: Position = Position()  # noqa: RUF009  (a tuple)
    icc_profile: bytes | None = None
    is_label_map: bool = False
    """Stored values are names, between which there is nothing."""
    placement: Placement = WHOLE_FRAME
    decoder: str = "native"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Normalized:
    """A frame as a viewer would show it, at the size it was decoded: (rows, columns[, 3]), uint8 or uint16."""

    pixels: Pixels
    source_shape: tuple[int, int]
    grid: Grid
    aspect: float
    intensity: Intensity
    decoded: DecodedAs
    column_mm: float | None = None
    """From one column of the source to the next, in mm."""
    is_label_map: bool = False
    """Its grays stand for names: none may come to be between them."""
    placement: Placement = WHOLE_FRAME
    blanked: tuple[Box, ...] = ()
    """Writing, in pixels of the source: it is still in `pixels`, and background in the thumbnail."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The image as it will be stored: (rows, columns[, 3]), uint8 or uint16."""

    pixels: Pixels
    transform: Transform


@dataclass(frozen=True, slots=True)
class Written(_Message):
    """A thumbnail that is whole and in its place."""

    frame_number: int
    filename: str
    thumbnail_path: str
    """Below the output folder, with forward slashes."""
    width: int
    height: int
    size: int
    """Bytes of the file."""
    digest: bytes
    transform: str = "{}"
    """What `Transform.to_json` makes of it."""
    position: Position = Position()  # noqa: RUF009  (a tuple)
    text: bool = False
    """Text was seen in its pixels; only some frames of a suspected file are looked at."""
    source_digest: bytes = b""
    """Of the stored values that it was drawn from; of the codestream where such frames are decoded in part."""
    perceptual_hash: int | None = None
    """A perceptual hash; None where there is too little in the picture to tell one patient from another."""
    stream_digest: bytes = b""
    """Of the frame's codestream, which is the same whatever was decoded of it; empty where it has none of its own."""


@dataclass(frozen=True, slots=True)
class FrameFailure(_Message):
    """Why a frame could not be drawn."""

    index: int
    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True)
class Outcome(_Message):
    """What became of one input: small, and all that comes back from a worker."""

    task: Task
    status: Status | None
    """None: a file that is no DICOM and was never called one; it is only counted."""
    error_code: ErrorCode | None = None
    error_detail: str | None = None
    written: tuple[Written, ...] = ()
    frame_count: int = 0
    """Frames that the file says it holds."""
    instance: Instance = field(default_factory=Instance)
    digest: bytes = b""
    failures: int = 0
    """Frames that could not be drawn."""
    first_failure: FrameFailure | None = None
    without_preset: int = 0
    """Images whose units are not those of the window preset."""
    without_window: int = 0
    """Images of which the file has no window of the name or number asked for."""
    facts: Counter[Fact] = field(default_factory=Counter)
    """What became of images that were to be cropped, oriented or blanked."""
    references: References = NO_REFERENCES
    """What it says of images of other files."""
    remaining: FrameRange | None = None
    """Frames that are left to others: what became of the input is known when they are done."""
    patient: PatientIdentity | None = field(default=None, repr=False)
    """Where the worker had no key to hash it with: the parent does that at once, and drops it."""

    @property
    def keeps_images(self) -> bool:
        """What was written stays; images of a file that failed as a whole are removed again."""
        return self.status in (Status.DONE, Status.PARTIAL)

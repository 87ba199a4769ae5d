"""What travels through the pipeline: each noun says what is now true of an input.

Path → Source → Frame → Normalized → Thumbnail → Written → Outcome → row
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ErrorCode
from dicomprep.pixels.geometry import EVERY_PIXEL, Grid
from dicomprep.pixels.intensity import Grey

__all__ = [
    "Frame",
    "Instance",
    "Normalized",
    "Outcome",
    "Source",
    "Status",
    "Task",
    "Thumbnail",
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


@dataclass(frozen=True, slots=True)
class Source:
    """A regular file that was found below the root."""

    root: str
    """The absolute folder that was searched."""
    path: str
    """Where the file lies below the root."""
    size: int
    mtime_ns: int
    error: str | None = None
    """Why it cannot even be looked at, if so."""


@dataclass(frozen=True, slots=True)
class Task:
    """A source that is to be processed, and the name its images shall have."""

    source: Source
    study_id: str
    name: str
    """`study_id/stem`; a frame of a multi-frame file adds its number."""
    digest_only: bool = False
    """Only take the digest: the parent asks whether this is a known file that moved."""
    recorded: bool = False
    """An input by an earlier run: it stays one, even if its content is no DICOM any more."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What the header says of a file beyond its pixels; no direct identifier is among it."""

    transfer_syntax: str | None = None
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    instance_number: int | None = None
    modality: str | None = None
    group_kind: str = "folder"
    """How the group was identified: patient, study or folder."""
    group_key: str = ""
    """A keyed hash of what must not be divided between splits."""


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
    grid: Grid = EVERY_PIXEL
    """Where `pixels` lie in the image."""
    grey: tuple[Grey, ...] = ()
    """From stored values to a display, for one sample a pixel that is no palette index: three give red, green, blue."""
    palette: NDArray[np.uint16] | None = None
    """(entries, 3) with 16 significant bits."""
    palette_first: int = 0
    """The stored value that the first palette entry stands for."""
    aspect: float = 1.0
    """Height of a pixel over its width."""
    icc_profile: bytes | None = None
    decoder: str = "native"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Normalized:
    """A frame as a viewer would show it, at the size it was decoded: (rows, columns[, 3]), uint8 or uint16."""

    pixels: Pixels
    source_shape: tuple[int, int]
    grid: Grid
    aspect: float
    intensity: dict[str, Any]
    """What was done to the grey or the colour, as JSON-able values."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The image as it will be stored: (size, size[, 3]), uint8 or uint16."""

    pixels: Pixels
    transform: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
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
    transform: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
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

"""What all formats of annotations have in common: what a file says, and what is written into one."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dicomprep.database.queries.annotations import Annotation, Drawn
from dicomprep.errors import ConfigError, place_fault
from dicomprep.exchange.columns import as_text
from dicomprep.exchange.tables import ReadTable
from dicomprep.pixels.shapes import MAX_VERTICES, Shape, ShapeKind

__all__ = [
    "NO_CLASS",
    "Corners",
    "DrawingFormat",
    "DrawnImage",
    "DrawnMask",
    "DrawnSet",
    "DrawnShape",
    "FormatError",
    "MaskGrid",
    "NamedImage",
    "Pixels",
    "ReadDrawing",
    "ReadDrawings",
    "is_upright",
    "load_corners",
    "load_json",
    "make_folder",
    "number",
    "pairs",
    "read_bytes",
    "text",
    "turned",
]

MAX_FILE_BYTES = 2**30
"""Of a file of annotations, which is in memory as a whole."""
MAX_DRAWINGS = 5_000_000
NO_CLASS = "object"
"""The class, in formats that need one, of what was drawn without any."""

Corners = tuple[tuple[float, float], ...]
"""(row, column) of each."""


class Pixels(StrEnum):
    """Of what the coordinates of a file are."""

    THUMBNAIL = "thumbnail"
    SOURCE = "source"


class FormatError(ValueError):
    """One drawing of a file is none; the others are read."""


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image as a file names it."""

    name: str
    size: tuple[float, float] | None = None
    """(rows, columns) that the file states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDrawing:
    """A drawing of a file."""

    image: int
    """Where its image stands in `ReadDrawings.images`."""
    place: str
    """How messages name it."""
    kind: ShapeKind
    corners: Corners
    label: str | None = None
    annotator: str = ""
    note: str = ""


@dataclass(slots=True)
class ReadDrawings:
    """What a file says, or several."""

    path: Path
    images: list[NamedImage] = field(default_factory=list)
    drawings: list[ReadDrawing] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    """(reason, place) of what is no drawing that can be imported."""
    table: ReadTable | None = None
    """Of a table, whose rows are the images."""
    in_fractions: bool = False
    """Coordinates are parts of the image, from 0 to 1, and not pixels."""

    def note(self, place: str, read: Callable[..., ReadDrawing], *arguments: object) -> None:
        """Add a drawing, or the reason why it is none."""
        if len(self.drawings) >= MAX_DRAWINGS:
            raise ConfigError(f"{self.path}: more than {MAX_DRAWINGS:,} annotations. Import them in parts.")
        try:
            drawing = read(*arguments, place)
        except FormatError as error:
            self.unread.append((str(error), place))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
            self.unread.append(("not what the format has", place))
        else:
            self.drawings.append(drawing)


@dataclass(frozen=True, slots=True)
class DrawnShape:
    """A drawing in the pixels that are written, of an annotation, or a mask of a file."""

    drawn: Drawn
    annotator: str
    key: str

    @property
    def label(self) -> str:
        """Its class."""
        return self.drawn.label or NO_CLASS

    @classmethod
    def of(cls, annotation: Annotation, shape: Shape) -> "DrawnShape":
        """What stands of an annotation, in other pixels."""
        drawn = Drawn(shape=shape, label=annotation.drawn.label, note=annotation.drawn.note)
        return cls(drawn, annotation.annotator, annotation.key)


class MaskGrid(NamedTuple):
    """Which row and which column of the source each row and column of a mask shows; -1: none."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    source: tuple[int, int]
    """Rows and columns of the source."""


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """A segment of a SEG file on an image, in the pixels that are written."""

    label: str
    size: tuple[int, ...]
    """Rows and columns."""
    counts: tuple[int, ...]
    """Runs of pixels down the columns, those that are not set first."""
    area: int
    bounds: tuple[int, int, int, int]
    """(top, left, bottom, right)."""


@dataclass(frozen=True, slots=True)
class DrawnImage:
    """An image that is written, with what is drawn on it."""

    name: str
    """Of the file with its pixels, as exports have it."""
    split: str
    size: tuple[int, int]
    """Rows and columns."""
    shapes: tuple[DrawnShape, ...]
    thumbnail_path: str
    digest: bytes
    masks: tuple[DrawnMask, ...] = ()


@dataclass(frozen=True, slots=True)
class DrawnSet:
    """All that is written."""

    images: Sequence[DrawnImage]
    classes: tuple[str, ...]
    """Of the drawings, in their order."""
    content: Callable[[DrawnImage], bytes]
    """The file with an image's pixels."""


class DrawingFormat(Protocol):
    """A module of this package."""

    NEEDS_IMAGES: bool
    """Whether what it writes has the images beside it."""

    def read(self, path: Path) -> ReadDrawings:
        """Read a file or a folder; ConfigError where it is none of this format."""
        ...

    def write(self, out: Path, drawn: DrawnSet) -> Mapping[str, int]:
        """Write it; what was left out, and how often, for a person."""
        ...


def read_bytes(path: Path) -> bytes:
    """The content of a file; ConfigError where it cannot be read."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_FILE_BYTES // 2**30} GB. Import it in parts.")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error


def load_json(path: Path) -> Any:  # noqa: ANN401
    """The JSON of a file; ConfigError where it has none."""
    try:
        return json.loads(read_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not a JSON file in UTF-8: {str(error)[:200]}") from error


def make_folder(folder: Path) -> None:
    """Make a folder, if it is not there; EnvironmentFault where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise place_fault(folder, error) from error


def number(value: Any) -> float:  # noqa: ANN401
    """A coordinate; FormatError where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise FormatError("a coordinate is not a number")
    try:
        found = float(value.replace(",", ".")) if isinstance(value, str) else float(value)
    except (ValueError, OverflowError) as error:
        raise FormatError("a coordinate is not a number") from error
    if not math.isfinite(found):
        raise FormatError("a coordinate is not a number")
    return found


def pairs(values: Sequence[Any]) -> Corners:
    """Corners of x and y in turn."""
    if len(values) % 2 or len(values) > 2 * MAX_VERTICES:
        raise FormatError(f"a polygon needs pairs of coordinates, at most {MAX_VERTICES:,}")
    numbers = [number(value) for value in values]
    return tuple(zip(numbers[1::2], numbers[::2], strict=True))


def load_corners(cell: str) -> Corners:
    """Corners in a cell: `x y;x y`, or JSON of (x, y) pairs or of x and y in turn."""
    cell = cell.strip()
    if not cell.startswith("["):
        return pairs([word for pair in cell.split(";") if pair.strip() for word in pair.replace(",", " ").split()])
    try:
        values = json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise FormatError("corners that are no list of numbers") from error
    nested = all(isinstance(value, list) for value in values)
    return pairs([n for pair in values for n in pair[:2]] if nested else values)


def text(value: Any) -> str:  # noqa: ANN401
    """A name or a note; empty where there is none."""
    return as_text(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def turned(box: Corners, degrees: float, around: tuple[float, float]) -> Corners:
    """The four corners of a box that is turned clockwise."""
    (top, left), (bottom, right) = box
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    corners = ((top, left), (top, right), (bottom, right), (bottom, left))
    steps = ((row - around[0], column - around[1]) for row, column in corners)
    return tuple((around[0] + x * sine + y * cosine, around[1] + x * cosine - y * sine) for y, x in steps)


def is_upright(corners: Corners) -> bool:
    """Whether a polygon is its own box."""
    if len(corners) != 4 or len({row for row, _ in corners}) != 2 or len({column for _, column in corners}) != 2:
        return False
    return all(one != other for one, other in zip(corners[0], corners[2], strict=True))

"""Import of annotations: boxes, points and polygons of other programs, onto the images that they name."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, select

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.queries import classes
from dicomprep.database.queries.annotations import Drawn
from dicomprep.database.queries.frames import class_names
from dicomprep.database.schema import frames
from dicomprep.database.writes.annotations import GivenAnnotation, add_annotations
from dicomprep.database.writes.labels import add_classes
from dicomprep.errors import ConfigError
from dicomprep.exchange.classes import Spelling
from dicomprep.exchange.columns import Cells
from dicomprep.exchange.drawings.base import Pixels, ReadDrawing, ReadDrawings
from dicomprep.exchange.drawings.csv import columns_of_drawings
from dicomprep.exchange.drawings.registry import FORMATS, DrawingFormatName
from dicomprep.exchange.kinds import Level
from dicomprep.exchange.matching import MatchResult, match_rows
from dicomprep.exchange.row_report import MAX_SHOWN_ROWS, find_candidates
from dicomprep.exchange.tables import ReadTable
from dicomprep.pixels.shapes import Shape
from dicomprep.pixels.transform import Transform
from dicomprep.workspace import Workspace

__all__ = ["AnnotationsImported", "import_annotations"]

MAX_TEXT = 1000
"""Characters of a note."""
MAX_NAME = 60
"""Characters of a class or an annotator, as the pages have them."""
OFF_PIXELS = 0.5
"""Pixels beyond the edge up to which nobody is told that a drawing was cut to its image: programs round."""

CUT = "reaches beyond its image: cut to it"
LONG_NAME = f"a class or annotator of more than {MAX_NAME} characters, or with a comma"
OUTSIDE = "lies outside of its image"

_FRAMES = select(frames.c.id, frames.c.height, frames.c.width, frames.c.transform).where(any_of(frames.c.id))


@dataclass(frozen=True, slots=True)
class AnnotationsImported:
    """The result of an import."""

    recorded: int
    unchanged: int
    """Drawings of the same annotator that stood already."""
    matched: MatchResult
    candidates: dict[int, str] = field(default_factory=dict)
    """How images that match nothing come nearest to something."""
    told: tuple[str, ...] = ()
    """Drawings that were not imported, or not as they were, in lines for a person."""


class _Frame(NamedTuple):
    size: tuple[int, int]
    transform: Transform


def import_annotations(
    workspace: Workspace,
    format: DrawingFormatName,
    path: Path,
    *,
    pixels: Pixels = Pixels.THUMBNAIL,
    annotator: str = "imported",
    by: str | None = None,
) -> AnnotationsImported:
    """Append the drawings of a file to the log; a drawing's own annotator goes before the one given.

    All of it or nothing, but for drawings that are named in `told`. Raises ConfigError where the file is none of the
    format, or does not say of which images its drawings are.
    """
    read = FORMATS[format].read(path)
    with workspace.reading() as connection:
        matched = _match(connection, workspace, read, by)
        known = list(dict.fromkeys([*classes.class_names(connection), *(d.label for d in read.drawings if d.label)]))
        spelling = Spelling(known, class_names(connection))
        candidates = find_candidates(connection, workspace, matched)
        wanted = sorted({int(matched.ids[drawing.image]) for drawing in read.drawings} - {0})
        there = {
            row[0]: _Frame((row[1], row[2]), Transform.from_json(row[3]))
            for row in look_up(connection, _FRAMES, wanted)
        }
    placing = _Placing(read, matched, there, pixels)
    given = list(placing.given(annotator, spelling))
    with workspace.writing() as store, store.transaction() as connection:
        add_classes(connection, list(dict.fromkeys(one.drawn.label for one in given if one.drawn.label)))
        recorded = add_annotations(connection, given)
    return AnnotationsImported(recorded, len(given) - recorded, matched, candidates, tuple(placing.told()))


def _match(connection: Connection, workspace: Workspace, read: ReadDrawings, by: str | None) -> MatchResult:
    if read.table is not None:
        matched = match_rows(connection, workspace, read.table, by=by, without=columns_of_drawings(read.table))
        if matched.level is not Level.FRAME:
            raise ConfigError(
                f"{read.path}: `{matched.by}` names the {matched.level} of a row, and a drawing is of one image. "
                f"If it is a name of the image, give --by {matched.by}=filename."
            )
        return matched
    if by is not None:
        raise ConfigError("--by names a column of a table: it is for csv.")
    names = [image.name for image in read.images]
    table = ReadTable(read.path, ("filename",), (Cells(names),), array("L", range(1, len(names) + 1)))
    return match_rows(connection, workspace, table)


class _Placing:
    """Drawings on their way to the pixels of their sources."""

    def __init__(self, read: ReadDrawings, matched: MatchResult, there: dict[int, _Frame], pixels: Pixels) -> None:
        self._read, self._matched, self._there, self._pixels = read, matched, there, pixels
        self._told: list[tuple[str, str]] = list(read.unread)

    def given(self, annotator: str, spelling: Spelling) -> Iterator[GivenAnnotation]:
        """The drawings that are imported."""
        for one in self._read.drawings:
            frame_id = int(self._matched.ids[one.image])
            shape = self._place(one, self._there[frame_id]) if frame_id else None
            if shape is None:
                continue
            who, label = one.annotator or annotator, one.label
            if not _is_name(who) or not _is_name(label or who):
                self._told.append((LONG_NAME, one.place))
                continue
            drawn = Drawn(shape=shape, label=spelling.of(label) if label else None, note=_line(one.note))
            yield GivenAnnotation(frame_id, drawn, who)

    def _place(self, one: ReadDrawing, frame: _Frame) -> Shape | None:
        """The drawing in pixels of the source; None, and why is told, where it has no place there."""
        source = frame.transform.geometry.source_shape
        size = frame.size if self._pixels is Pixels.THUMBNAIL else source
        stated = self._read.images[one.image].size
        if stated is not None and stated != size:
            self._told.append((_other_size(stated, size, frame.size, source), one.place))
            return None
        scale = size if self._read.in_fractions else (1, 1)
        corners = [(row * scale[0], column * scale[1]) for row, column in one.corners]
        try:
            shape = Shape.of(one.kind, corners)
            shape = shape.mapped(frame.transform.to_source) if self._pixels is Pixels.THUMBNAIL else shape
            inside = shape.within(*source)
        except ValueError as error:
            self._told.append((str(error), one.place))
            return None
        if inside is None:
            self._told.append((OUTSIDE, one.place))
        elif _is_off(shape, source):
            self._told.append((CUT, one.place))
        return inside

    def told(self) -> Iterator[str]:
        """Reasons with the places to which they apply."""
        counts = Counter(reason for reason, _ in self._told)
        for reason, count in counts.items():
            places = [place for said, place in self._told if said == reason]
            shown, more = places[:MAX_SHOWN_ROWS], count - MAX_SHOWN_ROWS
            yield f"{count:,} × {reason}: {'; '.join(shown)}{f' … and {more:,} more' if more > 0 else ''}"


def _is_off(shape: Shape, source: tuple[int, int]) -> bool:
    top, left, bottom, right = shape.bounds
    return min(top, left, source[0] - bottom, source[1] - right) < -OFF_PIXELS


def _other_size(stated: Sequence[float], size: Sequence[int], thumbnail: Sequence[int], source: Sequence[int]) -> str:
    """What a person can do where a file was made for images of another size."""
    said = f"of an image of {stated[1]:g}×{stated[0]:g} pixels, which has {size[1]}×{size[0]} here"
    if tuple(stated) == tuple(source):
        return f"{said} (--pixels source)"
    return f"{said} (--pixels thumbnail)" if tuple(stated) == tuple(thumbnail) else said


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME and "," not in name and name.isprintable()


def _line(note: str) -> str:
    """A note on one line, without what cannot be shown."""
    return "".join(sign if sign.isprintable() else " " for sign in note[:MAX_TEXT])

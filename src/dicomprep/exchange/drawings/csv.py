"""A table, CSV or Parquet, one row a drawing: in the headings of this program, or those of data sets of others."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from dicomprep.errors import ConfigError
from dicomprep.exchange.drawings.base import (
    Corners,
    DrawnSet,
    FormatError,
    NamedImage,
    ReadDrawing,
    ReadDrawings,
    load_corners,
    number,
)
from dicomprep.exchange.kinds import IDENTITIES
from dicomprep.exchange.tables import ReadTable, read_table, write_table
from dicomprep.pixels.shapes import ShapeKind

__all__ = ["NEEDS_IMAGES", "read", "write"]

NEEDS_IMAGES = False
NO_COORDINATES = "a row without coordinates: nothing is drawn there"
_COLUMNS = {
    **dict.fromkeys(("file_name", "split"), "text"),
    **dict.fromkeys(("width", "height"), "integer"),
    **dict.fromkeys(("kind", "label"), "text"),
    **dict.fromkeys(("x_min", "y_min", "x_max", "y_max"), "real"),
    **dict.fromkeys(("corners", "annotator", "note"), "text"),
}
_HEADINGS = {
    "kind": ("kind", "shape", "type"),
    "label": ("label", "class", "class name", "category", "finding label", "finding", "label name"),
    "left": ("x_min", "xmin", "x1", "left", "bbox x", "bbox [x", "x"),
    "top": ("y_min", "ymin", "y1", "top", "bbox y", "y"),
    "right": ("x_max", "xmax", "x2", "right"),
    "bottom": ("y_max", "ymax", "y2", "bottom"),
    "extent_x": ("width", "w", "bbox width", "box width", "bbox w"),
    "extent_y": ("height", "h", "h]", "bbox height", "box height", "bbox h"),
    "corners": ("corners", "points", "polygon", "vertices"),
    "annotator": ("annotator", "reader", "rad id", "radiologist"),
    "note": ("note", "comment"),
}
"""The last two of the box are a point where no others are there: `x` and `y` alone."""
_TELLING = (*IDENTITIES, *chain.from_iterable(_HEADINGS.values()))


def write(out: Path, drawn: DrawnSet) -> Mapping[str, int]:
    """One row a drawing; of a polygon `corners` has x and y of each, `x y;x y`."""
    rows = (
        (
            *(image.name, image.split, image.size[1], image.size[0], shape.drawn.shape.kind.value, shape.drawn.label),
            *(shape.drawn.shape.bounds[place] for place in (1, 0, 3, 2)),
            ";".join(f"{column!r} {row!r}" for row, column in shape.drawn.shape.corners)
            if shape.drawn.shape.kind is ShapeKind.POLYGON
            else None,
            *(shape.annotator, shape.drawn.note or None),
        )
        for image in drawn.images
        for shape in image.shapes
    )
    write_table(out, _COLUMNS, rows)
    return {}


def read(path: Path) -> ReadDrawings:
    """Read a table; ConfigError where it is none, or has no coordinates."""
    table = read_table(path, _TELLING)
    names = {what: table.heading(*headings) for what, headings in _HEADINGS.items()}
    if not (names["left"] and names["top"]) and not names["corners"]:
        found = ", ".join(filter(None, table.names))
        raise ConfigError(
            f"{path}: no columns have coordinates. Name them x_min, y_min, x_max, y_max (or x, y, width, height), or "
            f"corners. Columns found: {found}."
        )
    read_ = ReadDrawings(path, table=table)
    for row in range(len(table)):
        place = f"row {table.lines[row]}"
        said = {what: table.values(name)[row] for what, name in names.items() if name is not None}
        read_.images.append(NamedImage(""))
        read_.note(place, _read, said, row)
    return read_


def columns_of_drawings(table: ReadTable) -> list[str]:
    """The columns that name no image."""
    return [name for headings in _HEADINGS.values() if (name := table.heading(*headings)) is not None]


def _read(said: Mapping[str, str], row: int, place: str) -> ReadDrawing:
    kind, corners = _shape(said)
    return ReadDrawing(
        image=row,
        place=place,
        kind=kind,
        corners=corners,
        label=said.get("label") or None,
        annotator=said.get("annotator", ""),
        note=said.get("note", ""),
    )


def _shape(said: Mapping[str, str]) -> tuple[ShapeKind, Corners]:
    kind = said.get("kind", "").lower()
    if said.get("corners"):
        return (ShapeKind(kind) if kind in _KINDS else ShapeKind.POLYGON), load_corners(said["corners"])
    if not said.get("left") and not said.get("top"):
        raise FormatError(NO_COORDINATES)
    left, top = number(said.get("left")), number(said.get("top"))
    if kind == ShapeKind.POINT:
        return ShapeKind.POINT, ((top, left),)
    if said.get("right") or said.get("bottom"):
        return ShapeKind.BOX, ((top, left), (number(said.get("bottom")), number(said.get("right"))))
    if said.get("extent_x") and said.get("extent_y"):
        return ShapeKind.BOX, ((top, left), (top + number(said["extent_y"]), left + number(said["extent_x"])))
    return ShapeKind.POINT, ((top, left),)


_KINDS = frozenset(map(str, ShapeKind))

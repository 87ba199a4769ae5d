"""YOLO: images and texts side by side, `data.yaml` names the classes. https://docs.ultralytics.com/datasets/

A file of labels has boxes or polygons, never both: readers take all of a file for one. So with a polygon anywhere,
boxes are written as their four corners. Points and notes have no place.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dicomprep.config import SPLIT_NAMES
from dicomprep.errors import ConfigError
from dicomprep.exchange.drawings.base import (
    Corners,
    DrawnImage,
    DrawnSet,
    DrawnShape,
    FormatError,
    NamedImage,
    ReadDrawing,
    ReadDrawings,
    is_upright,
    make_folder,
    number,
    pairs,
    read_bytes,
)
from dicomprep.pixels.shapes import ShapeKind
from dicomprep.storage.sync import replace_file

__all__ = ["NEEDS_IMAGES", "read", "write"]

NEEDS_IMAGES = True
DATA = "data.yaml"
NO_PLACE = "points have no place in YOLO's boxes and polygons"
CROPPED = "what lies outside of the thumbnail, which was cropped"
_ENTRY = re.compile(r"\s*(?:-|(\d+)\s*:)\s*(.+?)\s*$")


def write(out: Path, drawn: DrawnSet) -> Mapping[str, int]:
    """`data.yaml`, `images/SPLIT/*` and `labels/SPLIT/*.txt`; of an image without a drawing the text is empty."""
    numbers = {name: place for place, name in enumerate(drawn.classes)}
    kinds = Counter(shape.drawn.shape.kind for image in drawn.images for shape in image.shapes)
    for split in SPLIT_NAMES:
        for folder in ("images", "labels"):
            make_folder(out / folder / split)
    lost = 0
    for image in drawn.images:
        shapes = list(_within(image))
        lost += len(image.shapes) - len(shapes)
        lines = _lines(shapes, image.size, numbers, as_polygons=kinds[ShapeKind.POLYGON] > 0)
        replace_file(out / "images" / image.split / image.name, drawn.content(image))
        replace_file(out / "labels" / image.split / f"{Path(image.name).stem}.txt", "".join(lines).encode())
    folders = "".join(f"{split}: images/{split}\n" for split in SPLIT_NAMES)
    names = "".join(f"  {place}: {json.dumps(name, ensure_ascii=False)}\n" for name, place in numbers.items())
    replace_file(out / DATA, f"{folders}names:\n{names or '  {}'}".encode())
    left_out = {NO_PLACE: kinds[ShapeKind.POINT], CROPPED: lost - kinds[ShapeKind.POINT]}
    return {reason: count for reason, count in left_out.items() if count}


def _within(image: DrawnImage) -> Iterator[DrawnShape]:
    """The boxes and polygons, cut to the image: readers refuse what reaches beyond it."""
    for shape in image.shapes:
        inside = shape.drawn.shape.within(*image.size)
        if inside is not None and inside.kind is not ShapeKind.POINT:
            yield replace(shape, drawn=replace(shape.drawn, shape=inside))


def _lines(
    shapes: Sequence[DrawnShape], size: tuple[int, int], numbers: Mapping[str, int], *, as_polygons: bool
) -> Iterator[str]:
    for shape in shapes:
        written = _polygon(shape, size) if as_polygons else _box(shape, size)
        yield f"{numbers[shape.label]} {' '.join(f'{number:.9f}' for number in written)}\n"


def _box(shape: DrawnShape, size: tuple[int, int]) -> tuple[float, ...]:
    top, left, bottom, right = shape.drawn.shape.bounds
    rows, columns = size
    return (left + right) / 2 / columns, (top + bottom) / 2 / rows, (right - left) / columns, (bottom - top) / rows


def _polygon(shape: DrawnShape, size: tuple[int, int]) -> tuple[float, ...]:
    top, left, bottom, right = shape.drawn.shape.bounds
    corners: Corners = ((top, left), (top, right), (bottom, right), (bottom, left))
    if shape.drawn.shape.kind is ShapeKind.POLYGON:
        corners = shape.drawn.shape.corners
    return tuple(n for row, column in corners for n in (column / size[1], row / size[0]))


def read(path: Path) -> ReadDrawings:
    """Read a folder with `data.yaml` and `labels`, or that file; ConfigError where it is none."""
    data = path if path.suffix in (".yaml", ".yml") else path / DATA
    if not data.is_file():
        raise ConfigError(f"{path}: no {DATA} is there. Give the folder of a YOLO data set.")
    names = _names(read_bytes(data).decode("utf-8-sig", "replace"))
    found = ReadDrawings(path, in_fractions=True)
    files = sorted(data.parent.rglob("labels/**/*.txt"))
    if not files:
        raise ConfigError(f"{path}: no labels/*.txt are there.")
    for file in files:
        image = len(found.images)
        found.images.append(NamedImage(file.stem))
        shown = file.relative_to(data.parent).as_posix()
        for line, content in enumerate(read_bytes(file).decode("utf-8-sig", "replace").splitlines(), 1):
            if content.strip():
                place = f"{shown}, line {line}"
                found.note(place, _read, content.split(), image, names)
    return found


def _read(words: list[str], image: int, names: Mapping[int, str], place: str) -> ReadDrawing:
    label = int(words[0]) if words[0].isdigit() and len(words[0]) < 10 else -1
    if label not in names:
        raise FormatError("a class that data.yaml does not name")
    kind, corners = _shape(words[1:])
    return ReadDrawing(image=image, place=place, kind=kind, corners=corners, label=names[label])


def _shape(words: list[str]) -> tuple[ShapeKind, Corners]:
    if len(words) in (4, 5):  # the fifth is a confidence
        x, y, width, height = map(number, words[:4])
        return ShapeKind.BOX, ((y - height / 2, x - width / 2), (y + height / 2, x + width / 2))
    corners = pairs(words)
    return (ShapeKind.BOX, (corners[0], corners[2])) if is_upright(corners) else (ShapeKind.POLYGON, corners)


def _names(content: str) -> dict[int, str]:
    """The classes of data.yaml: a list, or a mapping of numbers, on one line or several."""
    lines = iter(content.splitlines())
    for line in lines:
        key, _, rest = line.partition(":")
        if key.strip() == "names" and not line[0].isspace():
            inline = rest.split(" #")[0].strip()
            entries = inline.strip("[]{}").split(",") if inline else _entries(lines)
            return dict(_named(entry, place) for place, entry in enumerate(filter(str.strip, entries)))
    raise ConfigError(f"{DATA} has no names of classes.")


def _entries(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not (line[0].isspace() or line.startswith("-")):
            return
        yield line


def _named(entry: str, place: int) -> tuple[int, str]:
    match = _ENTRY.match(entry)
    number_, name = (match[1], match[2]) if match else (None, entry.strip())
    quoted = name[:1] in "\"'" and name[-1:] == name[:1] and len(name) > 1
    if quoted and name[0] == '"':
        try:
            name = str(json.loads(name))
        except ValueError:
            name = name[1:-1]
    elif quoted:
        name = name[1:-1].replace("''", "'")
    return (place if number_ is None else int(number_)), name

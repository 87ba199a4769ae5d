"""COCO: one JSON file for each split, as pycocotools and detection libraries read it.

Boxes and polygons have `bbox` and `segmentation`, points one keypoint. https://cocodataset.org/#format-data
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dicomprep.config import SPLIT_NAMES
from dicomprep.errors import ConfigError
from dicomprep.exchange.drawings.base import (
    Corners,
    DrawnImage,
    DrawnMask,
    DrawnSet,
    DrawnShape,
    FormatError,
    NamedImage,
    ReadDrawing,
    ReadDrawings,
    is_upright,
    load_json,
    make_folder,
    number,
    pairs,
    text,
)
from dicomprep.pixels.shapes import ShapeKind
from dicomprep.storage.sync import replace_file

__all__ = ["NEEDS_IMAGES", "as_coco", "read", "write"]

NEEDS_IMAGES = False
SEVERAL_PARTS = "an object of several polygons: each is one annotation"
MASK_AS_BOX = "a mask: imported as its box"
KEPT = (SEVERAL_PARTS, MASK_AS_BOX)


def write(out: Path, drawn: DrawnSet) -> Mapping[str, int]:
    """`train.json`, `val.json` and `test.json` in a folder, of the splits that have images."""
    make_folder(out)
    for split in SPLIT_NAMES:
        images = [image for image in drawn.images if image.split == split]
        if images:
            replace_file(out / f"{split}.json", json.dumps(as_coco(images, drawn.classes), ensure_ascii=False).encode())
    return {}


def as_coco(images: Sequence[DrawnImage], classes: Sequence[str]) -> dict[str, Any]:
    """Images and what is drawn on them as one file has them; classes are numbered from 1."""
    numbers = {name: place for place, name in enumerate(classes, 1)}
    pointed = {s.label for image in images for s in image.shapes if s.drawn.shape.kind is ShapeKind.POINT}
    drawn = [{"image_id": image_id, **_annotation(shape, numbers)} for image_id, shape in _numbered(images)]
    drawn += [
        {"image_id": place, **_mask(mask, numbers)} for place, image in enumerate(images, 1) for mask in image.masks
    ]
    annotations = [{"id": place, **one} for place, one in enumerate(drawn, 1)]
    return {
        "info": {"description": "dicomprep"},
        "licenses": [],
        "images": [
            {"id": place, "file_name": image.name, "height": image.size[0], "width": image.size[1]}
            for place, image in enumerate(images, 1)
        ],
        "annotations": annotations,
        "categories": [
            {"id": place, "name": name, "supercategory": ""}
            | ({"keypoints": ["point"], "skeleton": []} if name in pointed else {})
            for name, place in numbers.items()
        ],
    }


def _numbered(images: Sequence[DrawnImage]) -> Iterator[tuple[int, DrawnShape]]:
    return ((place, shape) for place, image in enumerate(images, 1) for shape in image.shapes)


def _annotation(shape: DrawnShape, numbers: Mapping[str, int]) -> dict[str, Any]:
    drawn = shape.drawn.shape
    top, left, bottom, right = drawn.bounds
    corners: Corners = ((top, left), (top, right), (bottom, right), (bottom, left))
    corners = drawn.corners if drawn.kind is ShapeKind.POLYGON else corners
    said = {"kind": drawn.kind.value, "annotator": shape.annotator, "note": shape.drawn.note}
    common = {
        "category_id": numbers[shape.label],
        "bbox": [left, top, right - left, bottom - top],
        "area": drawn.area if drawn.kind is not ShapeKind.POINT else 0,
        "iscrowd": 0,
        "attributes": {name: value for name, value in said.items() if value},
    }
    if drawn.kind is ShapeKind.POINT:
        return common | {"segmentation": [], "keypoints": [left, top, 2], "num_keypoints": 1}
    return common | {"segmentation": [[number for row, column in corners for number in (column, row)]]}


def _mask(mask: DrawnMask, numbers: Mapping[str, int]) -> dict[str, Any]:
    top, left, bottom, right = mask.bounds
    return {
        "category_id": numbers[mask.label],
        "bbox": [left, top, right - left, bottom - top],
        "area": mask.area,
        "iscrowd": 0,
        "segmentation": {"size": mask.size, "counts": mask.counts},
        "attributes": {"kind": "mask"},
    }


def read(path: Path) -> ReadDrawings:
    """Read a file, or all files of a folder; ConfigError where one is no COCO file."""
    found = ReadDrawings(path)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise ConfigError(f"{path}: no .json file is in this folder.")
    for file in files:
        _read_file(found, file, f"{file.name}, " if len(files) > 1 else "")
    return found


def _read_file(found: ReadDrawings, file: Path, prefix: str) -> None:
    content = load_json(file)
    lists = [content.get(name) for name in ("images", "annotations")] if isinstance(content, dict) else [None]
    if not all(isinstance(one, list) for one in lists):
        raise ConfigError(f"{file} is not a COCO file: it needs the lists images, annotations and categories.")
    places: dict[Any, int] = {}
    for image in content["images"]:
        if isinstance(image, dict) and isinstance(image.get("id"), int | str):
            places[image["id"]] = len(found.images)
            found.images.append(NamedImage(text(image.get("file_name")), _size(image)))
    classes = {
        one["id"]: text(one.get("name"))
        for one in content.get("categories") or ()
        if isinstance(one, dict) and isinstance(one.get("id"), int | str)
    }
    for number_, one in enumerate(content["annotations"], 1):
        place = f"{prefix}annotation {(text(one.get('id')) if isinstance(one, dict) else '') or number_}"
        for part in _parts(found, one, place):
            found.note(place, _read_one, one, part, places, classes)


def _size(image: dict[str, Any]) -> tuple[float, float] | None:
    try:
        return number(image["height"]), number(image["width"])
    except (KeyError, FormatError):
        return None


def _parts(found: ReadDrawings, one: Any, place: str) -> list[Any]:  # noqa: ANN401
    """The polygons of an object, or None for what is its box or point."""
    said = one.get("segmentation") if isinstance(one, dict) else None
    if isinstance(said, dict):
        found.unread.append((MASK_AS_BOX, place))
    if not isinstance(said, list) or not said or _attributes(one).get("kind") == "box" or "keypoints" in one:
        return [None]
    if len(said) > 1:
        found.unread.append((SEVERAL_PARTS, place))
    return said


def _attributes(one: dict[str, Any]) -> dict[str, Any]:
    said = one.get("attributes")
    return said if isinstance(said, dict) else {}


def _read_one(one: Any, part: Any, places: Mapping[Any, int], classes: Mapping[Any, str], place: str) -> ReadDrawing:  # noqa: ANN401
    if one["image_id"] not in places:
        raise FormatError("of an image that the file does not have")
    said = _attributes(one)
    kind, corners = _shape(one, part)
    return ReadDrawing(
        image=places[one["image_id"]],
        place=place,
        kind=kind,
        corners=corners,
        label=classes.get(one.get("category_id")) or None,
        annotator=text(said.get("annotator")),
        note=text(said.get("note")),
    )


def _shape(one: dict[str, Any], part: Any) -> tuple[ShapeKind, Corners]:  # noqa: ANN401
    if part is not None:
        corners = pairs(part)
        is_box = is_upright(corners) and _attributes(one).get("kind") != "polygon"
        return (ShapeKind.BOX, (corners[0], corners[2])) if is_box else (ShapeKind.POLYGON, corners)
    keypoints = one.get("keypoints")
    if keypoints:
        if len(keypoints) != 3:
            raise FormatError("a skeleton of several keypoints")
        return ShapeKind.POINT, ((number(keypoints[1]), number(keypoints[0])),)
    left, top, width, height = map(number, one["bbox"])
    return ShapeKind.BOX, ((top, left), (top + height, left + width))

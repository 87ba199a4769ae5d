"""Label Studio: a JSON list of tasks, coordinates in percent of the image. https://labelstud.io/guide/export"""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

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
    load_json,
    make_folder,
    number,
    text,
    turned,
)
from dicomprep.pixels.shapes import ShapeKind
from dicomprep.storage.sync import replace_file

__all__ = ["NEEDS_IMAGES", "read", "write"]

NEEDS_IMAGES = False
_UPLOADED = re.compile(r".*/upload/(?:[0-9]+/)?(?:[0-9a-f]{8}-)?")
PREDICTED = "a prediction of a model: imported in the name of its version"
_TYPES = {
    ShapeKind.BOX: "rectanglelabels",
    ShapeKind.POINT: "keypointlabels",
    ShapeKind.POLYGON: "polygonlabels",
}
_KINDS = {name: kind for kind, name in _TYPES.items()} | {
    name.removesuffix("labels"): kind for kind, name in _TYPES.items()
}


def write(out: Path, drawn: DrawnSet) -> Mapping[str, int]:
    """One file of tasks, each with the drawings of its annotators; `data.image` is the name of the image."""
    tasks = [_task(place, image) for place, image in enumerate(drawn.images, 1)]
    make_folder(out.parent)
    replace_file(out, json.dumps(tasks, ensure_ascii=False).encode())
    return {}


def _task(place: int, image: DrawnImage) -> dict[str, Any]:
    by_annotator = groupby(sorted(image.shapes, key=lambda shape: shape.annotator), key=lambda shape: shape.annotator)
    return {
        "id": place,
        "data": {"image": image.name, "split": image.split},
        "annotations": [
            {"created_username": annotator, "result": [_result(shape, image.size) for shape in shapes]}
            for annotator, shapes in by_annotator
        ],
        "predictions": [],
    }


def _result(shape: DrawnShape, size: tuple[int, int]) -> dict[str, Any]:
    rows, columns = size
    drawn, kind = shape.drawn.shape, _TYPES[shape.drawn.shape.kind]
    top, left, bottom, right = drawn.bounds
    place = {"x": 100 * left / columns, "y": 100 * top / rows}
    if drawn.kind is ShapeKind.BOX:
        extent = {"width": 100 * (right - left) / columns, "height": 100 * (bottom - top) / rows}
        value: dict[str, Any] = place | extent | {"rotation": 0}
    elif drawn.kind is ShapeKind.POINT:
        value = place | {"width": 0.5}
    else:
        value = {"points": [[100 * c / columns, 100 * r / rows] for r, c in drawn.corners], "closed": True}
    return {
        "id": shape.key,
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "original_width": columns,
        "original_height": rows,
        "image_rotation": 0,
        "value": {**value, kind: [shape.label]},
        **({"meta": {"text": [shape.drawn.note]}} if shape.drawn.note else {}),
    }


def read(path: Path) -> ReadDrawings:
    """Read a file of tasks; ConfigError where it is none."""
    tasks = load_json(path)
    if not isinstance(tasks, list) or not all(isinstance(t, dict) and isinstance(t.get("data"), dict) for t in tasks):
        raise ConfigError(f"{path} is not a JSON export of Label Studio: it needs a list of tasks with data.")
    found = ReadDrawings(path, in_fractions=True)
    for place, task in enumerate(tasks, 1):
        name = text(task.get("id")) or str(place)
        _read_task(found, task, f"task {name}")
    return found


def _read_task(found: ReadDrawings, task: dict[str, Any], place: str) -> None:
    given = _said(task, "annotations", "completions")
    predicted = [] if given else _said(task, "predictions")
    results = [(one, r) for one in given or predicted for r in one.get("result") or () if isinstance(r, dict)]
    sizes = {_size(result) for _, result in results} - {None}
    image = len(found.images)
    found.images.append(NamedImage(_image_name(task["data"]), sizes.pop() if len(sizes) == 1 else None))
    found.unread += [(PREDICTED, place)] if predicted and results else []
    for one, result in results:
        if result.get("type") in ("choices", "textarea", "labels", "relation", "rating"):
            continue  # said of the whole image, or of another result
        who = text(one.get("model_version")) if predicted else _annotator(one)
        found.note(place, _read, result, image, who)


def _said(task: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    lists = (task.get(name) for name in names)
    return [one for found in lists if isinstance(found, list) for one in found if isinstance(one, dict)]


def _image_name(data: dict[str, Any]) -> str:
    """Without what an upload or local storage puts before it."""
    image = text(data.get("image") or next((value for value in data.values() if isinstance(value, str)), ""))
    return _UPLOADED.sub("", image.rpartition("?d=")[2])


def _annotator(one: dict[str, Any]) -> str:
    who = one.get("completed_by")
    name = text(one.get("created_username")) or (text(who.get("email")) if isinstance(who, dict) else "")
    return name.rpartition(", ")[0] or name


def _size(result: dict[str, Any]) -> tuple[float, float] | None:
    try:
        return number(result["original_height"]), number(result["original_width"])
    except (KeyError, FormatError):
        return None


def _read(result: dict[str, Any], image: int, annotator: str, place: str) -> ReadDrawing:
    kind = _KINDS.get(text(result.get("type")))
    if kind is None:
        raise FormatError(f"a result that is no box, point or polygon ({text(result.get('type'))[:20]})")
    value = result["value"]
    classes = value.get(_TYPES[kind]) or value.get("labels") or ()
    corners = _corners(kind, value, result)
    notes = result.get("meta", {}).get("text") or ()
    return ReadDrawing(
        image=image,
        place=place,
        kind=ShapeKind.POLYGON if len(corners) > 2 else kind,
        corners=corners,
        label=text(classes[0]) or None if classes else None,
        annotator=annotator,
        note=" ".join(map(text, [notes] if isinstance(notes, str) else notes)),
    )


def _corners(kind: ShapeKind, value: dict[str, Any], result: dict[str, Any]) -> Corners:
    """In parts of the image; a box that is turned about its first corner is turned in pixels."""
    if kind is ShapeKind.POLYGON:
        return _parts([(number(y), number(x)) for x, y in value["points"]])
    top, left = number(value["y"]), number(value["x"])
    if kind is ShapeKind.POINT:
        return _parts([(top, left)])
    box = ((top, left), (top + number(value["height"]), left + number(value["width"])))
    degrees, size = number(value.get("rotation") or 0), _size(result)
    if not degrees:
        return _parts(box)
    if size is None:
        raise FormatError("a box that is turned, of an image of unknown size")
    pixels = ((top * size[0], left * size[1]), (box[1][0] * size[0], box[1][1] * size[1]))
    return _parts([(row / size[0], column / size[1]) for row, column in turned(pixels, degrees, pixels[0])])


def _parts(percent: Sequence[tuple[float, float]]) -> Corners:
    return tuple((row / 100, column / 100) for row, column in percent)

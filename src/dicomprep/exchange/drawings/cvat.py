"""CVAT: XML 1.1 for images. https://docs.cvat.ai/docs/manual/advanced/xml_format/"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from dicomprep.errors import ConfigError
from dicomprep.exchange.drawings.base import (
    Corners,
    DrawnSet,
    DrawnShape,
    FormatError,
    NamedImage,
    ReadDrawing,
    ReadDrawings,
    make_folder,
    number,
    pairs,
    read_bytes,
    text,
    turned,
)
from dicomprep.pixels.shapes import ShapeKind
from dicomprep.storage.sync import replace_file

__all__ = ["NEEDS_IMAGES", "read", "write"]

NEEDS_IMAGES = False
_SAID = ("annotator", "note")
"""Attributes in which the annotator and the note are."""
_TAGS = {ShapeKind.BOX: "box", ShapeKind.POINT: "points", ShapeKind.POLYGON: "polygon"}
_OF_IMAGES = ("tag",)
"""What is said of a whole image."""


def write(out: Path, drawn: DrawnSet) -> Mapping[str, int]:
    """One file; `subset` is the split."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    task = SubElement(SubElement(root, "meta"), "task")
    for name, value in (("name", "dicomprep"), ("size", str(len(drawn.images))), ("mode", "annotation")):
        SubElement(task, name).text = value
    labels = SubElement(task, "labels")
    for name in drawn.classes:
        _describe(SubElement(labels, "label"), name)
    for place, image in enumerate(drawn.images):
        rows, columns = image.size
        said = {"id": place, "name": image.name, "subset": image.split, "width": columns, "height": rows}
        node = SubElement(root, "image", {name: str(value) for name, value in said.items()})
        for shape in image.shapes:
            _write_shape(node, shape)
    make_folder(out.parent)
    content = ET.tostring(root, encoding="utf-8", xml_declaration=False)
    replace_file(out, b'<?xml version="1.0" encoding="utf-8"?>\n' + content)
    return {}


def _describe(label: Element, name: str) -> None:
    SubElement(label, "name").text = _plain(name)
    attributes = SubElement(label, "attributes")
    for said in _SAID:
        attribute = SubElement(attributes, "attribute")
        fields = {"name": said, "mutable": "False", "input_type": "text", "default_value": "", "values": ""}
        for field, value in fields.items():
            SubElement(attribute, field).text = value


def _write_shape(image: Element, shape: DrawnShape) -> None:
    drawn = shape.drawn.shape
    said = {"label": _plain(shape.label), "source": "manual", "occluded": "0"}
    if drawn.kind is ShapeKind.BOX:
        top, left, bottom, right = map(_number, drawn.bounds)
        said |= {"xtl": left, "ytl": top, "xbr": right, "ybr": bottom}
    else:
        said["points"] = ";".join(f"{_number(column)},{_number(row)}" for row, column in drawn.corners)
    node = SubElement(image, _TAGS[drawn.kind], said | {"z_order": "0"})
    for name, value in zip(_SAID, (shape.annotator, shape.drawn.note), strict=True):
        SubElement(node, "attribute", {"name": name}).text = _plain(value)


def _number(value: float) -> str:
    return f"{value:.6f}"


def _plain(value: str) -> str:
    """Without what no XML can hold."""
    return "".join(sign if sign.isprintable() else " " for sign in value)


def read(path: Path) -> ReadDrawings:
    """Read a file; ConfigError where it is none."""
    root = _parse(path)
    if root.tag != "annotations":
        raise ConfigError(f"{path} is not a CVAT file: its root is not <annotations>.")
    found = ReadDrawings(path)
    for image in root.iter("image"):
        _read_image(found, image)
    found.unread += [("a track of a video", f"track {text(t.get('id'))}") for t in root.iter("track")]
    return found


def _parse(path: Path) -> Element:
    """Entities are refused: a file that needs them is no export of CVAT, and they can be made to fill the memory."""
    try:
        content = read_bytes(path).decode("utf-8-sig")
        if "<!DOCTYPE" in content or "<!ENTITY" in content:
            raise ConfigError(f"{path} is not a CVAT file: it declares entities.")
        return ET.fromstring(content)  # noqa: S314  (no entities)
    except (ValueError, ET.ParseError) as error:
        raise ConfigError(f"{path} is not an XML file in UTF-8: {str(error)[:200]}") from error


def _read_image(found: ReadDrawings, image: Element) -> None:
    name = text(image.get("name"))
    try:
        size = (number(image.get("height")), number(image.get("width")))
    except FormatError:
        size = None
    number_ = len(found.images)
    found.images.append(NamedImage(name, size))
    for order, node in enumerate((node for node in image if node.tag not in _OF_IMAGES), 1):
        place = f"image {text(image.get('id')) or number_}, shape {order}"
        for kind, corners in _shapes(found, node, place):
            found.note(place, _drawing, node, number_, kind, corners)


def _shapes(found: ReadDrawings, node: Element, place: str) -> Iterator[tuple[ShapeKind, Corners]]:
    """Of one node: several points are as many drawings."""
    try:
        if node.tag == "box":
            yield _box(node)
        elif node.tag == "polygon":
            yield ShapeKind.POLYGON, _points(node)
        elif node.tag == "points":
            yield from ((ShapeKind.POINT, (corner,)) for corner in _points(node))
        elif node.tag == "mask":
            found.unread.append(("a mask: imported as its box", place))
            top, left, height, width = (number(node.get(name)) for name in ("top", "left", "height", "width"))
            yield ShapeKind.BOX, ((top, left), (top + height, left + width))
        else:
            raise FormatError(f"a shape that is no box, point or polygon ({text(node.tag)[:20]})")
    except FormatError as error:
        found.unread.append((str(error), place))


def _box(node: Element) -> tuple[ShapeKind, Corners]:
    left, top, right, bottom = (number(node.get(name)) for name in ("xtl", "ytl", "xbr", "ybr"))
    box, degrees = ((top, left), (bottom, right)), number(node.get("rotation") or 0)
    if not degrees:
        return ShapeKind.BOX, box
    return ShapeKind.POLYGON, turned(box, degrees, ((top + bottom) / 2, (left + right) / 2))


def _points(node: Element) -> Corners:
    return pairs([word for pair in (node.get("points") or "").split(";") if pair for word in pair.split(",", 1)])


def _drawing(node: Element, image: int, kind: ShapeKind, corners: Corners, place: str) -> ReadDrawing:
    said = {text(one.get("name")): text(one.text) for one in node.iter("attribute")}
    return ReadDrawing(
        image=image,
        place=place,
        kind=kind,
        corners=corners,
        label=text(node.get("label")) or None,
        annotator=said.get("annotator", ""),
        note=said.get("note", ""),
    )

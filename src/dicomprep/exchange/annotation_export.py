"""Export of annotations, in the pixels of the thumbnails that go with them or in those of the sources."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from dicomprep.database.queries.annotations import Annotation, drawn_on, used_classes
from dicomprep.database.queries.frames import Choice, select_frames
from dicomprep.errors import ExportError
from dicomprep.exchange.drawings.base import NO_CLASS, DrawnImage, DrawnMask, DrawnSet, DrawnShape, MaskGrid, Pixels
from dicomprep.exchange.drawings.registry import FORMATS, DrawingFormatName
from dicomprep.exchange.pseudonyms import Pseudonyms
from dicomprep.pixels.transform import Transform
from dicomprep.storage.image_cache import read_image
from dicomprep.storage.source import digest_bytes
from dicomprep.workspace import Workspace

__all__ = ["AnnotationsExported", "drawn_classes", "export_annotations", "shapes_of"]

ReadMasks = Callable[[Workspace, Mapping[int, MaskGrid]], Mapping[int, Sequence[DrawnMask]]]
_NAMED = ("id", "filename", "split", "label", "height", "width", "transform", "thumbnail_path", "digest")


@dataclass(frozen=True, slots=True)
class AnnotationsExported:
    """The result of an export."""

    images: int
    annotated: int
    """Of these, how many have a drawing."""
    shapes: int
    left_out: Mapping[str, int]
    """What has no place in the format, and how often."""


def export_annotations(  # noqa: PLR0913
    workspace: Workspace,
    format: DrawingFormatName,
    out: Path,
    *,
    pixels: Pixels = Pixels.THUMBNAIL,
    choice: Choice | None = None,
    unlabeled: bool = False,
    read_masks: ReadMasks | None = None,
) -> AnnotationsExported:
    """Write what is drawn on images. Images without a drawing are there if they have a label, for somebody saw them.

    With `unlabeled` all images are. Their names are the pseudonyms of exports. `read_masks` reads masks of images, as
    `volumetric.segments` does. Raises ExportError where an image that goes along is missing or altered.
    """
    module = FORMATS[format]
    choice = choice or Choice(held=not module.NEEDS_IMAGES)
    pseudonyms = Pseudonyms(workspace.key)
    with workspace.reading() as connection:
        drawn = drawn_on(connection, choice.version)
        classes = drawn_classes(connection, drawn)
        rows = [
            row
            for row in chain.from_iterable(select_frames(connection, _NAMED, choice))
            if row[0] in drawn or row[3] is not None or unlabeled or read_masks is not None
        ]
    masks = {} if read_masks is None else read_masks(workspace, {row[0]: _grid(row, pixels) for row in rows})
    images = [
        replace(_image(row, drawn.get(row[0], []), pseudonyms, pixels), masks=tuple(masks.get(row[0], ())))
        for row in rows
        if row[0] in drawn or row[0] in masks or row[3] is not None or unlabeled
    ]
    classes = tuple(dict.fromkeys((*classes, *sorted({m.label for several in masks.values() for m in several}))))
    images.sort(key=lambda image: image.name)
    left_out = module.write(out, DrawnSet(images, classes, lambda image: _content(workspace, image)))
    counts = Counter(bool(image.shapes or image.masks) for image in images)
    shapes = sum(len(image.shapes) + len(image.masks) for image in images)
    return AnnotationsExported(len(images), counts[True], shapes, left_out)


def drawn_classes(connection: Connection, drawn: Mapping[int, list[Annotation]]) -> tuple[str, ...]:
    """Of the whole data set, so that a part of it has the same numbers."""
    unnamed = any(not one.drawn.label for several in drawn.values() for one in several)
    return tuple(dict.fromkeys((*used_classes(connection, drawn), *([NO_CLASS] if unnamed else []))))


def _image(row: Any, drawn: list[Annotation], pseudonyms: Pseudonyms, pixels: Pixels) -> DrawnImage:  # noqa: ANN401
    _, filename, split, _, height, width, text, path, digest = row
    transform = Transform.from_json(text)
    size = (height, width) if pixels is Pixels.THUMBNAIL else transform.geometry.source_shape
    name = f"{pseudonyms.of_image(filename).decode()}{Path(path).suffix}"
    return DrawnImage(name, split, size, shapes_of(drawn, transform, pixels), path, digest)


def shapes_of(drawn: Sequence[Annotation], transform: Transform, pixels: Pixels) -> tuple[DrawnShape, ...]:
    """What is drawn on an image, in the pixels that are written."""
    if pixels is Pixels.SOURCE:
        return tuple(DrawnShape.of(one, one.drawn.shape) for one in drawn)
    return tuple(DrawnShape.of(one, one.drawn.shape.mapped(transform.to_thumbnail)) for one in drawn)


def _grid(row: Any, pixels: Pixels) -> MaskGrid:  # noqa: ANN401
    height, width, transform = row[4], row[5], Transform.from_json(row[6])
    source = transform.geometry.source_shape
    if pixels is Pixels.SOURCE:
        return MaskGrid(np.arange(source[0]), np.arange(source[1]), source)
    down = transform.to_source([(place + 0.5, 0.5) for place in range(height)])[:, 0]
    across = transform.to_source([(0.5, place + 0.5) for place in range(width)])[:, 1]
    return MaskGrid(_inside(down, source[0]), _inside(across, source[1]), source)


def _inside(places: NDArray[np.float64], length: int) -> NDArray[np.int64]:
    whole = np.floor(places).astype(np.int64)
    return np.where((whole >= 0) & (whole < length), whole, -1)


def _content(workspace: Workspace, image: DrawnImage) -> bytes:
    place = workspace.images.where(image.thumbnail_path)
    try:
        content = read_image(workspace.images, image.thumbnail_path, image.digest)
    except OSError as error:
        raise ExportError(f"The image {place} cannot be read: {error.strerror}. {_REPAIR}") from error
    if digest_bytes(content) != image.digest:
        raise ExportError(f"The image {place} is not what was recorded. {_REPAIR}")
    return content


_REPAIR = "`dicomprep verify --repair` restores missing and damaged images."

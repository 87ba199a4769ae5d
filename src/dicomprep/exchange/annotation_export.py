"""Export of annotations, in the pixels of the thumbnails that go with them or in those of the sources."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from dicomprep.database.queries.annotations import Annotation, drawn_on, used_classes
from dicomprep.database.queries.frames import Choice, select_frames
from dicomprep.errors import ExportError
from dicomprep.exchange.drawings.base import NO_CLASS, DrawnImage, DrawnSet, DrawnShape, Pixels
from dicomprep.exchange.drawings.registry import FORMATS, DrawingFormatName
from dicomprep.exchange.pseudonyms import Pseudonyms
from dicomprep.pixels.transform import Transform
from dicomprep.storage.image_cache import read_image
from dicomprep.storage.source import digest_bytes
from dicomprep.workspace import Workspace

__all__ = ["AnnotationsExported", "drawn_classes", "export_annotations", "shapes_of"]

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


def export_annotations(
    workspace: Workspace,
    format: DrawingFormatName,
    out: Path,
    *,
    pixels: Pixels = Pixels.THUMBNAIL,
    choice: Choice | None = None,
    unlabeled: bool = False,
) -> AnnotationsExported:
    """Write what is drawn on images. Images without a drawing are there if they have a label, for somebody saw them.

    With `unlabeled` all images are. Their names are the pseudonyms of exports. Raises ExportError where an image that
    goes along is missing or altered.
    """
    module = FORMATS[format]
    choice = choice or Choice(held=not module.NEEDS_IMAGES)
    pseudonyms = Pseudonyms(workspace.key)
    with workspace.reading() as connection:
        drawn = drawn_on(connection, choice.version)
        classes = drawn_classes(connection, drawn)
        images = [
            image
            for row in chain.from_iterable(select_frames(connection, _NAMED, choice))
            if row[0] in drawn or row[3] is not None or unlabeled
            for image in (_image(row, drawn.get(row[0], []), pseudonyms, pixels),)
        ]
    images.sort(key=lambda image: image.name)
    left_out = module.write(out, DrawnSet(images, classes, lambda image: _content(workspace, image)))
    counts = Counter(bool(image.shapes) for image in images)
    return AnnotationsExported(len(images), counts[True], sum(len(image.shapes) for image in images), left_out)


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

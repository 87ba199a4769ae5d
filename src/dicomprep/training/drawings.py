"""What is drawn on images, as arrays in the pixels of their thumbnails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.queries.annotations import Annotation, Drawn, drawn_on, used_classes
from dicomprep.database.schema import frames
from dicomprep.pixels.shapes import Shape, ShapeKind
from dicomprep.pixels.transform import Transform

__all__ = ["Annotations", "Drawings", "read_drawings"]

_FRAMES = select(frames.c.id, frames.c.height, frames.c.width, frames.c.transform).where(any_of(frames.c.id))
UNCLASSIFIED = -1
"""The class of what was drawn without any."""


class Annotations(NamedTuple):
    """What is drawn on an image, in pixels of its thumbnail as `StoredFrame.to_source` takes them.

    (0, 0) is the outer corner of the first pixel. Boxes and polygons are cut to the thumbnail; what lies outside of it,
    for it was cropped, is left out. `labels` are indices into `Dataset.annotation_classes`, -1 without a class.
    """

    boxes: NDArray[np.float32]
    """(n, 4) of (top, left, bottom, right)."""
    labels: NDArray[np.int64]
    """(n,), of the boxes."""
    points: NDArray[np.float32]
    """(m, 2) of (row, column)."""
    point_labels: NDArray[np.int64]
    """(m,)."""
    polygons: tuple[NDArray[np.float32], ...]
    """Of each its corners, (k, 2) of (row, column)."""
    polygon_labels: NDArray[np.int64]
    """(p,), of the polygons."""

    @property
    def xyxy(self) -> NDArray[np.float32]:
        """Give the boxes as torchvision and others take them.

        Returns (n, 4) float32 of (x_min, y_min, x_max, y_max), in pixels.
        """
        return self.boxes[:, [1, 0, 3, 2]]


@dataclass(frozen=True, slots=True)
class Drawings:
    """What is drawn on the images of a data set."""

    classes: tuple[str, ...]
    of_image: Mapping[int, Annotations]
    """By the ids of the images; those without any are left out."""

    def of(self, frame_id: int) -> Annotations:
        """What is drawn on one image."""
        return self.of_image.get(frame_id, _NONE)


def read_drawings(connection: Connection, *, version: str | None) -> Drawings:
    """Read all that stands, or that stood in a version."""
    drawn = drawn_on(connection, version)
    classes = used_classes(connection, drawn)
    numbers = {name: place for place, name in enumerate(classes)}
    found = {
        frame_id: _arrays(_placed(drawn[frame_id], Transform.from_json(text), (height, width)), numbers)
        for frame_id, height, width, text in look_up(connection, _FRAMES, sorted(drawn))
    }
    return Drawings(classes, found)


def _placed(several: Sequence[Annotation], transform: Transform, size: tuple[int, int]) -> list[Drawn]:
    """The drawings in pixels of the thumbnail, as far as they are in it."""
    shapes = ((one.drawn, one.drawn.shape.mapped(transform.to_thumbnail).within(*size)) for one in several)
    return [Drawn(shape=shape, label=drawn.label) for drawn, shape in shapes if shape is not None]


def _arrays(several: Sequence[Drawn], numbers: Mapping[str, int]) -> Annotations:
    boxes, points, polygons = ([one for one in several if one.shape.kind is kind] for kind in ShapeKind)

    def labels(some: Sequence[Drawn]) -> NDArray[np.int64]:
        return np.array([numbers.get(one.label or "", UNCLASSIFIED) for one in some], np.int64)

    return Annotations(
        np.array([one.shape.bounds for one in boxes], np.float32).reshape(-1, 4),
        labels(boxes),
        np.array([one.shape.corners[0] for one in points], np.float32).reshape(-1, 2),
        labels(points),
        tuple(_corners(one.shape) for one in polygons),
        labels(polygons),
    )


def _corners(shape: Shape) -> NDArray[np.float32]:
    return shape.array.astype(np.float32)


_NONE = _arrays((), {})

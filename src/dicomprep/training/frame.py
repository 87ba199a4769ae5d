"""One frame of a database: its image, and the way from a point of it to the source and back."""

from dataclasses import dataclass
from operator import index
from typing import Any

from numpy.typing import ArrayLike, NDArray

from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.frames import find_frame
from dicomprep.errors import ConfigError
from dicomprep.pixels.geometry import Points
from dicomprep.pixels.transform import Transform
from dicomprep.storage.base import ImageStore
from dicomprep.training.reading import read_thumbnail
from dicomprep.workspace import Database, Workspace

__all__ = ["StoredFrame", "frame"]


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame that a database holds."""

    id: int
    name: str
    thumbnail_path: str
    """Below the folder of the images."""
    transform: Transform
    """How a point maps to the source and a gray to a stored value."""

    images: ImageStore

    @property
    def path(self) -> str:
        """Where the thumbnail lies."""
        return self.images.where(self.thumbnail_path)

    @property
    def array(self) -> NDArray[Any]:
        """The thumbnail. Returns (rows, columns) or (rows, columns, 3), uint8 or uint16.

        Raises EnvironmentFault where it is missing or damaged.
        """
        return read_thumbnail(self.images, self.thumbnail_path)

    def to_source(self, points: ArrayLike) -> Points:
        """Map `points` (n, 2) of (row, column), or boxes (n, 4) of (top, left, bottom, right), to the source frame.

        Returns float64 pixels in the same shape: (0, 0) is the outer corner of the first pixel, (0.5, 0.5) its middle;
        not rounded and not clipped. Raises ValueError where they are no points and no boxes.
        """
        return self.transform.to_source(points)

    def to_thumbnail(self, points: ArrayLike) -> Points:
        """Map `points` (n, 2) or boxes (n, 4) of the source frame to the thumbnail: the way back from `to_source`.

        Returns float64 pixels in the same shape.
        """
        return self.transform.to_thumbnail(points)


def frame(which: int | str, *, db: Database = DEFAULT_DB) -> StoredFrame:
    """Find the frame with this id, or of this name such as `study_001/image_a`; ConfigError where there is none.

    For example, for boxes of a detection on the thumbnail::

        boxes = dicomprep.frame("study_001/image_a").to_source([[10, 12, 40.5, 30]])
    """
    workspace = Workspace.of(db)
    with workspace.reading() as connection:
        found = find_frame(connection, which if isinstance(which, str) else index(which))
    if found is None:
        raise ConfigError(f"{workspace} contains no image {which}.")
    frame_id, name, thumbnail_path, transform = found
    return StoredFrame(frame_id, name, thumbnail_path, Transform.from_json(transform), workspace.images)

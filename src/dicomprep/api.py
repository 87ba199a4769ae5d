"""The Python calls: `preprocess` for a folder, `process_dicom` for one file."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from dicomprep.config import DEFAULT_DB, DEFAULT_OUTPUT_DIR, Config
from dicomprep.models import Pixels, Transform
from dicomprep.pipeline.preload import preload
from dicomprep.pipeline.process_file import draw
from dicomprep.pipeline.result import Result
from dicomprep.pipeline.stages.decode import decode
from dicomprep.pixels.geometry import Points
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.naming import frame_filename, source_name

__all__ = ["Processed", "preprocess", "process_dicom"]


@dataclass(frozen=True, slots=True)
class Processed:
    """One frame of a file, drawn; nothing was written."""

    array: Pixels
    """(size, size) grey or (size, size, 3) RGB; uint8, or uint16 for a depth of 16."""
    name: str
    """`folder/stem`, with `_frame0003` for a frame of a multi-frame file."""
    frame_number: int
    transform: Transform
    """How a point maps to the source and a gray to a stored value."""

    def to_source(self, points: ArrayLike) -> Points:
        """Where points (n, 2) of (row, column), or boxes (n, 4) of (top, left, bottom, right), lie in the source frame.

        (0, 0) is the outer corner of the first pixel, (0.5, 0.5) its middle; not rounded and not clipped.
        """
        return self.transform.to_source(points)

    def to_thumbnail(self, points: ArrayLike) -> Points:
        """Where points or boxes of the source frame lie in `array`: the way back from `to_source`."""
        return self.transform.to_thumbnail(points)


def preprocess(
    dicom_dir: str | Path,
    *,
    output_dir: str | Path = DEFAULT_OUTPUT_DIR,
    db: str | Path = DEFAULT_DB,
    **options: Any,  # noqa: ANN401
) -> Result:
    """Process all DICOM files below `dicom_dir`; the same as `dicomprep preprocess`, without its printing.

    Options are those of the command line: `output_dir`, `db`, `workers`, `size`, `window`, `timeout` and so on.
    Raises ConfigError for wrong ones and EnvironmentFault where disk or database fail. Bad files do not raise:
    they are counted in the result and recorded in the database. Where this process is a daemon, which may have no
    workers, it does the files itself, one at a time.
    """
    preload()
    from dicomprep.pipeline.run import run
    from dicomprep.workspace import Workspace

    return run(Workspace.create(db, output_dir), Config.of(dicom_dir, **options))


def process_dicom(path: str | Path, **options: Any) -> list[Processed]:  # noqa: ANN401
    """Draw the frames of one file, without writing anything.

    Options are those that shape an image: `size`, `fit`, `depth`, `window`, `frames`. Raises InputError with the
    code and the reason where a frame cannot be drawn.
    """
    path = Path(path).absolute()
    config = Config.of(path.parent, **options)
    _, name = source_name(path.parent.name, path.name)
    processed = []
    with warnings.catch_warnings(action="ignore"), LocalSource.at(os.path.realpath(path)).open() as file:
        image = decode(file, max_bytes=config.budget.max_memory * 2**20)
        for index in config.image.select_frames(image.frame_count):
            drawn = draw(image, index, config.image)
            filename = frame_filename(name, index, image.frame_count)
            processed.append(Processed(drawn.pixels, filename, index, drawn.transform))
    return processed

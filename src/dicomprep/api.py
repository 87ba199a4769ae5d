"""The Python calls: `preprocess` for a folder, `process_dicom` for one file."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydicom.dataset import Dataset

from dicomprep.config import DEFAULT_DB, DEFAULT_OUTPUT_DIR, Config, Crop, Fidelity, Fit, GroupBy, Names, Places
from dicomprep.dicom.datasets import encode_dataset
from dicomprep.engines.options import ClusterKind, EngineKind, JobOptions
from dicomprep.errors import ConfigError
from dicomprep.models import Pixels, Transform
from dicomprep.pipeline.opening import source_at
from dicomprep.pipeline.preload import preload
from dicomprep.pipeline.process_file import draw
from dicomprep.pipeline.result import Result
from dicomprep.pipeline.stages.decode import decode
from dicomprep.splits import Stratum
from dicomprep.storage.naming import frame_filename, source_name
from dicomprep.storage.place import is_url
from dicomprep.storage.source import MemoryFile, SourceFile, read_stream

__all__ = ["DrawOptions", "PreprocessOptions", "Processed", "preprocess", "process_dicom"]

DicomSource: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Dataset
"""A path, the bytes of a file, a binary file that is open, or a data set of pydicom."""

UNNAMED = "memory/image"
"""What a picture is called that comes from no file."""


class DrawOptions(TypedDict, total=False):
    """What shapes a thumbnail: the options of `process_dicom`; what is left out has the default of the command line."""

    size: int | str | None
    """A square of 8 to 8192 pixels, rows x columns such as "1024x512", "native", or "max=1536"."""
    spacing: float | None
    """Millimeters a pixel, by the spacing in the header."""
    fit: Fit | Literal["pad", "stretch", "crop"]
    depth: int
    """8 or 16 bits a sample."""
    window: str
    """auto, CENTER/WIDTH, a preset such as lung, explanation=NAME, index=N, or three of these for red, green, blue."""
    frames: str
    """all, first, middle, every=K or max=K."""
    fidelity: Fidelity | Literal["exact", "high", "draft"]
    names: Names | Literal["path", "hash"]
    format: str
    """png, jpeg, jpeg=90, webp (lossless), webp=80 or npy: of files alone."""
    crop: Crop | Literal["none", "content"]
    crop_margin: float
    """Percent of the content's rows and columns."""
    orient: bool
    blank_text: bool
    max_memory: int
    """Megabytes that one file may take."""


class PreprocessOptions(DrawOptions, total=False):
    """The options of `preprocess`: those of the command line."""

    workers: int
    strict: bool
    durable: bool
    refetch: bool
    """Fetch again the instances of DICOMweb servers that are recorded already: they may have been corrected."""
    archives: bool
    """Open archives in folders."""
    follow_links: bool
    prune: bool
    shared: bool
    timeout: float
    """Seconds without a finished frame."""
    split: str
    """Shares of train, val and test in percent, such as 80/10/10."""
    group_by: GroupBy | Literal["patient", "study", "folder"]
    test_unidentified: bool
    split_seed: str | None
    """Decides the splits; random at the first run."""
    folds: int | None
    """Number of folds, of the column `fold`."""
    stratify: Stratum | Literal["label", "manufacturer", "modality", "year", "none"] | None
    test_where: str | None
    """Condition by which new patients are in test."""
    tag: str | Sequence[str]
    """DICOM keywords to record as well."""
    hold_burned_in: bool | None
    engine: EngineKind | Literal["local", "dask"]
    scheduler: str | None
    """Of a Dask cluster that runs already."""
    cluster: ClusterKind | Literal["slurm", "pbs", "sge", "lsf", "htcondor"] | None
    jobs: JobOptions | Mapping[str, object] | None
    """What the jobs of `cluster` are: the table `[cluster]` of `dicomprep.toml`."""
    tls: bool


@dataclass(frozen=True, slots=True)
class Processed:
    """One frame of a file, drawn; nothing was written."""

    array: Pixels
    """(rows, columns) grayscale or (rows, columns, 3) RGB; uint8, or uint16 for a depth of 16."""
    name: str
    """`folder/stem`, with `_frame0003` for a frame of a multi-frame file; `memory/image` of what has no path."""
    frame_number: int
    """From 0."""
    transform: Transform
    """How a point maps to the source and a gray to a stored value."""

    def to_source(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map `points` (n, 2) of (row, column), or boxes (n, 4) of (top, left, bottom, right), to the source frame.

        Returns float64 pixels in the same shape: (0, 0) is the outer corner of the first pixel, (0.5, 0.5) its center;
        not rounded and not clipped. Raises ValueError if they are neither points nor boxes.
        """
        return self.transform.to_source(points)

    def to_thumbnail(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map `points` (n, 2) or boxes (n, 4) of the source frame to `array`: the inverse of `to_source`.

        Returns float64 pixels in the same shape.
        """
        return self.transform.to_thumbnail(points)


def preprocess(
    dicom_dir: Places,
    *,
    output_dir: str | Path = DEFAULT_OUTPUT_DIR,
    db: str | Path = DEFAULT_DB,
    **options: Unpack[PreprocessOptions],
) -> Result:
    """Process all DICOM files in `dicom_dir`; the same as `dicomprep preprocess`, without its printing.

    `dicom_dir` is a folder, an archive, an address such as `s3://bucket/prefix`, or a list of them.
    Options are those of the command line: `output_dir`, `db`, `workers`, `size`, `window`, `timeout` and so on. A data
    set that exists goes on with the options of images and splits that it was made with, until others are given.
    Raises ConfigError for wrong ones and EnvironmentFault where disk or database fail. Bad files do not raise:
    they are counted in the result and recorded in the database. For example::

        result = dicomprep.preprocess("samp_ds", output_dir="thumbnails", size=512, window="lung")
        print(result.frames, "thumbnails of", result.found, "files")
    """
    config = Config.of(dicom_dir, **options)
    if config.where.is_local:
        preload()
    from dicomprep.pipeline.changed_options import recorded_options
    from dicomprep.pipeline.places import require_places
    from dicomprep.pipeline.run import run
    from dicomprep.workspace import Workspace

    workspace = Workspace.create(db, output_dir)
    if workspace.address.may_hold_data:
        require_places(config.dicom_dir)
        with workspace.reading() as connection:
            config = Config.of(dicom_dir, **{**recorded_options(connection, dicom_dir), **options})
    return run(workspace, config)


def process_dicom(path: DicomSource, **options: Unpack[DrawOptions]) -> list[Processed]:
    """Draw the frames of one file, without writing anything.

    `path` is a path, the bytes of a file, a binary file that is open (read from where it stands, and left open), or
    a data set of pydicom, with its `file_meta`. Each gives the same pictures; only paths are not held in memory as a
    whole. Returns a thumbnail a frame, (rows, columns) gray or (rows, columns, 3) RGB, uint8 or uint16 as `depth` says.

    Raises InputError with the code and the reason where a frame cannot be drawn, ConfigError for wrong options.

    For example::

        for frame in dicomprep.process_dicom("image.dcm", size=512, window="40/400"):
            print(frame.name, frame.array.shape, frame.transform.geometry.scaled_shape)
    """
    config = Config.of(Path.cwd(), **options)
    most = config.budget.max_memory * 2**20
    name = _name_of(path)
    processed = []
    with warnings.catch_warnings(action="ignore"), _open(path, most) as file:
        image = decode(file, max_bytes=most)
        for index in config.image.select_frames(image.frame_count):
            drawn = draw(image, index, config.image)
            filename = frame_filename(name, index, image.frame_count)
            processed.append(Processed(drawn.pixels, filename, index, drawn.transform))
    return processed


@contextmanager
def _open(source: DicomSource, most: int) -> Iterator[SourceFile | MemoryFile]:
    """Whatever `process_dicom` takes, as a file to read; `most` bytes of a stream at most."""
    if isinstance(source, (str, os.PathLike)):
        with source_at(str(source) if is_url(source) else os.path.realpath(source)).open() as file:
            yield file
        return
    content = _read(source, most)
    yield MemoryFile(content, held_bytes=len(content))


def _read(source: bytes | bytearray | memoryview | BinaryIO | Dataset, most: int) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, Dataset):
        return encode_dataset(source)
    if not callable(getattr(source, "read", None)):
        kinds = "a path, bytes, a binary file or a data set of pydicom"
        raise ConfigError(f"process_dicom takes {kinds}, not {type(source).__name__}.")
    return read_stream(source, most=most)


def _name_of(source: object) -> str:
    """`folder/stem` by the path of a source, as far as it has one: `name` of an open file, `filename` of a data set."""
    path = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
    if not isinstance(path, (str, os.PathLike)):
        path = getattr(source, "filename", None)
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        return UNNAMED
    place = Path(path).absolute()
    return source_name(place.parent.name, place.name)[1]

"""The options of an export."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from dicomprep.config import Budget, Config
from dicomprep.errors import ConfigError

if TYPE_CHECKING:
    from dicomprep.database.queries.frames import Choice

__all__ = ["VOLUMES", "ExportOptions", "Format", "VolumeOptions"]


class Format(StrEnum):
    """The format of an export."""

    CSV = "csv"
    PARQUET = "parquet"
    WEBDATASET = "webdataset"
    HUGGINGFACE = "huggingface"
    FOLDER = "folder"
    NIFTI = "nifti"
    ZARR = "zarr"


VOLUMES = (Format.NIFTI, Format.ZARR)
"""Formats of series as volumes, in real values from the sources."""


SHARD_IMAGES = 10_000
"""Images of a shard, unless another number is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Which frames are exported, with which metadata."""

    split: tuple[str, ...] = ()
    """Only images of this split: train, val or test; repeatable."""
    label: tuple[str, ...] = ()
    """Only images with this label; repeatable."""
    kind: tuple[str, ...] = ()
    """Kind of images: original and derived by default; localizer, mask, …, or all; repeatable."""
    where: str | None = None
    """Only images that meet this condition, such as "modality = 'CT' AND width >= 100"."""
    series: str | None = None
    """Only images of series that meet this condition, such as "plane = 'axial' AND volume = 'yes'"."""
    version: str | None = None
    """Images, labels and splits of this version, as `dicomprep freeze` recorded them."""
    annotations: bool = False
    """Also write boxes, points and polygons, as a COCO file for each split: annotations/SPLIT.json."""
    shard_size: int = SHARD_IMAGES
    """Maximum number of images per shard."""
    license: str = "unknown"
    """License of the data set, as its data card states it."""
    with_uids: bool = False
    """Include DICOM UIDs. They can re-identify patients."""
    with_paths: bool = False
    """Include source file names and paths. They may contain names of patients."""
    fresh_pseudonyms: bool = False
    """Use pseudonyms that no other export shares. Tables with them cannot be imported."""

    def __post_init__(self) -> None:
        if self.shard_size < 1:
            raise ConfigError(f"--shard-size {self.shard_size}: give at least 1.")
        if self.fresh_pseudonyms and (self.with_uids or self.with_paths):
            raise ConfigError("--fresh-pseudonyms: UIDs and paths would link this export to others; omit them.")
        if not self.license.isprintable():
            raise ConfigError("--license: give a single line of text.")

    def require_volumes(self) -> None:
        """ConfigError where something is given that volumes cannot be exported by."""
        if self.version is not None:
            raise ConfigError("--version: volumes are read from the sources, of which a version records nothing.")
        if self.shard_size != SHARD_IMAGES:
            raise ConfigError("--shard-size: volumes are not exported in shards.")

    def choice(self, *, label: tuple[str, ...] | None = None) -> "Choice":
        """Which frames are selected, with other labels where these are given; ConfigError for an invalid selection."""
        from dicomprep.database.queries.frames import Choice

        return Choice(
            split=self.split,
            label=self.label if label is None else label,
            kind=self.kind,
            where=self.where,
            version=self.version,
            series=self.series or (),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeOptions:
    """How series become volumes: for nifti and zarr."""

    values: str = "auto"
    """nifti, zarr: auto, hu, suv or rescaled; what is no such value is refused."""
    resample: bool = False
    """nifti, zarr: interpolate tilted slices, gaps and uneven spacing onto an even grid instead of refusing them."""
    workers: int = field(default_factory=lambda: Config(dicom_dir=(".",)).workers)
    """nifti, zarr: number of parallel workers."""
    timeout: float = 600.0
    """nifti, zarr: seconds that one volume may take."""
    max_memory: int = 4096
    """nifti, zarr: memory limit of a worker for one volume, in megabytes."""

    def __post_init__(self) -> None:
        if self.values not in ("auto", "hu", "suv", "rescaled"):
            raise ConfigError(f"--values {self.values}: choose from auto, hu, suv, rescaled.")
        if self.workers < 1:
            raise ConfigError(f"--workers {self.workers}: give at least 1.")
        Budget(timeout=self.timeout, max_memory=self.max_memory)

    def require_unused(self, kind: Format) -> None:
        """ConfigError where something is given and the format is not for volumes."""
        given = [name for name, asked in (("values", self.values != "auto"), ("resample", self.resample)) if asked]
        if given:
            raise ConfigError(f"--{given[0]} is for the formats nifti and zarr, not {kind}.")

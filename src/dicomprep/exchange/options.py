"""The options of an export."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dicomprep.errors import ConfigError

if TYPE_CHECKING:
    from dicomprep.database.queries.frames import Choice

__all__ = ["ExportOptions", "Format"]


class Format(StrEnum):
    """The format of an export."""

    CSV = "csv"
    PARQUET = "parquet"
    WEBDATASET = "webdataset"
    HUGGINGFACE = "huggingface"
    FOLDER = "folder"


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
    shard_size: int = 10_000
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

    def choice(self) -> "Choice":
        """Which frames are selected; ConfigError where the selection is invalid."""
        from dicomprep.database.queries.frames import Choice

        return Choice(
            split=self.split,
            label=self.label,
            kind=self.kind,
            where=self.where,
            version=self.version,
            series=self.series or (),
        )

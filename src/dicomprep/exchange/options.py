"""What an export is told."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dicomprep.errors import ConfigError

if TYPE_CHECKING:
    from dicomprep.database.queries.frames import Choice

__all__ = ["ExportOptions", "Format"]


class Format(StrEnum):
    """What an export is made of."""

    CSV = "csv"
    PARQUET = "parquet"
    WEBDATASET = "webdataset"
    HUGGINGFACE = "huggingface"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Which frames go out, and what is said of them."""

    split: tuple[str, ...] = ()
    """Only frames of this split: train, val or test; may be given several times."""
    label: tuple[str, ...] = ()
    """Only frames with this label; may be given several times."""
    where: str | None = None
    """Only frames for which this holds, such as "modality = 'CT' AND width >= 100"."""
    shard_size: int = 10_000
    """Images of one shard."""
    license: str = "unknown"
    """What the data set's card says about its licence."""
    with_uids: bool = False
    """Say UIDs of study, series and instance, which lead back to the patient in the hospital's own systems."""
    with_paths: bool = False
    """Say names and paths of sources, which may hold names of patients."""
    fresh_pseudonyms: bool = False
    """Name images, patients, studies and series as no other export does. Tables of this export cannot be imported."""

    def __post_init__(self) -> None:
        if self.shard_size < 1:
            raise ConfigError(f"--shard-size {self.shard_size}: give at least 1.")
        if self.fresh_pseudonyms and (self.with_uids or self.with_paths):
            raise ConfigError("--fresh-pseudonyms: UIDs and paths would link the export all the same; leave them out.")
        if not self.license.isprintable():
            raise ConfigError("--license: give one line of text.")

    def choice(self) -> "Choice":
        """Which frames are wanted; ConfigError where that is not said well."""
        from dicomprep.database.queries.frames import Choice

        return Choice(split=self.split, label=self.label, where=self.where)

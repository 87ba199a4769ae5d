"""Options that several commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from dicomprep.config import DEFAULT_OUTPUT_DIR, Budget, Config, ImageOptions, Privacy, Splits
from dicomprep.errors import ConfigError
from dicomprep.storage.spool import Spool

if TYPE_CHECKING:
    from dicomprep.exchange.pseudonyms import Shown

__all__ = ["DEFAULTS", "Db", "Flag", "Flat", "IdentifyOptions", "MakeOptions", "SpoolOptions"]

Flat = Parameter(name="*")
Db = Annotated[str, Parameter(help="SQLite database path, or a postgresql:// URL.")]
Flag = Annotated[bool, Parameter(negative="")]
DEFAULTS = Config(dicom_dir=(".",))

MAX_SPOOL_GB, MAX_EVERY_SECONDS = 1e6, 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeOptions:
    """Of commands that make images of what they find or are sent: which ones, where they go, by how many workers."""

    output_dir: str = str(DEFAULT_OUTPUT_DIR)
    """Output directory for thumbnails, or s3://BUCKET/PREFIX (gs://, az://)."""
    workers: int = DEFAULTS.workers
    """Number of parallel workers."""
    image: Annotated[ImageOptions, Flat] = DEFAULTS.image
    splits: Annotated[Splits, Flat] = DEFAULTS.splits
    budget: Annotated[Budget, Flat] = DEFAULTS.budget
    privacy: Annotated[Privacy, Flat] = DEFAULTS.privacy
    durable: Flag = False
    """fsync images before committing their records (survives power loss; slower)."""
    shared: Flag = False
    """Make a new data set readable by your group, as far as the umask allows; by default only you can read it."""

    def config(self, *dicom_dir: str, **others: Any) -> Config:  # noqa: ANN401  (checked by Config)
        """The settings of a run over these folders."""
        return Config(
            dicom_dir=dicom_dir,
            workers=self.workers,
            durable=self.durable,
            shared=self.shared,
            image=self.image,
            splits=self.splits,
            budget=self.budget,
            privacy=self.privacy,
            **others,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolOptions:
    """Of commands that take instances from other systems into a folder, and preprocess it as they come."""

    spool: Path = Path("received")
    """Folder that receives, as STUDY/INSTANCE.dcm; `preprocess` takes it like any other."""
    max_spool: float = 100
    """Gigabytes that this folder may take; beyond that nothing more is taken."""
    every: float = 10
    """Seconds between two rounds of preprocessing, at least."""
    store_only: Flag = False
    """Only fill the folder; `dicomprep preprocess` on it does the rest."""

    def __post_init__(self) -> None:
        if not 0 < self.max_spool <= MAX_SPOOL_GB:
            raise ConfigError("--max-spool: give gigabytes above 0.")
        if not 0 <= self.every <= MAX_EVERY_SECONDS:
            raise ConfigError(f"--every: give seconds, up to a day's ({MAX_EVERY_SECONDS}).")

    def open(self, *, replaces: bool = False) -> Spool:
        """The folder; EnvironmentFault where it cannot be used."""
        return Spool(self.spool, max_bytes=int(self.max_spool * 1e9), replaces=replaces)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifyOptions:
    """Of commands that write tables: by what, besides keys, images are identified."""

    with_uids: Flag = False
    """Include DICOM UIDs. They can re-identify patients."""
    with_paths: Flag = False
    """Include the names of images. They may contain names of patients."""

    @property
    def shown(self) -> "Shown":
        """The same as the package `exchange` has it, which takes long to load."""
        from dicomprep.exchange.pseudonyms import Shown

        return Shown(with_uids=self.with_uids, with_paths=self.with_paths)

"""`dicomprep preprocess DICOM_DIR`."""

from pathlib import Path
from typing import Annotated

from dicomprep.cli.options import DEFAULTS, Flag, Flat
from dicomprep.cli.run import run_and_report
from dicomprep.config import Budget, Config, ImageOptions, Privacy, Splits
from dicomprep.errors import ConfigError

__all__ = ["preprocess"]


def preprocess(  # noqa: PLR0913
    dicom_dir: Path | None = None,
    *,
    output_dir: Path = DEFAULTS.output_dir,
    db: str = DEFAULTS.db,
    workers: int = DEFAULTS.workers,
    image: Annotated[ImageOptions, Flat] = DEFAULTS.image,
    splits: Annotated[Splits, Flat] = DEFAULTS.splits,
    budget: Annotated[Budget, Flat] = DEFAULTS.budget,
    privacy: Annotated[Privacy, Flat] = DEFAULTS.privacy,
    strict: Flag = False,
    durable: Flag = False,
    follow_links: Flag = False,
    prune: Flag = False,
    shared: Flag = False,
    test: Flag = False,
) -> int:
    """Turn DICOM files into images and database records, with splits assigned.

    Run it again whenever files have been added: what is done already is not done twice.

    Parameters
    ----------
    dicom_dir
        Directory containing DICOM files.
    output_dir
        Output directory for thumbnails.
    db
        SQLite database path, or a postgresql:// URL.
    workers
        Number of parallel workers.
    strict
        Exit with 1 when any file failed.
    durable
        Let images reach the disk before rows name them, so that both outlive a loss of power.
    follow_links
        Follow symbolic links whose targets lie in DICOM_DIR, as in data sets of DataLad and git-annex.
    prune
        Remove the images and rows of inputs that are no longer there.
    shared
        Let your group read a new data set, as far as the umask lets it; else database, key and images are yours alone.
    test
        Use the test directory samp_ds instead; it is made of pydicom's sample files if it is not there.

    """
    if test:
        dicom_dir = _samples()
    if dicom_dir is None:
        raise ConfigError("Which folder? Give DICOM_DIR, or --test for sample files.")
    config = Config(
        dicom_dir=dicom_dir,
        output_dir=output_dir,
        db=db,
        workers=workers,
        strict=strict,
        durable=durable,
        follow_links=follow_links,
        prune=prune,
        shared=shared,
        image=image,
        splits=splits,
        budget=budget,
        privacy=privacy,
    )
    return run_and_report(config)


def _samples() -> Path:
    from dicomprep.cli.samples import make_samples

    folder = Path("samp_ds")
    if not folder.is_dir():
        make_samples(folder)
    return folder

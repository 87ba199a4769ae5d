"""`dicomprep export FORMAT OUT`."""

from pathlib import Path
from typing import Annotated

from dicomprep.cli.options import DEFAULTS, Flag, Flat
from dicomprep.exchange.options import ExportOptions, Format

__all__ = ["export"]


def export(
    kind: Format,
    out: Path,
    *,
    db: str = DEFAULTS.db,
    shared: Flag = False,
    options: Annotated[ExportOptions, Flat] = ExportOptions(),  # noqa: B008  (frozen)
) -> int:
    """Write images, or what is said of them, for other programs: pseudonymous, in shards, with a card and digests.

    Run it again when images or labels have been added: shards that hold what they should are left as they are, new
    images go into new ones. What an interrupted export has finished is not done twice.

    Parameters
    ----------
    kind
        csv and parquet are tables without images; webdataset, huggingface and folder have the images.
    out
        A new folder, or that of an earlier export with the same options.
    db
        SQLite database path, or a postgresql:// URL.
    shared
        Let your group into a new folder, as far as the umask lets it; else it is yours alone.

    """
    from dicomprep.exchange.export import export_frames

    done = export_frames(kind, out, db=db, options=options, shared=shared)
    print(f"{done.images:,} images in {out}. Shards: {done.added} added, {done.changed} written again,", end=" ")
    print(f"{done.removed} removed, {done.kept} left as they were.")
    return 0

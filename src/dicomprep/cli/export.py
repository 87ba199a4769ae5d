"""`dicomprep export FORMAT OUT`."""

from pathlib import Path
from typing import Annotated

from dicomprep.cli.options import Db, Flag, Flat
from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.versions import describe_lost
from dicomprep.errors import count_of
from dicomprep.exchange.export import export_frames
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.workspace import Workspace

__all__ = ["export"]


def export(
    format: Format,
    out: Path,
    *,
    db: Db = DEFAULT_DB,
    shared: Flag = False,
    options: Annotated[ExportOptions, Flat] = ExportOptions(),  # noqa: B008  (frozen)
) -> int:
    """Export a de-identified data set (images and metadata) with a data card and checksums.

    Run it again when images or labels have been added: unchanged shards stay as they are, new images go into new
    shards. An interrupted export resumes where it stopped.

    Parameters
    ----------
    format
        csv and parquet are tables without images; webdataset, huggingface and folder include the images.
    out
        A new folder, or the folder of an earlier export with the same options.
    shared
        Make a new folder readable by your group, as far as the umask allows; by default only you can read it.

    """
    done = export_frames(format, out, Workspace.open(db), options=options, shared=shared)
    others = f"{done.changed} updated, {done.removed} removed, {done.kept} unchanged"
    print(f"{count_of(done.images, 'image')} in {out}. Wrote {count_of(done.added, 'new shard')} ({others}).")
    if done.lost:
        print(f"{describe_lost(done.lost)} `dicomprep verify --version {options.version}` lists them.")
    return 0

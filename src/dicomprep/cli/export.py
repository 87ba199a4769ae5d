"""`dicomprep export FORMAT OUT`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from dicomprep.cli.options import Db, Flag, Flat
from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.versions import describe_lost
from dicomprep.errors import count_of
from dicomprep.exchange.export import export_frames
from dicomprep.exchange.options import VOLUMES, ExportOptions, Format, VolumeOptions
from dicomprep.workspace import Workspace

if TYPE_CHECKING:
    from dicomprep.volumetric.export.run import ExportedVolumes

__all__ = ["export"]

MAX_REASONS = 5
"""Reasons why series are no volumes that the summary names."""


def export(
    format: Format,
    out: Path,
    *,
    db: Db = DEFAULT_DB,
    shared: Flag = False,
    options: Annotated[ExportOptions, Flat] = ExportOptions(),  # noqa: B008  (frozen)
    volumes: Annotated[VolumeOptions, Flat] = VolumeOptions(),  # noqa: B008  (frozen)
) -> int:
    """Export a de-identified data set (images and metadata) with a data card and checksums.

    Run it again when images or labels have been added: unchanged shards stay as they are, new images go into new
    shards. An interrupted export resumes where it stopped.

    Parameters
    ----------
    format
        csv and parquet are tables without images; webdataset, huggingface and folder include the images. nifti and
        zarr are series as volumes, in real values from the sources.
    out
        A new folder, or the folder of an earlier export with the same options.
    shared
        Make a new folder readable by your group, as far as the umask allows; by default only you can read it.

    """
    workspace = Workspace.open(db)
    if format in VOLUMES:
        from dicomprep.volumetric.export.run import export_volumes

        _print_volumes(export_volumes(format, out, workspace, options=options, volumes=volumes, shared=shared), out)
        return 0
    volumes.require_unused(format)
    done = export_frames(format, out, workspace, options=options, shared=shared)
    others = f"{done.changed} updated, {done.removed} removed, {done.kept} unchanged"
    print(f"{count_of(done.images, 'image')} in {out}. Wrote {count_of(done.added, 'new shard')} ({others}).")
    if done.lost:
        print(f"{describe_lost(done.lost)} `dicomprep verify --version {options.version}` lists them.")
    return 0


def _print_volumes(done: "ExportedVolumes", out: Path) -> None:
    others = f"{done.changed} updated, {done.removed} removed, {done.kept} unchanged"
    print(f"{count_of(done.volumes, 'volume')} of {done.series:,} series in {out}. Wrote {done.added} new ({others}).")
    reasons = done.reasons()
    if reasons:
        print(f"{len(done.refused):,} series or parts are no volume (refused.csv):")
    for reason, count in reasons[:MAX_REASONS]:
        print(f"  {count:,} × {reason}")
    if len(reasons) > MAX_REASONS:
        print(f"  and {len(reasons) - MAX_REASONS} other reasons")
    if done.without_series:
        print(f"{count_of(done.without_series, 'image')} without a Series Instance UID left out.")

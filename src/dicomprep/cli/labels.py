"""`dicomprep labels import FILE` and `dicomprep labels export FILE`."""

from pathlib import Path
from typing import Annotated

from cyclopts import App

from dicomprep.cli.console import printable
from dicomprep.cli.options import Db, Flag, Flat, IdentifyOptions
from dicomprep.config import DEFAULT_DB
from dicomprep.errors import count_of
from dicomprep.exchange.labels import export_labels, import_labels
from dicomprep.exchange.tables import require_table_place
from dicomprep.workspace import Workspace

__all__ = ["labels"]

labels = App(name="labels", help="Import or export labels.")


@labels.command(name="import")
def import_(file: Path, *, db: Db = DEFAULT_DB, annotator: str = "imported", unmatched: Path | None = None) -> int:
    """Import labels from a CSV or Parquet table.

    It needs a column `label`, and one that identifies the image: `filename` (also a path of the DICOM file or the
    thumbnail), `id`, `key` (of an export), or `sop_instance_uid` and `frame_number`. Nothing is overwritten: labels are
    a log, in which the newest one of each annotator counts.

    Parameters
    ----------
    file
        A .csv, .tsv, .txt or .parquet file; separator and encoding are detected.
    annotator
        Who gave the labels, if the table has no column `annotator`.
    unmatched
        Write the rows that match no image to this CSV or Parquet file.

    """
    require_table_place(unmatched, apart_from=file)
    done = import_labels(Workspace.open(db), file, annotator=annotator)
    empty = f", {count_of(done.empty, 'row')} without a label skipped" if done.empty else ""
    print(f"{count_of(done.recorded, 'label')} recorded, {done.unchanged:,} unchanged{empty}.")
    note = done.matched.table.note
    for line in (*done.changes, *([note] if note else []), *done.matched.report(unmatched).split("\n")):
        print(printable(line))
    return int(done.matched.has_no_match)


@labels.command
def export(
    file: Path,
    *,
    db: Db = DEFAULT_DB,
    history: Flag = False,
    identify: Annotated[IdentifyOptions, Flat] = IdentifyOptions(),  # noqa: B008  (frozen)
) -> int:
    """Export labels to a CSV or Parquet table; images are identified by their pseudonymous keys, as in exports.

    Parameters
    ----------
    file
        CSV or Parquet file to write: its name ends in .csv or .parquet.
    history
        Write the whole history with annotators and times, not only the current labels.

    """
    done = export_labels(Workspace.open(db), file, shown=identify.shown, history=history)
    print(f"Wrote {count_of(done.rows, 'row')} to {file}.")
    if done.by_id:
        print("The key file is missing or damaged: images are identified by their `id` in this database instead.")
    return 0

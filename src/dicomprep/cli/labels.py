"""`dicomprep labels import FILE` and `dicomprep labels export FILE`."""

from pathlib import Path

from cyclopts import App

from dicomprep.cli.options import DEFAULTS, Flag

__all__ = ["labels"]

labels = App(name="labels", help="Labels from other programs and for them.")


@labels.command(name="import")
def import_(file: Path, *, db: str = DEFAULTS.db, annotator: str = "imported", unmatched: Path | None = None) -> int:
    """Record the labels of a CSV or Parquet table.

    It has a column `label` and says which image is meant: by `filename` (also a path of the source or the thumbnail),
    `id`, `key` (of an export), or `sop_instance_uid` and `frame_number`. Nothing is overwritten: labels are a log, in
    which the newest one of each annotator counts.

    Parameters
    ----------
    file
        Its name ends in .csv, .tsv, .txt or .parquet; separator and encoding are found.
    db
        SQLite database path, or a postgresql:// URL.
    annotator
        Whose labels these are, where the table has no column `annotator`.
    unmatched
        Write the rows that speak of no image here, as CSV or Parquet.

    """
    from dicomprep.cli.console import printable
    from dicomprep.exchange.labels import import_labels
    from dicomprep.exchange.tables import require_table_place

    require_table_place(unmatched, apart_from=file)
    done = import_labels(db, file, annotator=annotator)
    print(f"{done.recorded:,} labels recorded, {done.unchanged:,} stood already, {done.empty:,} rows had none.")
    note = done.matched.table.note
    for line in (*done.changes, *([note] if note else []), *done.matched.report(unmatched).split("\n")):
        print(printable(line))
    return int(done.matched.is_in_vain)


@labels.command
def export(
    file: Path,
    *,
    db: str = DEFAULTS.db,
    history: Flag = False,
    with_uids: Flag = False,
    with_paths: Flag = False,
) -> int:
    """Write the labels to a CSV or Parquet table; images are named by the keys that exports have.

    Parameters
    ----------
    file
        Its name ends in .csv or .parquet.
    db
        SQLite database path, or a postgresql:// URL.
    history
        All events of the log with annotator and time, not only what stands.
    with_uids
        Say the SOP Instance UID and the frame, which lead back to the patient in the hospital's own systems.
    with_paths
        Say names of images, which may hold names of patients.

    """
    from dicomprep.exchange.labels import export_labels
    from dicomprep.exchange.pseudonyms import Shown

    shown = Shown(with_uids=with_uids, with_paths=with_paths)
    done = export_labels(db, file, shown=shown, history=history)
    print(f"{done.rows:,} rows in {file}.")
    if done.by_id:
        print("The key file is missing or damaged: images are named by their `id`, which this database knows.")
    return 0

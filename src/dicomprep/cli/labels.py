"""`dicomprep labels import FILE` and `dicomprep labels export FILE`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from dicomprep.cli.console import printable
from dicomprep.cli.options import Db, Flag, Flat, IdentifyOptions
from dicomprep.config import DEFAULT_DB
from dicomprep.database.consensus import Consensus
from dicomprep.errors import ConfigError, count_of
from dicomprep.exchange.agreeing import Rule
from dicomprep.exchange.kinds import Level
from dicomprep.exchange.label_columns import Uncertain
from dicomprep.exchange.label_export import export_labels
from dicomprep.exchange.labels import ImportOptions, LabelsImported, import_labels
from dicomprep.exchange.row_report import report_rows
from dicomprep.exchange.tables import require_table_place
from dicomprep.workspace import Workspace

__all__ = ["labels"]

labels = App(name="labels", help="Import or export labels.")


@labels.command(name="import")
def import_(  # noqa: PLR0913
    file: Path,
    *,
    db: Db = DEFAULT_DB,
    annotator: str = "imported",
    by: str | None = None,
    label: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    multi: Flag = False,
    latest: Flag = False,
    uncertain: Literal["keep", "positive", "negative"] = "keep",
    adjudicated: Flag = False,
    consensus: Literal["adjudicated", "majority", "newest"] | None = None,
    unmatched: Path | None = None,
) -> int:
    """Import labels of images, series, studies or patients from a CSV or Parquet table.

    A column names what a row is about: `filename` (also a path of the DICOM file or the thumbnail), `id`, `key` (of an
    export), `sop_instance_uid`, `series_id`, `study_id`, `accession_number`, `patient_id` … Labels are in a column
    `label`, or in a column for each class with 0, 1, -1 (uncertain) or blanks. Nothing is overwritten: labels are a
    log, in which the newest one of each annotator counts.

    Parameters
    ----------
    file
        A .csv, .tsv, .txt or .parquet file; separator and encoding are detected.
    annotator
        Who gave the labels, if the table has no column `annotator`.
    by
        Column that names what rows are about, or what it names: filename, sop_instance_uid, key, id, series, study,
        study_number (Study ID), accession, folder or patient; or both, as COLUMN=KIND.
    label
        Column of labels, or of a class with 0 and 1. Repeat it for several.
    multi
        Several rows of one image give it all their classes; `a|b` in a cell are two classes.
    latest
        Of rows that contradict each other the last one counts.
    uncertain
        What -1 becomes: keep (a class such as `Edema (uncertain)`), positive or negative.
    adjudicated
        These labels decide where annotators disagree.
    consensus
        Which label counts where annotators disagree, from now on: adjudicated (else majority), majority or newest.
    unmatched
        Write the rows that match nothing to this CSV or Parquet file.

    """
    if multi and latest:
        raise ConfigError("--multi and --latest exclude each other: keep the classes of all rows, or the last row.")
    require_table_place(unmatched, apart_from=file)
    options = ImportOptions(
        annotator=annotator,
        by=by,
        label=label,
        rule=Rule(multi, latest),
        uncertain=Uncertain(uncertain),
        adjudicated=adjudicated,
        consensus=Consensus(consensus) if consensus else None,
    )
    done = import_labels(Workspace.open(db), file, options=options)
    empty = f", {count_of(done.empty, 'row')} without a label skipped" if done.empty else ""
    print(f"{count_of(done.recorded, 'label')} recorded, {done.unchanged:,} unchanged{empty}.")
    for line in _report(done, unmatched):
        print(printable(line))
    return int(done.matched.has_no_match)


_MISSPELT = "A misspelled one: `dicomprep classes merge NAME --into CLASS`."


def _report(done: LabelsImported, unmatched: Path | None) -> Iterator[str]:
    yield from done.changes
    if done.new_classes:
        yield f"New classes, behind the others: {', '.join(done.new_classes)}. {_MISSPELT}"
    note = done.matched.table.note
    yield from [note] if note else []
    yield from report_rows(done.matched, unmatched, done.candidates).split("\n")
    if done.left_out:
        units = {Level.FRAME: "Images", Level.SERIES: "Series", Level.STUDY: "Studies", Level.PATIENT: "Patients"}
        yield f"{units[done.matched.level]} in this database that the table does not name: {done.left_out:,}."
    if done.undecided:
        yield _undecided(done.undecided)


def _undecided(count: int) -> str:
    return (
        f"Images whose annotators disagree, so that no label counts: {count:,}. Import --adjudicated labels, or choose "
        "another --consensus."
    )


@labels.command
def export(
    file: Path,
    *,
    db: Db = DEFAULT_DB,
    level: Literal["frame", "series", "study", "patient"] = "frame",
    history: Flag = False,
    identify: Annotated[IdentifyOptions, Flat] = IdentifyOptions(),  # noqa: B008  (frozen)
) -> int:
    """Export labels to a CSV or Parquet table; images are identified by their pseudonymous keys, as in exports.

    Parameters
    ----------
    file
        CSV or Parquet file to write: its name ends in .csv or .parquet.
    level
        Labels of frames (images), series, studies or patients.
    history
        Write the whole history with annotators and times, not only the current labels.

    """
    done = export_labels(Workspace.open(db), file, shown=identify.shown, history=history, level=Level(level))
    print(f"Wrote {count_of(done.rows, 'row')} to {file}.")
    if done.by_id:
        print("The key file is missing or damaged: images are identified by their `id` in this database instead.")
    if done.undecided:
        print(_undecided(done.undecided))
    for other, count in done.elsewhere:
        print(f"Labels of another level are not in this table: --level {other} has {count:,}.")
    return 0

"""`dicomprep predictions import FILE` and `dicomprep predictions export FILE`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from dicomprep.cli.console import printable
from dicomprep.cli.options import Db, Flat, IdentifyOptions
from dicomprep.config import DEFAULT_DB
from dicomprep.errors import count_of
from dicomprep.exchange.predictions import Unit, export_predictions, import_predictions
from dicomprep.exchange.row_report import report_rows
from dicomprep.exchange.tables import require_table_place
from dicomprep.workspace import Workspace

__all__ = ["predictions"]

predictions = App(name="predictions", help="Import or export model predictions.")


@predictions.command(name="import")
def import_(file: Path, *, db: Db = DEFAULT_DB, model: str = "", unmatched: Path | None = None) -> int:
    """Import a model's scores from a CSV or Parquet table.

    It needs columns `label` and `score`, or a column of scores (0 to 1) for each class, and one that identifies the
    image: `filename` (also a path), `id`, `key` (of an export), or `sop_instance_uid` and `frame_number`.

    Parameters
    ----------
    file
        A .csv, .tsv, .txt or .parquet file; separator and encoding are detected.
    model
        The model's name; by default that in the table's column `model`, else the file's name. Earlier scores of the
        model for the same images are replaced.
    unmatched
        Write the rows that match no image to this CSV or Parquet file.

    """
    require_table_place(unmatched, apart_from=file)
    done = import_predictions(Workspace.open(db), file, model=model or None)
    lines = [f"Imported {', '.join(done.models)} predictions for {count_of(done.images, 'image')}."]
    if done.left_out:
        lines.append(f"Columns skipped, not classes: {', '.join(done.left_out)}.")
    if done.unknown:
        lines.append(f"Scores of classes that no label has: {', '.join(done.unknown)}.")
    lines += [done.matched.table.note] if done.matched.table.note else []
    for line in (*lines, *report_rows(done.matched, unmatched).split("\n")):
        print(printable(line))
    return int(done.matched.has_no_match)


@predictions.command
def export(
    file: Path,
    *,
    db: Db = DEFAULT_DB,
    model: str | None = None,
    by: Annotated[Literal["image", "series", "study", "patient"], Parameter(name="--by")] = "image",
    threshold: float = 0.5,
    identify: Annotated[IdentifyOptions, Flat] = IdentifyOptions(),  # noqa: B008  (frozen)
) -> int:
    """Export scores to a CSV or Parquet table: per image, or any, max and mean of each class per larger unit.

    Parameters
    ----------
    file
        CSV or Parquet file to write: its name ends in .csv or .parquet.
    model
        Only this model; by default all.
    by
        Unit of a row: image, series, study or patient.
    threshold
        `any` is 1 if a score in the unit is at least this.

    """
    workspace = Workspace.open(db)
    rows = export_predictions(workspace, file, model=model, unit=Unit(by), threshold=threshold, shown=identify.shown)
    print(f"Wrote {count_of(rows, 'row')} to {file}.")
    return 0

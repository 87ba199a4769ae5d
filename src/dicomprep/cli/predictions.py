"""`dicomprep predictions import FILE` and `dicomprep predictions export FILE`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from dicomprep.cli.options import DEFAULTS, Flag

__all__ = ["predictions"]

predictions = App(name="predictions", help="What models say of images.")


@predictions.command(name="import")
def import_(file: Path, *, db: str = DEFAULTS.db, model: str = "", unmatched: Path | None = None) -> int:
    """Record a model's scores from a CSV or Parquet table.

    It has columns `label` and `score`, or a column of scores (0 to 1) for each class, and says which image is meant: by
    `filename` (also a path), `id`, `key` (of an export), or `sop_instance_uid` and `frame_number`.

    Parameters
    ----------
    file
        Its name ends in .csv, .tsv, .txt or .parquet; separator and encoding are found.
    db
        SQLite database path, or a postgresql:// URL.
    model
        The model's name; without it that of the table's column `model`, else the file's. What the model said before of
        the same images is replaced.
    unmatched
        Write the rows that speak of no image here, as CSV or Parquet.

    """
    from dicomprep.cli.console import printable
    from dicomprep.exchange.predictions import import_predictions
    from dicomprep.exchange.tables import require_table_place

    require_table_place(unmatched, apart_from=file)
    done = import_predictions(db, file, model=model or None)
    lines = [f"{done.images:,} images have scores of {', '.join(done.models)} now."]
    if done.left_out:
        lines.append(f"Left out, for they are no classes: {', '.join(done.left_out)}.")
    lines += [done.matched.table.note] if done.matched.table.note else []
    for line in (*lines, *done.matched.report(unmatched).split("\n")):
        print(printable(line))
    return int(done.matched.is_in_vain)


@predictions.command
def export(  # noqa: PLR0913
    file: Path,
    *,
    db: str = DEFAULTS.db,
    model: str | None = None,
    by: Annotated[Literal["image", "series", "study", "patient"], Parameter(name="--by")] = "image",
    threshold: float = 0.5,
    with_uids: Flag = False,
    with_paths: Flag = False,
) -> int:
    """Write scores to a CSV or Parquet table: of each image, or any, max and mean of each class over a larger unit.

    Parameters
    ----------
    file
        Its name ends in .csv or .parquet.
    db
        SQLite database path, or a postgresql:// URL.
    model
        Only this model's.
    by
        image, series, study or patient.
    threshold
        `any` is 1 where a score of the unit reaches this.
    with_uids
        Say the SOP Instance UID and the frame of images.
    with_paths
        Say names of images, which may hold names of patients.

    """
    from dicomprep.exchange.predictions import Unit, export_predictions
    from dicomprep.exchange.pseudonyms import Shown

    shown = Shown(with_uids=with_uids, with_paths=with_paths)
    rows = export_predictions(db, file, model=model, unit=Unit(by), threshold=threshold, shown=shown)
    print(f"{rows:,} rows in {file}.")
    return 0

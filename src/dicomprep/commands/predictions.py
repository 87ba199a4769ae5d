"""`dicomprep predictions …`."""

from pathlib import Path

from cyclopts import App

from dicomprep.commands.options import DEFAULTS

__all__ = ["predictions"]

predictions = App(name="predictions", help="What models say of the images.")


@predictions.command(name="import")
def import_(file: Path, *, db: str = DEFAULTS.db, model: str = "") -> int:
    """Take over a model's scores, for `dicomprep label --order uncertainty` and the gallery.

    Parameters
    ----------
    file
        A CSV or Parquet file with `filename` (or `id`), and a column for each class, or `label` and `score`.
    db
        SQLite database path, or a postgresql:// URL.
    model
        What to call the model; the file's name if nothing is given.

    """
    from dicomprep.predicting import import_predictions

    name = model or file.stem
    imported = import_predictions(db, file, model=name)
    print(f"{imported.images:,} images have scores of {name} now.")
    if imported.unknown:
        print(
            f"{imported.unknown:,} rows are of images that the database does not have, first {imported.first_unknown}."
        )
    return 0

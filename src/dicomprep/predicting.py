"""Predictions from a table: one row an image with a column for each class, or one row for each class."""

import csv
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from dicomprep.database.connect import connect
from dicomprep.database.prediction_store import Score, add_scores, find_frames, summarize
from dicomprep.database.store import Store
from dicomprep.errors import ConfigError

__all__ = ["Imported", "import_predictions"]

BATCH = 10_000
NAMES = ("filename", "id")
"""Columns that say which image a row is of."""

CONTEXT = frozenset(
    (
        *NAMES,
        "study_id",
        "thumbnail_path",
        "frame_number",
        "split",
        "modality",
        "patient_key",
        "label",
        "width",
        "height",
    )
)
"""Columns of the view `images`, which may come along; every other one is a class."""

Named = tuple[str | int, list[tuple[str, float]]]
"""Which image, and its scores by class."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it."""

    images: int
    unknown: int
    """Rows of images that the database does not have."""
    first_unknown: str


def import_predictions(db: str, path: Path, *, model: str) -> Imported:
    """Read a CSV or Parquet file with `filename` (or `id`) and scores into the database, all or nothing.

    Scores are the columns named like classes, or `label` and `score`. Raises ConfigError, which names the row, where
    the file is no such table.
    """
    connect(db, must_exist=True).dispose()
    known: set[int] = set()
    unknown, first = 0, ""
    with closing(Store(db)) as store, store.transaction() as connection:
        rows = _named_scores(path)
        while batch := list(islice(rows, BATCH)):
            ids = find_frames(connection, [name for name, _ in batch])
            missing = [name for name, _ in batch if name not in ids]
            unknown, first = unknown + len(missing), first or str(next(iter(missing), ""))
            scores: list[Score] = [(ids[name], *score) for name, given in batch if name in ids for score in given]
            add_scores(connection, model, scores)
            known.update(ids.values())
        if not known:
            raise ConfigError(f"{path}: none of its {unknown:,} images is in the database{first and ', not ' + first}.")
        summarize(connection)
    return Imported(len(known), unknown, first)


def _named_scores(path: Path) -> Iterator[Named]:
    try:
        rows = _parquet_rows(path) if path.suffix == ".parquet" else _csv_rows(path)
        for number, row in enumerate(rows, 2):
            yield _read(row, f"{path}, row {number}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _read(row: dict[str, Any], place: str) -> Named:
    name = next((row[column] for column in NAMES if row.get(column) not in (None, "")), None)
    if name is None:
        raise ConfigError(f"{place}: a column `filename` or `id` must say which image it is.")
    if "filename" not in row:
        try:
            name = int(name)
        except ValueError as error:
            raise ConfigError(f"{place}: the id {name} is no number.") from error
    if "score" in row:
        given = [(str(row.get("label") or ""), row["score"])]
    else:
        given = [(column, value) for column, value in row.items() if column not in CONTEXT and value not in (None, "")]
    if not given or any(not column for column, _ in given):
        raise ConfigError(f"{place}: give a column for each class, or `label` and `score`.")
    return name, [(column, _number(value, f"{place}, {column}")) for column, value in given]


def _number(value: Any, place: str) -> float:  # noqa: ANN401
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{place}: {value} is no number.") from error
    if not math.isfinite(number):
        raise ConfigError(f"{place}: {value} is no finite number.")
    return number


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restkey="")
        for row in reader:
            if "" in row:
                raise ConfigError(f"{path}, row {reader.line_num}: it has more values than there are columns.")
            yield row


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import ArrowInvalid, parquet  # type: ignore[import-not-found,unused-ignore]
    except ModuleNotFoundError as error:
        raise ConfigError("Parquet files need pyarrow: pip install pyarrow; or give a CSV file.") from error
    try:
        for batch in parquet.ParquetFile(path).iter_batches(BATCH):
            yield from batch.to_pylist()
    except ArrowInvalid as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error

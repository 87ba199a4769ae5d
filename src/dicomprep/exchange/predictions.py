"""Predictions in and out, image by image or for a whole study, as a radiologist thinks."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dicomprep.database.dataset_queries import COLUMNS
from dicomprep.database.exchange_queries import scores
from dicomprep.database.opening import open_for_reading
from dicomprep.database.prediction_store import add_scores, summarize
from dicomprep.database.store import Store
from dicomprep.errors import ConfigError
from dicomprep.exchange.identities import Shown
from dicomprep.exchange.matching import IDENTITIES, Matched, match_frames
from dicomprep.exchange.tables import ReadTable, read_table, write_table

__all__ = ["PredictionsImported", "Unit", "aggregate", "export_predictions", "import_predictions"]


class Unit(StrEnum):
    """Of what a prediction is."""

    IMAGE = "image"
    SERIES = "series"
    STUDY = "study"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True)
class PredictionsImported:
    """What came of an import."""

    scores: int
    images: int
    matched: Matched


def import_predictions(db: str, file: Path, *, model: str) -> PredictionsImported:
    """Record what a model says: rows of `label` and `score`, or a column of scores for each class.

    All of it or nothing; what the model said before of the same image and class is replaced. Raises ConfigError where
    the table is none, does not say which images are meant, or a score is no number.
    """
    table = read_table(file)
    with open_for_reading(db) as connection:
        matched = match_frames(connection, db, table)
    given = list(_scores(table))
    found = [(matched.frame_ids[row], label, score) for row, label, score in given]
    rows = [(frame_id, label, score) for frame_id, label, score in found if frame_id is not None]
    if rows:
        store = Store(db)
        try:
            with store.transaction() as connection:
                add_scores(connection, model, rows)
                summarize(connection)
        finally:
            store.close()
    return PredictionsImported(len(rows), len({row[0] for row in rows}), matched)


def export_predictions(db: str, file: Path, *, model: str | None, unit: Unit, threshold: float, shown: Shown) -> int:
    """Write what models say of images, or `any`, `max` and `mean` of each class over larger units; how many rows.

    An image whose header names no study or series is one by itself, under the image's own key.
    """
    with open_for_reading(db) as connection:
        said = scores(connection, model=model)
        identify = shown.opened(connection, db)
        if unit is Unit.IMAGE:
            columns = shown.columns | {"split": "text", "model": "text", "label": "text", "score": "real"}
            return write_table(file, columns, ((*identify(row[3:6]), row[6], *row[:3]) for row in said))
        place = {Unit.PATIENT: 7, Unit.STUDY: 8, Unit.SERIES: 9}[unit]
        keyed = ((row[place] or identify(row[3:6])[0], row[6], *row[:3]) for row in said)
        columns = {f"{unit}_key": "text", "split": "text", "model": "text", "label": "text", "images": "integer"}
        columns |= {"any": "integer", "max": "real", "mean": "real"}
        return write_table(file, columns, aggregate(keyed, threshold=threshold))


def aggregate(
    said: Iterable[tuple[str, str, str, str, float]], *, threshold: float
) -> Iterator[tuple[str, str, str, str, int, int, float, float]]:
    """For each (unit, split, model, label): how many images, whether any score reaches `threshold`, maximum, mean.

    >>> list(aggregate([("s", "val", "m", "mass", 0.2), ("s", "val", "m", "mass", 0.6)], threshold=0.5))
    [('s', 'val', 'm', 'mass', 2, 1, 0.6, 0.4)]
    """
    by_unit: dict[tuple[str, str, str, str], tuple[int, float, float]] = {}
    for *unit, score in said:
        key, split, model, label = unit
        count, highest, total = by_unit.get((key, split, model, label), (0, -math.inf, 0.0))
        by_unit[key, split, model, label] = (count + 1, max(highest, score), total + score)
    for group, (count, highest, total) in sorted(by_unit.items()):
        yield *group, count, int(highest >= threshold), highest, total / count


def _scores(table: ReadTable) -> Iterator[tuple[int, str, float]]:
    """(row, class, score), rows counted from 0."""
    labels, given = table.column("label"), table.column("score")
    if labels is not None and given is not None:
        for row, (label, text) in enumerate(zip(labels, given, strict=True)):
            if not label:
                raise ConfigError(f"{table.path}, row {row + 2}: there is no label; {_WANTED}.")
            yield row, label, _score(f"{table.path}, row {row + 2}, {label}", text)
        return
    classes = [name for name in table.names if name not in (*IDENTITIES, "model", *COLUMNS)]
    if not classes:
        raise ConfigError(f"{table.path}: {_WANTED}.")
    for label in classes:
        for row, text in enumerate(table.column(label) or ()):
            if text:
                yield row, label, _score(f"{table.path}, row {row + 2}, {label}", text)


_WANTED = "give a column for each class, or `label` and `score`"


def _score(place: str, text: str) -> float:
    try:
        score = float(text)
    except ValueError as error:
        raise ConfigError(f"{place}: {text or 'an empty cell'} is no number.") from error
    if not math.isfinite(score):
        raise ConfigError(f"{place}: {text} is no finite number.")
    return score

"""Import and export of predictions, per image or aggregated per series, study or patient."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from pathlib import Path

from dicomprep.database.queries import classes
from dicomprep.database.queries.exchange import scores
from dicomprep.database.queries.frames import class_names
from dicomprep.database.queries.series import HiddenScore, hidden_scores
from dicomprep.database.writes.predictions import Score, add_scores, summarize
from dicomprep.errors import ConfigError, like
from dicomprep.exchange.classes import Spelling
from dicomprep.exchange.matching import IDENTITIES, MatchResult, match_frames
from dicomprep.exchange.pseudonyms import Shown
from dicomprep.exchange.scores import Scored, read_scores
from dicomprep.exchange.tables import ReadTable, read_table, write_table
from dicomprep.workspace import Workspace

__all__ = ["PredictionsImported", "Unit", "aggregate", "export_predictions", "import_predictions"]

SCORE_TOLERANCE = 1e-6
"""Difference up to which two scores of one image and class are the same."""


class Unit(StrEnum):
    """What one row of an export describes."""

    IMAGE = "image"
    SERIES = "series"
    STUDY = "study"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True)
class PredictionsImported:
    """The result of an import."""

    scores: int
    images: int
    matched: MatchResult
    models: tuple[str, ...] = ()
    """Whose scores they are."""
    left_out: tuple[str, ...] = ()
    """Headings of columns that are not classes."""
    unknown: tuple[str, ...] = ()
    """Classes that no label and no list has, each with the one that it may be a misspelling of."""


def import_predictions(workspace: Workspace, file: Path, *, model: str | None) -> PredictionsImported:
    """Record what a model says: rows of `label` and `score`, or a column of scores for each class.

    A column `model` says whose scores they are, where `model` is not given; else the file's name does. All of it or
    nothing; what the model said before of the same image and class is replaced. Raises ConfigError where the table is
    none, does not say which images are meant, a score is no probability, or two rows contradict each other.
    """
    table = read_table(file, IDENTITIES)
    with workspace.reading() as connection:
        matched = match_frames(connection, workspace, table)
        listed, labels = classes.class_names(connection), class_names(connection)
        spelling = Spelling(listed, labels)
        former = classes.former_names(connection)
    models = _models(table, model)
    given, left_out = read_scores(table)
    agreeing = _agreeing(table, matched, models, given, spelling)
    rows = _named_today(agreeing, former)
    notes = classes.describe_former(former, {label for _, _, label in agreeing})
    matched = replace(matched, notes=(*notes, *matched.notes))
    if rows:
        with workspace.writing() as store, store.transaction() as connection:
            for name in sorted({key[0] for key in rows}):
                of_model = [Score(key[1], key[2], said[0]) for key, said in rows.items() if key[0] == name]
                add_scores(connection, name, of_model)
            summarize(connection)
    named = tuple(sorted({key[0] for key in rows})) or (model or file.stem,)
    known = {*listed, *labels, *(name for label in labels for name in classes.classes_of(label))}
    unknown = (f"{name}{like(name, known)}" for name in sorted({key[2] for key in rows} - known) if known)
    return PredictionsImported(len(rows), len({key[1] for key in rows}), matched, named, left_out, tuple(unknown))


def export_predictions(
    workspace: Workspace, file: Path, *, model: str | None, unit: Unit, threshold: float, shown: Shown
) -> int:
    """Write what models say of images, or `any`, `max` and `mean` of each class over larger units; how many rows.

    An image whose header names no study or series is one by itself, under the image's own key. What is hidden as a
    duplicate counts for its own series, study and patient; a study or a patient has a picture once.
    """
    with workspace.reading() as connection:
        said = scores(connection, model=model)
        identify = shown.opened(workspace)
        if unit is Unit.IMAGE:
            columns = shown.columns | {"split": "text", "model": "text", "label": "text", "score": "real"}
            return write_table(file, columns, ((*identify(row[3:6]), row[6], *row[:3]) for row in said))
        place = {Unit.PATIENT: 7, Unit.STUDY: 8, Unit.SERIES: 9}[unit]
        shown_ones = ((row[place] or identify(row[3:6])[0], row[6], *row[:3]) for row in said)
        keyed = chain(shown_ones, _of_hidden(hidden_scores(connection, model=model), unit))
        columns = {f"{unit}_key": "text", "split": "text", "model": "text", "label": "text", "images": "integer"}
        columns |= {"any": "integer", "max": "real", "mean": "real"}
        return write_table(file, columns, aggregate(keyed, threshold=threshold))


def _of_hidden(said: Iterable[HiddenScore], unit: Unit) -> Iterator[tuple[str, str, str, str, float]]:
    """(unit, split, model, label, score) of hidden images, but for copies of what the unit has already."""
    which = (Unit.PATIENT, Unit.STUDY, Unit.SERIES).index(unit)
    seen = set[tuple[object, ...]]()
    for one in said:
        key, place = one.keys[which], one.place if unit is Unit.SERIES else ()
        known = (key, place) == (one.shown_keys[which], one.shown_place if unit is Unit.SERIES else ())
        mark = (one.model, one.label, one.frame_id, key, place)
        if key and not known and mark not in seen:
            seen.add(mark)
            yield key, one.split, one.model, one.label, one.score


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


def _models(table: ReadTable, model: str | None) -> list[str]:
    """Whose scores each row has."""
    named: Sequence[str] = table.column("model") or [""] * len(table)
    several = sorted(set(filter(None, named)))
    if model is None:
        return [name or table.path.stem for name in named]
    if len(several) > 1:
        said = ", ".join(several[:5])
        raise ConfigError(f"{table.path}: scores of several models ({said}). Omit --model to keep them separate.")
    return [model] * len(table)


def _named_today(
    rows: Mapping[tuple[str, int, str], tuple[float, int]], former: Mapping[str, str]
) -> dict[tuple[str, int, str], tuple[float, int]]:
    """Under the names that classes have now; of classes that were merged the greatest score."""
    named: dict[tuple[str, int, str], tuple[float, int]] = {}
    for (model, frame_id, label), said in rows.items():
        key = (model, frame_id, former.get(label, label))
        named[key] = max(said, named.get(key, said))
    return named


def _agreeing(
    table: ReadTable, matched: MatchResult, models: Sequence[str], given: Iterable[Scored], spelling: Spelling
) -> dict[tuple[str, int, str], tuple[float, int]]:
    """(score, row) by model, image and class; ConfigError where two rows give different scores."""
    rows: dict[tuple[str, int, str], tuple[float, int]] = {}
    for row, label, score in given:
        frame_id = matched.frame_ids[row]
        if frame_id is None:
            continue
        known = rows.setdefault((models[row], frame_id, spelling.of(label)), (score, row))
        if not math.isclose(known[0], score, abs_tol=SCORE_TOLERANCE):
            lines = f"rows {table.lines[known[1]]} and {table.lines[row]}"
            raise ConfigError(
                f"{table.path}: {lines} contradict each other: the same image has the scores {known[0]:g} and "
                f"{score:g} for {label}. Give one row per image. Nothing was imported."
            )
    return rows

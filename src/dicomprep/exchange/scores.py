"""Scores of classes in a table: which columns are classes, and which only look so.

Next to its scores a table has row numbers, folds, seeds, truth, ages. A column is a class if its name is not that of
something else, and all its numbers lie in 0…1.
"""

import re
from collections.abc import Iterator, Sequence

from dicomprep.database.queries.frames import COLUMNS
from dicomprep.errors import ConfigError
from dicomprep.exchange.dialects import normalized_heading
from dicomprep.exchange.matching import IDENTITIES
from dicomprep.exchange.tables import ReadTable

__all__ = ["Scored", "read_scores"]

Scored = tuple[int, str, float]
"""A row, counted from 0, a class, and how likely it is."""

_OTHERS = (
    *("index", "row number", "row id", "fold", "cv fold", "split", "subset", "epoch", "step", "iteration", "batch"),
    *("run", "run id", "seed", "random seed", "trial", "loss", "model name", "annotator", "created at", "timestamp"),
    *("date", "time", "score", "patient", "patient id", "patient name", "subject", "subject id", "case id", "study"),
    *("study id", "study uid", "series", "series id", "series uid", "accession number", "dataset", "age", "sex"),
    *("weight", "sample weight", "target", "truth", "ground truth", "y true", "label", "labels", "class", "prediction"),
    *("predicted", "pred", "y pred", "frame", "slice"),
)
_NO_CLASSES = frozenset(map(normalized_heading, (*IDENTITIES, *COLUMNS, "model", *_OTHERS)))
"""Columns that people have beside their scores, as `normalized_heading` writes them."""
_UNNAMED = re.compile(r"unnamed[0-9]*|level[0-9]+|index[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?")
WANTED = "give a column for each class, or `label` and `score`"


def read_scores(table: ReadTable) -> tuple[list[Scored], tuple[str, ...]]:
    """The scores of a table, and the headings of columns that are taken for no class.

    Raises ConfigError where there is no class, or a score is no number in 0…1.
    """
    if table.heading("label") is not None and table.heading("score") is not None:
        return list(_long(table)), ()
    scores, left_out = list[Scored](), list[str]()
    classes = 0
    for place, name in enumerate(table.names):
        if normalized_heading(name) in _identifying(table):
            continue
        cells = table.columns[place]
        if _is_no_class(name, cells):
            left_out.append(name or f"column {place + 1} (unnamed)")
            continue
        classes += 1
        scores += [(row, name, _score(table.cell(row, name), text)) for row, text in enumerate(cells) if text]
    if not classes:
        for row, name, text in _texts(table):
            _score(table.cell(row, name), text)
        without = f" Not classes: {', '.join(left_out)}." if left_out else ""
        raise ConfigError(f"{table.path}: {WANTED}.{without}")
    return scores, tuple(left_out)


def _texts(table: ReadTable) -> Iterator[tuple[int, str, str]]:
    """What stands in columns whose names would do for a class."""
    for place, name in enumerate(table.names):
        if name and normalized_heading(name) not in _NO_CLASSES:
            yield from ((row, name, text) for row, text in enumerate(table.columns[place]) if text)


def _long(table: ReadTable) -> Iterator[Scored]:
    labels: Sequence[str] = table.column("label") or []
    given: Sequence[str] = table.column("score") or []
    for row, (label, text) in enumerate(zip(labels, given, strict=True)):
        if not label:
            raise ConfigError(f"{table.path}, row {table.lines[row]}: label missing; {WANTED}.")
        yield row, label, _score(table.cell(row, label), text)


def _identifying(table: ReadTable) -> frozenset[str]:
    """Columns that nobody would take for a class, and that need not be named as left out."""
    return frozenset(map(normalized_heading, (*IDENTITIES, "model")))


def _is_no_class(name: str, cells: Sequence[str]) -> bool:
    """By its name, for it holds no number at all, or for it counts: whole numbers of which some are not 0 or 1."""
    heading = normalized_heading(name)
    if not name or heading in _NO_CLASSES or _UNNAMED.fullmatch(heading):
        return True
    numbers = [_plain(cell) for cell in cells if _NUMBER.fullmatch(cell)]
    said = [cell for cell in cells if cell and cell.lower() != "nan"]
    if said and not numbers:
        return True
    return len(numbers) == len(said) and any(not 0 <= n <= 1 for n in numbers) and all(n == int(n) for n in numbers)


def _plain(text: str) -> float:
    return float(text.replace(",", "."))


def _score(place: str, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        kind = "finite number" if text.lower().lstrip("+-") in ("nan", "inf", "infinity") else "number"
        raise ConfigError(f"{place}: {text or 'an empty cell'} is not a {kind}.")
    score = _plain(text)
    if not 0 <= score <= 1:
        raise ConfigError(
            f"{place}: {text} is outside 0…1. Give probabilities (softmax or sigmoid), or omit the column."
        )
    return score

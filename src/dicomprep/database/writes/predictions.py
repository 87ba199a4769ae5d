"""Writing what models say of images: every score as it was given, and one row an image for the pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select, text

from dicomprep.database.bulk import insert
from dicomprep.database.consensus import decided_label
from dicomprep.database.page_schema import models, prediction_summary
from dicomprep.database.schema import predictions
from dicomprep.database.writes.rows import now

__all__ = ["Score", "add_scores", "compare_with_labels", "summarize"]


class Score(NamedTuple):
    """How likely a model finds a class in an image."""

    frame_id: int
    label: str
    score: float


@dataclass(slots=True, kw_only=True)
class PredictionRow:
    """A row of `predictions`, without its id."""

    frame_id: int
    model: str
    label: str
    score: float
    created_at: str


@dataclass(slots=True, kw_only=True)
class ModelRow:
    """A row of `models`: for which of its scores there is a summary."""

    name: str
    scored_at: str
    scores: int


_FIND = {"sqlite": "instr", "postgresql": "strpos"}

_SUMMARIZE = text("""
INSERT INTO predicted (model, frame_id, label, score, margin, votes, disagrees)
SELECT ranked.model, ranked.frame_id, ranked.label, ranked.score,
    CASE WHEN ranked.next IS NULL OR :independent = 1 THEN ranked.least ELSE ranked.score - ranked.next END, 0, 0
FROM (
    SELECT model, frame_id, label, score,
        row_number() OVER (PARTITION BY frame_id ORDER BY score DESC, label) AS place,
        lead(score) OVER (PARTITION BY frame_id ORDER BY score DESC, label) AS next,
        min(abs(2 * score - 1)) OVER (PARTITION BY frame_id) AS least
    FROM predictions WHERE model = :model
) AS ranked
JOIN frames ON frames.id = ranked.frame_id JOIN files ON files.id = frames.file_id
JOIN groups ON groups.id = files.group_id
WHERE ranked.place = 1 AND groups.split <> 'test'
""")
_INDEPENDENT = text("""
SELECT count(*) FROM (
    SELECT 1 AS one FROM predictions WHERE model = :model GROUP BY frame_id HAVING abs(sum(score) - 1) > 0.02 LIMIT 1
) AS found
""")
"""1 where the scores of some image do not add up to 1: its classes do not exclude each other."""
_COMPARE = f"""
UPDATE predicted SET
    votes = (SELECT count(*) FROM standing WHERE standing.frame_id = predicted.frame_id),
    disagrees = (
        SELECT count(*) FROM (SELECT {decided_label("predicted.frame_id")} AS label) AS decided
        WHERE {{find}}(',' || decided.label || ',', ',' || predicted.label || ',') = 0
    )
WHERE {{which}} AND frame_id IN (SELECT frame_id FROM standing)
"""  # noqa: S608


def add_scores(connection: Connection, model: str, scores: Sequence[Score]) -> None:
    """Record what a model says; what it said before of the same image and class is replaced."""
    created_at = now()
    rows = [
        PredictionRow(frame_id=frame_id, model=model, label=label, score=score, created_at=created_at)
        for frame_id, label, score in scores
    ]
    insert(connection, predictions, rows, key=("frame_id", "model", "label"), replace=True)


def summarize(connection: Connection) -> None:
    """Make one row an image of each model's scores, for the pages: the best class and how sure the model is.

    Only of models whose scores have changed since. Of a single score the other class is taken to be as unlikely as
    that leaves it. Of classes that exclude each other it counts how far the best one is ahead; of independent ones, of
    which an image may have several, how far the least sure one is from 0.5. The images of the test split get no row:
    nobody who labels is shown what a model says of them.
    """
    newest, count = func.max(predictions.c.created_at), func.count()
    scored = connection.execute(select(predictions.c.model, newest, count).group_by(predictions.c.model))
    state = {tuple(row) for row in scored}
    known = {tuple(row) for row in connection.execute(select(models))}
    compare = text(_COMPARE.format(find=_FIND[connection.dialect.name], which="model = :model"))
    for model, scored_at, scores in sorted(state - known):
        connection.execute(delete(prediction_summary).where(prediction_summary.c.model == model))
        independent = connection.execute(_INDEPENDENT, {"model": model}).scalar_one()
        connection.execute(_SUMMARIZE, {"model": model, "independent": independent})
        connection.execute(compare, {"model": model})
        summarized = ModelRow(name=model, scored_at=scored_at, scores=scores)
        insert(connection, models, [summarized], key=("name",), replace=True)


def compare_with_labels(connection: Connection, frame_ids: Sequence[int]) -> None:
    """Compare what models say of images with labels that these got otherwise than by new events."""
    compare = text(_COMPARE.format(find=_FIND[connection.dialect.name], which="frame_id = :frame_id"))
    connection.execute(compare, [{"frame_id": frame_id} for frame_id in frame_ids])

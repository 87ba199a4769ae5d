"""Reading what models say of images. `prediction_summary` has no row of the test split, so none can be shown."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from dicomprep.config import TEST
from dicomprep.database.page_schema import models, prediction_summary
from dicomprep.database.schema import files, frames, groups

__all__ = ["find_predictions", "model_names"]


def find_predictions(connection: Connection, frame_ids: Sequence[int], *, model: str) -> dict[int, tuple[str, float]]:
    """The class that a model finds likeliest and its score, by image."""
    if not model or not frame_ids:
        return {}
    statement = select(prediction_summary.c.frame_id, prediction_summary.c.label, prediction_summary.c.score)
    statement = statement.join(frames, frames.c.id == prediction_summary.c.frame_id).join(files).join(groups)
    statement = statement.where(groups.c.split != TEST, prediction_summary.c.model == model)
    statement = statement.where(prediction_summary.c.frame_id.in_(frame_ids))
    return {frame_id: (label, score) for frame_id, label, score in connection.execute(statement)}


def model_names(connection: Connection) -> list[str]:
    """The models whose predictions are there, the one that was imported last first."""
    return list(connection.execute(select(models.c.name).order_by(models.c.scored_at.desc())).scalars())

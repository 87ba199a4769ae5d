"""Predictions are summed up anew: how sure a model is of independent classes was taken for that of exclusive ones."""

from sqlalchemy import Connection

__all__ = ["upgrade"]


def upgrade(connection: Connection) -> None:
    """Forget for which scores there are summaries; the pages make them when they open."""
    connection.exec_driver_sql("DELETE FROM models")

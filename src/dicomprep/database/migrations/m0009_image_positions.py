"""Where each image lies in the patient, sideways too, so that sheared stacks are known for what they are."""

from sqlalchemy import Connection

__all__ = ["upgrade"]


def upgrade(connection: Connection) -> None:
    """Add the column. The next run fills it, for the rules of drawing have changed in the same release."""
    connection.exec_driver_sql("ALTER TABLE frames ADD COLUMN image_position TEXT")

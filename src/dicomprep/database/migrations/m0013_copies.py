"""The risk of burned-in text of an image is that of the gravest of its copies: they show the same."""

from sqlalchemy import Connection

from dicomprep.database.migrations.m0002_tags import TAGS_VIEW

__all__ = ["upgrade"]

_GRAVER = """COALESCE((SELECT theirs.{column} FROM files AS copies JOIN frames AS theirs
        ON theirs.file_id = copies.id AND theirs.frame_number = frames.frame_number
        WHERE copies.duplicate_of = files.id AND theirs.burned_in < frames.burned_in
        ORDER BY theirs.burned_in, theirs.id LIMIT 1), frames.{column}) AS {column}"""


def upgrade(connection: Connection) -> None:
    """Change the view `tags`."""
    view = TAGS_VIEW.replace("frames.slice_position_mm,", "frames.slice_position_mm, frames.image_orientation,")
    seen = "CASE WHEN releases.digest = frames.digest THEN releases.released ELSE 0 END"
    view = view.replace(seen, "releases.released")
    risk = ", ".join(_GRAVER.format(column=column) for column in ("burned_in", "burned_in_reasons"))
    view = view.replace("frames.burned_in, frames.burned_in_reasons", risk)
    connection.exec_driver_sql("DROP VIEW tags")
    connection.exec_driver_sql(f"{view}WHERE files.duplicate_of IS NULL")

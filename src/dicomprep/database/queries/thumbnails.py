"""Where images lie below the output folder, and their digests."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from dicomprep.database.schema import frames

__all__ = ["find_digests", "find_thumbnail"]


def find_thumbnail(connection: Connection, frame_id: int) -> tuple[str, bytes] | None:
    """Where an image lies below the output folder, and its digest."""
    statement = select(frames.c.thumbnail_path, frames.c.digest).where(frames.c.id == frame_id)
    row = connection.execute(statement).first()
    return None if row is None else (row[0], bytes(row[1]))


def find_digests(connection: Connection, frame_ids: Collection[int]) -> dict[int, str]:
    """The digests of images, in hexadecimal figures; what is no image has none."""
    statement = select(frames.c.id, frames.c.digest).where(frames.c.id.in_(frame_ids))
    return {frame_id: bytes(digest).hex() for frame_id, digest in connection.execute(statement)}

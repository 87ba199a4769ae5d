"""How much there is: inputs, images and patients by what tells them apart."""

from sqlalchemy import Connection, func, select

from dicomprep.database.schema import files, frames, groups

__all__ = ["count_by", "count_duplicates", "count_frames", "count_groups"]


def count_by(connection: Connection, what: str) -> dict[str, int]:
    """Counts by `status` or `error_code` of inputs, or by `split` or `modality` of images."""
    of_images = what in ("split", "modality")  # a file's row says how many it has: quicker than counting them
    column = groups.c.split if what == "split" else files.c[what]
    count = func.sum(files.c.frames) if of_images else func.count()
    statement = select(column, count).select_from(files.join(groups) if what == "split" else files)
    statement = statement.where(column.is_not(None)).group_by(column).order_by(count.desc(), column)
    if of_images:
        statement = statement.where(files.c.frames > 0, files.c.duplicate_of.is_(None))
    return {row[0]: row[1] for row in connection.execute(statement)}


def count_groups(connection: Connection) -> dict[str, int]:
    """How many groups (patients, mostly) each split has."""
    statement = select(groups.c.split, func.count()).group_by(groups.c.split)
    return {row[0]: row[1] for row in connection.execute(statement)}


def count_frames(connection: Connection) -> int:
    """How many images there are, without those of duplicates."""
    hidden = select(func.coalesce(func.sum(files.c.frames), 0)).where(files.c.duplicate_of.is_not(None))
    recorded = select(func.count()).select_from(frames)
    return int(connection.execute(recorded).scalar_one()) - int(connection.execute(hidden).scalar_one())


def count_duplicates(connection: Connection) -> int:
    """How many inputs hold the same image as another one, which alone is among `images`."""
    statement = select(func.count()).select_from(files).where(files.c.duplicate_of.is_not(None))
    return int(connection.execute(statement).scalar_one())

"""How much there is: inputs, images and patients by what tells them apart, from counts that the database keeps."""

from sqlalchemy import Connection, func, select

from dicomprep.database.count_schema import input_counts as counted
from dicomprep.database.schema import groups
from dicomprep.privacy.allow_list import SET_APART

__all__ = ["count_by", "count_duplicates", "count_frames", "count_groups", "count_rendered"]
__all__ += ["groups_with_images"]

_IS_RENDERED = counted.c.is_duplicate == 0
_IS_IMAGE = _IS_RENDERED & counted.c.kind.not_in(SET_APART)
"""As in the view `images`; what no run has read yet since kinds are recorded has an empty one."""


def count_by(connection: Connection, what: str) -> dict[str, int]:
    """Counts by `status` or `error_code` of inputs, by `split` or `modality` of images, or by `kind` of all of them."""
    of_images = what in ("split", "modality", "kind")
    column = groups.c.split if what == "split" else counted.c[what]
    amount = func.sum(counted.c.frames if of_images else counted.c.files)
    statement = select(column, amount).select_from(counted).where(column != "")
    if what == "split":
        statement = statement.join(groups, groups.c.id == counted.c.group_id)
    if of_images:
        statement = statement.where(_IS_RENDERED if what == "kind" else _IS_IMAGE)
    statement = statement.group_by(column).having(amount > 0).order_by(amount.desc(), column)
    return {name: int(count) for name, count in connection.execute(statement)}


def count_groups(connection: Connection) -> dict[str, int]:
    """How many groups (patients, mostly) each split has."""
    statement = select(groups.c.split, func.count()).group_by(groups.c.split)
    return {row[0]: row[1] for row in connection.execute(statement)}


def groups_with_images(connection: Connection) -> set[int]:
    """The groups that have images in `images`."""
    statement = select(counted.c.group_id).where(_IS_IMAGE).group_by(counted.c.group_id)
    return set(connection.execute(statement.having(func.sum(counted.c.frames) > 0)).scalars())


def count_frames(connection: Connection) -> int:
    """How many images there are in `images`: without those of duplicates, and of kinds that are set apart."""
    return int(connection.execute(select(func.sum(counted.c.frames)).where(_IS_IMAGE)).scalar() or 0)


def count_rendered(connection: Connection) -> int:
    """How many images of any kind there are, and those of duplicates."""
    return int(connection.execute(select(func.sum(counted.c.frames))).scalar() or 0)


def count_duplicates(connection: Connection) -> int:
    """How many inputs hold the same image as another one, which alone is among `images`."""
    return int(connection.execute(select(func.sum(counted.c.files)).where(~_IS_RENDERED)).scalar() or 0)

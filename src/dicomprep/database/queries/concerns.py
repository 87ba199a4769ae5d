"""Queries for the warnings about a data set: splits of labeled images, and which of them changed."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, exists, func, select, update

from dicomprep.database.annotation_schema import annotation_events
from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.page_schema import current_labels
from dicomprep.database.schema import files, frames, groups, runs

__all__ = ["changed_splits", "groups_of_labeled", "note_changed_splits", "splits_of_frames", "splits_of_labeled"]

_IS_LABELED = exists().where(current_labels.c.frame_id == frames.c.id) | exists().where(
    annotation_events.c.frame_id == frames.c.id
)
_SIDES = select(frames.c.id, groups.c.split).select_from(frames.join(files).join(groups))
_OF_LABELED = _SIDES.where(files.c.root == bindparam("root"), _IS_LABELED, any_of(files.c.path))
_GROUP_OF_LABELED = (
    select(files.c.path, files.c.group_id, files.c.digest)
    .select_from(files.join(frames))
    .where(files.c.root == bindparam("root"), files.c.group_id.is_not(None), _IS_LABELED, any_of(files.c.path))
    .distinct()
)
_OF_FRAMES = _SIDES.where(_IS_LABELED, any_of(frames.c.id))


def splits_of_labeled(connection: Connection, root: str, paths: Sequence[str]) -> dict[int, str]:
    """The split of each labeled image of the inputs at readable `paths` below a readable root, by image."""
    return dict(look_up(connection, _OF_LABELED, paths, root))


def groups_of_labeled(connection: Connection, root: str, paths: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    """(group, digest) of each input at readable `paths` below a readable root that has a labeled image, by path."""
    rows = look_up(connection, _GROUP_OF_LABELED, paths, root)
    return {path: (group_id, bytes(digest)) for path, group_id, digest in rows}


def splits_of_frames(connection: Connection, frame_ids: Collection[int]) -> dict[int, str]:
    """The split of each of these images that is labeled."""
    return dict(look_up(connection, _OF_FRAMES, sorted(frame_ids)))


def note_changed_splits(connection: Connection, run_id: int, count: int) -> None:
    """Count labeled images that changed their split in a run."""
    connection.execute(
        update(runs).where(runs.c.id == run_id).values(changed_side=runs.c.changed_side + bindparam("more")),
        {"more": count},
    )


def changed_splits(connection: Connection) -> tuple[int, int, str]:
    """Labeled images that changed their split: in the newest run, in all runs, and when last."""
    newest = select(runs.c.changed_side).order_by(runs.c.id.desc()).limit(1)
    totals = select(func.sum(runs.c.changed_side), func.max(runs.c.started_at)).where(runs.c.changed_side > 0)
    total, when = connection.execute(totals).one()
    return int(connection.execute(newest).scalar() or 0), int(total or 0), when or ""

"""What a data set's concerns are read from: how patients are divided, and what labelled images changed their side."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, exists, func, select, update

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.page_schema import standing
from dicomprep.database.schema import files, frames, groups, runs

__all__ = ["last_changed_side", "note_changed_side", "sides_of_frames", "sides_of_labelled"]

_IS_LABELLED = exists().where(standing.c.frame_id == frames.c.id)
_SIDES = select(frames.c.id, groups.c.split).select_from(frames.join(files).join(groups))
_OF_LABELLED = _SIDES.where(files.c.root == bindparam("root"), _IS_LABELLED, any_of(files.c.path))
_OF_FRAMES = _SIDES.where(_IS_LABELLED, any_of(frames.c.id))


def sides_of_labelled(connection: Connection, root: str, paths: Sequence[str]) -> dict[int, str]:
    """The split of each labelled image of the inputs at readable `paths` below a readable root, by image."""
    return dict(look_up(connection, _OF_LABELLED, paths, root))


def sides_of_frames(connection: Connection, frame_ids: Collection[int]) -> dict[int, str]:
    """The split of each of these images that is labelled."""
    return dict(look_up(connection, _OF_FRAMES, sorted(frame_ids)))


def note_changed_side(connection: Connection, run_id: int, count: int) -> None:
    """Count labelled images that changed their side in a run."""
    connection.execute(
        update(runs).where(runs.c.id == run_id).values(changed_side=runs.c.changed_side + bindparam("more")),
        {"more": count},
    )


def last_changed_side(connection: Connection) -> int:
    """How many labelled images changed their side in the newest run."""
    newest = select(func.max(runs.c.id)).scalar_subquery()
    return int(connection.execute(select(runs.c.changed_side).where(runs.c.id == newest)).scalar() or 0)

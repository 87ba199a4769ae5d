"""Reads for those who need a series as a whole: what is hidden as a duplicate elsewhere is a slice here."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Select, literal, or_, select

from dicomprep.database.queries.frames import COLUMNS
from dicomprep.database.queries.releases import holds, is_held, shown_as, shown_frames
from dicomprep.database.schema import files, frames, groups, predictions

__all__ = ["HiddenScore", "frames_of_series", "hidden_scores", "series_frames"]

_OF_FRAMES = ("filename", "thumbnail_path", "frame_number")
_COLUMNS = COLUMNS | {name: frames.c[name] for name in _OF_FRAMES}
_COLUMNS |= {"group_id": files.c.group_id, "duplicate_of": files.c.duplicate_of}
_COLUMNS |= {name: files.c[name] for name in ("name", "frame_count", "mtime_ns", "ctime_ns", "version_tag")}
_COLUMNS |= {"file_id": files.c.id, "file_size": files.c.size, "file_digest": files.c.digest}

_shown_files = files.alias("shown_files")


def _place(file: FromClause, frame: FromClause) -> tuple[Any, ...]:
    """Columns that tell two slices of a series from two copies of one."""
    return (
        *(frame.c.frame_number, file.c.instance_number, file.c.acquisition_number),
        *(frame.c.slice_position_mm, frame.c.image_orientation, frame.c.image_position),
        *(frame.c.stack_position, frame.c.temporal_position),
    )


_PLACE = _place(files, frames)


def series_frames(connection: Connection, series: str, columns: Sequence[str]) -> Iterator[tuple[bool, Sequence[Any]]]:
    """(whether it is held back, its `columns`) of each frame of a series, by its key or UID; also of hidden ones.

    Of copies of one picture at one place of the series there is one: what is shown, else the first by its path.
    """
    of_series = or_(files.c.series_key == series, files.c.series_instance_uid == series)
    return ((is_kept_back, values) for _, is_kept_back, values in _frames(connection, of_series, columns))


def frames_of_series(
    connection: Connection, keys: Sequence[str], columns: Sequence[str]
) -> Iterator[tuple[str, bool, Sequence[Any]]]:
    """The same of several series by their keys, with the key of each; one series after the other."""
    return _frames(connection, files.c.series_key.in_(keys), columns)


def _frames(
    connection: Connection, condition: ColumnElement[bool], columns: Sequence[str]
) -> Iterator[tuple[str, bool, Sequence[Any]]]:
    wanted = [_COLUMNS[name] for name in columns]
    held = is_held(shown_frames) if holds(connection) else literal(value=False)
    joined = frames.join(files, files.c.id == frames.c.file_id).join(shown_frames, shown_as())
    known = (files.c.series_key, files.c.id, files.c.duplicate_of, held)
    statement = select(*known, *_PLACE, *wanted).select_from(joined).where(condition)
    order = (files.c.series_key, files.c.duplicate_of.is_not(None), files.c.root, files.c.path, frames.c.id)
    seen = set[tuple[Any, ...]]()
    for key, file_id, original, is_kept_back, *values in connection.execute(statement.order_by(*order)):
        picture = (key, original or file_id, *values[: len(_PLACE)])
        if picture not in seen:
            seen.add(picture)
            yield key, bool(is_kept_back), values[len(_PLACE) :]


class HiddenScore(NamedTuple):
    """What a model says of an image that is hidden: that which it says of the one that it is a duplicate of."""

    model: str
    label: str
    score: float
    frame_id: int
    """Of the frame that is shown."""
    split: str
    keys: tuple[str, str | None, str | None]
    """Of the hidden one: patient, study, series."""
    shown_keys: tuple[str, str | None, str | None]
    place: tuple[Any, ...]
    """Where the hidden one stands in its series."""
    shown_place: tuple[Any, ...]


def hidden_scores(connection: Connection, *, model: str | None) -> Iterator[HiddenScore]:
    """The scores of hidden duplicates that have none of their own, in the order of their ids."""
    statement = _hidden_scores()
    if model is not None:
        statement = statement.where(predictions.c.model == model)
    rows = connection.execution_options(yield_per=5000).execute(statement.order_by(frames.c.id, predictions.c.id))
    count = len(_PLACE)
    for name, label, score, frame_id, split, *rest in rows:
        keys, shown_keys, places = tuple(rest[:3]), tuple(rest[3:6]), rest[6:]
        yield HiddenScore(
            name, label, score, frame_id, split, keys, shown_keys, tuple(places[:count]), tuple(places[count:])
        )


def _hidden_scores() -> Select[Any]:
    shown_groups, own = groups.alias("shown_groups"), predictions.alias("own")
    same = (shown_frames.c.file_id == _shown_files.c.id) & (shown_frames.c.frame_number == frames.c.frame_number)
    joined = frames.join(files, files.c.id == frames.c.file_id).join(groups, groups.c.id == files.c.group_id)
    joined = joined.join(_shown_files, _shown_files.c.id == files.c.duplicate_of).join(shown_frames, same)
    joined = joined.join(shown_groups, shown_groups.c.id == _shown_files.c.group_id)
    joined = joined.join(predictions, predictions.c.frame_id == shown_frames.c.id)
    columns = (
        *(predictions.c.model, predictions.c.label, predictions.c.score, shown_frames.c.id, groups.c.split),
        *(groups.c.key, files.c.study_key, files.c.series_key),
        *(shown_groups.c.key, _shown_files.c.study_key, _shown_files.c.series_key),
        *(*_PLACE, *_place(_shown_files, shown_frames)),
    )
    has_own = select(own.c.id).where(
        own.c.frame_id == frames.c.id, own.c.model == predictions.c.model, own.c.label == predictions.c.label
    )
    return select(*columns).select_from(joined).where(~has_own.exists())

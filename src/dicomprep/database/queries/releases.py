"""Which frames may leave: the condition that exports, loaders and pages apply before they share an image.

Copies of an image show the same, so what one of them is suspected of, all are. A hidden one waits with its original.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, ScalarSelect, and_, func, not_, or_, select

from dicomprep.database.connection import read_meta
from dicomprep.database.schema import files, frames, releases
from dicomprep.errors import ConfigError
from dicomprep.privacy.burned_in import Reason, Risk

__all__ = ["HOLDS", "Held", "count_held", "find_held", "holds", "is_held", "may_leave", "of_gravest"]
__all__ += ["ReviewState", "Suspect", "find_suspects", "shown_as", "shown_frames"]

HOLDS = "hold_burned_in"
"""The key of `meta`; "1" where risky frames are held back."""


@dataclass(frozen=True, slots=True)
class Held:
    """A frame that is held back until a person has looked at it."""

    id: int
    filename: str
    modality: str | None
    reasons: str


class ReviewState(StrEnum):
    """What a person has said of a frame with suspected text."""

    OPEN = "open"
    KEPT = "kept"
    """Somebody looked at it, and it is held back."""
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A frame with suspected text, whoever has looked at it."""

    id: int
    filename: str
    modality: str | None
    reasons: tuple[str, ...]
    person: str | None
    """Who looked at it last."""


shown_frames = frames.alias("shown_frames")


def shown_as() -> ColumnElement[bool]:
    """Join `shown_frames` to frames and their files: the frame itself, or that of which it is a hidden duplicate."""
    same = shown_frames.c.file_id == func.coalesce(files.c.duplicate_of, files.c.id)
    return same & (shown_frames.c.frame_number == frames.c.frame_number)


def may_leave(connection: Connection, *, hold: bool | None = None, shown: FromClause = frames) -> ColumnElement[bool]:
    """The condition on `schema.frames`, or `shown_frames`, by which frames may be exported, loaded or shown to others.

    `hold` says whether risky frames are held back; None: as `preprocess --hold-burned-in` has it in this database.
    """
    on = holds(connection) if hold is None else hold
    return not_(is_held(shown)) if on else shown.c.id.is_not(None)


def holds(connection: Connection) -> bool:
    """Whether this database holds risky frames back."""
    return read_meta(connection, HOLDS) == "1"


def is_held(shown: FromClause = frames) -> ColumnElement[bool]:
    """The condition on `schema.frames`, or an alias of it, as they are in `images`.

    In this image or a copy of it text is probable, and nobody has released it.
    """
    return and_(_is_suspected(shown), func.coalesce(_released(shown), 0) == 0)


def _is_suspected(shown: FromClause) -> ColumnElement[bool]:
    risky = select(_theirs.c.id).where(_is_copy(shown), _theirs.c.burned_in == Risk.HIGH.value).correlate(shown)
    return or_(shown.c.burned_in == Risk.HIGH.value, risky.exists())


def of_gravest(name: str) -> ColumnElement[str | None]:
    """A column of `schema.frames`, of the copy with the gravest risk."""
    graver = select(_theirs.c[name]).where(_is_copy(frames), _theirs.c.burned_in < frames.c.burned_in)
    first = graver.order_by(_theirs.c.burned_in, _theirs.c.id).limit(1).correlate(frames)
    return func.coalesce(first.scalar_subquery(), frames.c[name])


def count_held(connection: Connection) -> int:
    """How many images wait for a person, whether or not they are held back."""
    waiting = select(func.count()).select_from(frames.join(files)).where(is_held(), files.c.duplicate_of.is_(None))
    return int(connection.execute(waiting).scalar_one())


def find_suspects(connection: Connection, state: ReviewState, *, after: int, limit: int) -> list[Suspect]:
    """Up to `limit` images with suspected text, of which that was said, with ids above `after`."""
    newest = _newest(frames, releases.c.person)
    columns = (frames.c.id, frames.c.filename, files.c.modality, of_gravest("burned_in_reasons"), newest)
    statement = select(*columns).select_from(frames.join(files)).where(frames.c.id > after, _is_suspected(frames))
    said = {ReviewState.OPEN: None, ReviewState.KEPT: 0, ReviewState.RELEASED: 1}[state]
    statement = statement.where(files.c.duplicate_of.is_(None), _released(frames).is_not_distinct_from(said))
    rows = connection.execute(statement.order_by(frames.c.id).limit(limit))
    return [Suspect(i, name, modality, tuple((why or "").split(",")), who) for i, name, modality, why, who in rows]


def find_held(
    connection: Connection, *, ids: Sequence[int] | None = None, study: str | None = None, reason: str | None = None
) -> Iterator[Held]:
    """Images that wait for a person, in the order of their names: all, or those chosen. Reasons are of all copies.

    Raises ConfigError for a reason that is none.
    """
    if reason is not None and reason not in list(Reason):
        raise ConfigError(f"--reason {reason}: choose {', '.join(Reason)}.")
    copies = select(func.aggregate_strings(_theirs.c.burned_in_reasons, ",")).where(_is_copy(frames)).correlate(frames)
    columns = (frames.c.id, frames.c.filename, files.c.modality, frames.c.burned_in_reasons, copies.scalar_subquery())
    statement = select(*columns).select_from(frames.join(files)).where(is_held(), files.c.duplicate_of.is_(None))
    statement = statement.order_by(files.c.name, frames.c.frame_number)
    if ids is not None:
        statement = statement.where(frames.c.id.in_(ids))
    if study is not None:
        statement = statement.where(files.c.study_id == study)
    for frame_id, filename, modality, *said in connection.execute(statement):
        reasons = dict.fromkeys(",".join(filter(None, said)).split(","))
        if reason is None or reason in reasons:
            yield Held(frame_id, filename, modality, ",".join(reasons))


_theirs, _copies = frames.alias("theirs"), files.alias("copies")


def _is_copy(shown: FromClause) -> ColumnElement[bool]:
    """Whether `_theirs` is the same frame of a hidden duplicate."""
    of_copy = (_copies.c.id == _theirs.c.file_id) & (_theirs.c.frame_number == shown.c.frame_number)
    return of_copy & (_copies.c.duplicate_of == shown.c.file_id)


def _released(shown: FromClause) -> ScalarSelect[int]:
    """1 where the newest word on a frame, which is of the picture that it shows, is a release."""
    return _newest(shown, releases.c.released)


def _newest(shown: FromClause, column: ColumnElement[Any]) -> ScalarSelect[Any]:
    newest = select(column).where(releases.c.frame_id == shown.c.id).order_by(releases.c.id.desc())
    return newest.limit(1).correlate(shown).scalar_subquery()

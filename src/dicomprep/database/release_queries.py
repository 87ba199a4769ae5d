"""Which frames may leave: what exports, loaders and pages ask before they give an image away."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, ScalarSelect, and_, func, not_, select

from dicomprep.burned_in import Risk
from dicomprep.database.connect import read_meta
from dicomprep.database.schema import files, frames, releases

__all__ = ["HOLDS", "Held", "count_held", "find_held", "holds", "is_held", "may_leave"]

HOLDS = "hold_burned_in"
"""The key of `meta`; "1" where risky frames are held back."""


@dataclass(frozen=True, slots=True)
class Held:
    """A frame that is held back until a person has looked at it."""

    id: int
    filename: str
    modality: str | None
    reasons: str


def may_leave(connection: Connection, *, hold: bool | None = None) -> ColumnElement[bool]:
    """The condition on `schema.frames` by which frames may be exported, loaded or shown to others.

    `hold` says whether risky frames are held back; None: as `preprocess --hold-burned-in` has it in this database.
    """
    on = holds(connection) if hold is None else hold
    return not_(is_held()) if on else frames.c.id.is_not(None)


def holds(connection: Connection) -> bool:
    """Whether this database holds risky frames back."""
    return read_meta(connection, HOLDS) == "1"


def is_held() -> ColumnElement[bool]:
    """The condition on `schema.frames`: text is probable and nobody has released this very image."""
    return and_(frames.c.burned_in == Risk.HIGH.value, func.coalesce(_released(), 0) == 0)


def count_held(connection: Connection) -> int:
    """How many frames wait for a person, whether or not they are held back."""
    return int(connection.execute(select(func.count()).select_from(frames).where(is_held())).scalar_one())


def find_held(
    connection: Connection, *, ids: Sequence[int] | None = None, study: str | None = None, reason: str | None = None
) -> Iterator[Held]:
    """Frames that wait for a person, in the order of their names: all, or those chosen."""
    statement = select(frames.c.id, frames.c.filename, files.c.modality, frames.c.burned_in_reasons)
    statement = statement.select_from(frames.join(files)).where(is_held()).order_by(files.c.name, frames.c.frame_number)
    if ids is not None:
        statement = statement.where(frames.c.id.in_(ids))
    if study is not None:
        statement = statement.where(files.c.study_id == study)
    for row in connection.execute(statement):
        held = Held(*row)
        if reason is None or reason in held.reasons.split(","):
            yield held


def _released() -> ScalarSelect[int]:
    """1 where the newest word on a frame, which is of the picture that it shows, is a release."""
    newest = select(releases.c.released).where(releases.c.frame_id == frames.c.id).order_by(releases.c.id.desc())
    return newest.limit(1).correlate(frames).scalar_subquery()

"""Reads of frozen versions: which there are, and where their images are now."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Subquery, exists, func, select, union_all

from dicomprep.database.bulk import scan
from dicomprep.database.queries.releases import may_leave
from dicomprep.database.schema import files, frames
from dicomprep.database.version_schema import version_facts, version_images, version_units, versions
from dicomprep.errors import ConfigError, count_of

__all__ = [
    "FrozenImage",
    "Loss",
    "LostImage",
    "Version",
    "all_versions",
    "count_frozen",
    "describe_lost",
    "find_version",
    "frozen_images",
    "frozen_units",
    "locate",
    "lost_images",
]


@dataclass(frozen=True, slots=True)
class Version:
    """What was frozen under a name."""

    id: int
    name: str
    created_at: str
    program: str
    """The release that froze it."""
    options: tuple[dict[str, Any], ...]
    """What shaped the images: the options of the runs, the newest first."""
    classes: tuple[str, ...]
    images: int
    digest: str
    """SHA-256 of all keys, digests, splits and labels: two versions with the same one are the same."""


class FrozenImage(NamedTuple):
    """An image as it was frozen."""

    key: bytes
    digest: bytes
    split: str
    fold: int | None
    label: str | None


class Loss(StrEnum):
    """Why an image of a version is not given."""

    REMOVED = "removed"
    CHANGED = "changed"
    HELD = "held back"


class LostImage(NamedTuple):
    """An image of a version that is not given now."""

    key: str
    reason: Loss
    filename: str | None
    """Its name, where the database still has one."""


def all_versions(connection: Connection) -> list[Version]:
    """Every version, the oldest first."""
    return [_version(row) for row in connection.execute(select(versions).order_by(versions.c.id))]


def find_version(connection: Connection, name: str) -> Version:
    """The version of this name; ConfigError, which names those that there are, if there is none."""
    row = connection.execute(select(versions).where(versions.c.name == name)).first()
    if row is not None:
        return _version(row)
    names = ", ".join(version.name for version in all_versions(connection))
    there = f"There are: {names}." if names else "There are none: `dicomprep freeze NAME` makes one."
    raise ConfigError(f"There is no version {name}. {there}")


def frozen_images(connection: Connection, version: Version) -> Iterator[Sequence[FrozenImage]]:
    """The images of a version as they were frozen, in the order of their keys, a list at a time."""
    of_version = version_images.join(version_facts, _has_fact())
    facts = (version_facts.c.split, version_facts.c.fold, version_facts.c.label)
    statement = select(version_images.c.key, version_images.c.digest, *facts).select_from(of_version)
    ordered = statement.where(version_images.c.version_id == version.id).order_by(version_images.c.key)
    for rows in scan(connection, ordered):
        yield [FrozenImage(*row) for row in rows]


def locate(version: Version) -> Subquery:
    """Where the images of a version are: frame_id, key, split, fold, label.

    A frame is the same image while it has the digest that was frozen. One that is gone may be there under another id:
    a file came back, or a duplicate has taken the place of its original.
    """
    in_place = select(version_images.c.frame_id.label("frame_id"), *_FROZEN).select_from(
        version_images.join(frames, _is_in_place())
    )
    elsewhere = select(func.min(frames.c.id).label("frame_id"), *_FROZEN).select_from(
        version_images.join(frames, frames.c.digest == version_images.c.digest)
    )
    missing = ~exists().where(_is_in_place()).correlate(version_images)
    mine = version_images.c.version_id == version.id
    found = union_all(
        in_place.where(mine), elsewhere.where(mine, missing).group_by(version_images.c.frame_id, *_FROZEN)
    ).subquery("found")
    facts = version_facts.c
    joined = found.join(version_facts, (facts.version_id == version.id) & (facts.number == found.c.fact))
    columns = (found.c.frame_id, found.c.key, facts.split, facts.fold, facts.label)
    return select(*columns).select_from(joined).subquery("located")


def frozen_units(connection: Connection, version: Version, level: str) -> dict[str, str]:
    """The labels that series, studies or patients have in a version, by their keys."""
    mine = (version_units.c.version_id == version.id) & (version_units.c.level == level)
    rows = connection.execute(select(version_units.c.unit_key, version_units.c.label).where(mine))
    return {row[0]: row[1] for row in rows}


def lost_images(connection: Connection, name: str) -> Iterator[LostImage]:
    """The images of a version that are not given now, and why; those that `forget` removed are in no version.

    ConfigError if there is no such version.
    """
    version = find_version(connection, name)
    located = locate(version)
    gone = (
        select(version_images.c.key, frames.c.filename)
        .select_from(version_images.outerjoin(frames, frames.c.id == version_images.c.frame_id))
        .where(version_images.c.version_id == version.id)
        .where(version_images.c.key.not_in(select(located.c.key)))
        .order_by(version_images.c.key)
    )
    for key, filename in connection.execute(gone):
        yield LostImage(key.hex(), Loss.REMOVED if filename is None else Loss.CHANGED, filename)
    held = _of_located(located).where(~may_leave(connection)).order_by(located.c.key)
    for key, filename in connection.execute(held):
        yield LostImage(key.hex(), Loss.HELD, filename)


def describe_lost(lost: Sequence[LostImage]) -> str:
    """One sentence with the number of each reason."""
    counts = Counter(image.reason for image in lost)
    said = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
    return f"{count_of(len(lost), 'image')} of the version cannot be given any more: {said}."


def count_frozen(connection: Connection, version: Version) -> int:
    """How many images a version still has rows of."""
    mine = version_images.c.version_id == version.id
    return int(connection.execute(select(func.count()).select_from(version_images).where(mine)).scalar_one())


_FROZEN: tuple[ColumnElement[Any], ...] = (version_images.c.key, version_images.c.fact)


def _of_located(located: Subquery) -> Select[Any]:
    joined = located.join(frames, frames.c.id == located.c.frame_id).join(files, files.c.id == frames.c.file_id)
    return select(located.c.key, frames.c.filename).select_from(joined)


def _is_in_place() -> ColumnElement[bool]:
    return (frames.c.id == version_images.c.frame_id) & (frames.c.digest == version_images.c.digest)


def _has_fact() -> ColumnElement[bool]:
    same = version_facts.c.version_id == version_images.c.version_id
    return same & (version_facts.c.number == version_images.c.fact)


def _version(row: Any) -> Version:  # noqa: ANN401  (a row)
    options, classes = json.loads(row.options), json.loads(row.classes)
    return Version(
        row.id, row.name, row.created_at, row.program, tuple(options), tuple(classes), row.images, row.digest
    )

"""Duplicates: inputs that hold the same image. One of them is in `images`, the others name it."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal_column, select, update

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.queries.judged import is_judged
from dicomprep.database.schema import files, frames
from dicomprep.database.writes.groups import Move, join_groups
from dicomprep.database.writes.rows import InputRow

__all__ = ["MAX_GROUPS_PER_IMAGE", "Duplicates"]

MAX_GROUPS_PER_IMAGE = 4
"""An image that more patients have is a test pattern or a form, and joins nobody."""

MAX_DIFFERING_BITS = 3
"""Bits of a perceptual hash that may differ in an instance that was compressed again."""


@dataclass(slots=True)
class _Member:
    id: int
    root: str
    path: str
    pixel_key: bytes | None
    instance_key: int | None
    duplicate_of: int | None
    run_id: int
    attempts: int
    group_id: int | None
    fingerprint: str
    sop_instance_uid: str | None
    instance_number: int | None
    frames: int
    series_instance_uid: str | None
    is_lossy: int | None


def _names() -> Select[Any]:
    """(original, group) of its duplicates, for each original no more than tell whether they are too many.

    From one group to the next in the index, whatever the number of duplicates: there are test patterns by the thousand.
    """
    duplicate = files.alias("duplicate")
    least = select(func.min(duplicate.c.group_id))
    first = least.where(duplicate.c.duplicate_of == files.c.id).scalar_subquery()
    begun = select(files.c.id.label("original"), first.label("name"), literal_column("1").label("number"))
    names = begun.where(any_of(files.c.id)).cte("names", recursive=True)
    following = least.where(duplicate.c.duplicate_of == names.c.original, duplicate.c.group_id > names.c.name)
    more = select(names.c.original, following.scalar_subquery(), names.c.number + literal_column("1"))
    names = names.union_all(
        more.where(names.c.name.is_not(None), names.c.number <= literal_column(str(MAX_GROUPS_PER_IMAGE)))
    )
    return select(names.c.original, names.c.name).where(names.c.name.is_not(None))


def _first_hash() -> Select[Any]:
    """(file, perceptual hash) of the first frame of each file that has one."""
    number = func.min(frames.c.frame_number).label("number")
    known = select(frames.c.file_id, number).where(frames.c.likeness.is_not(None), any_of(frames.c.file_id))
    first = known.group_by(frames.c.file_id).subquery()
    is_first = (frames.c.file_id == first.c.file_id) & (frames.c.frame_number == first.c.number)
    return select(frames.c.file_id, frames.c.likeness).join(first, is_first)


_COLUMNS = tuple(files.c[name] for name in _Member.__dataclass_fields__)
_VISIBLE = files.c.duplicate_of.is_(None)
_BY_PIXELS = select(*_COLUMNS).where(_VISIBLE, any_of(files.c.pixel_key))
_BY_INSTANCE = select(*_COLUMNS).where(_VISIBLE, any_of(files.c.instance_key))
_BY_ID = select(*_COLUMNS).where(any_of(files.c.id))
_BY_ORIGINAL = select(*_COLUMNS).where(any_of(files.c.duplicate_of))
_PIXELS_MET = select(files.c.pixel_key, files.c.root, files.c.path).where(_VISIBLE, any_of(files.c.pixel_key))
_INSTANCES_MET = select(files.c.instance_key, files.c.root, files.c.path).where(_VISIBLE, any_of(files.c.instance_key))
_FIRST_HASHES = _first_hash()
_LABELED = select(frames.c.file_id).where(is_judged, any_of(frames.c.file_id))
_NAMES = _names()
_HIDE = update(files).where(files.c.id == bindparam("duplicate")).values(duplicate_of=bindparam("original"))
_REPOINT = update(files).where(files.c.duplicate_of == bindparam("before")).values(duplicate_of=bindparam("original"))
_DISTRUST = update(files).where(files.c.id == bindparam("newcomer")).values(instance_key=None)


@dataclass(slots=True)
class Duplicates:
    """The duplicates among a batch that is being recorded, and those that it has among what was recorded before.

    Made before the batch is written, when whoever has one of its keys is another file; `resolve` comes after.
    """

    connection: Connection
    run_id: int
    key: bytes = field(repr=False)
    """Of the data set, by which groups of one patient find their split."""
    pixels: set[bytes] = field(default_factory=set)
    """Keys that more than one file has."""
    instances: set[int] = field(default_factory=set)
    surfaced: set[int] = field(default_factory=set)
    """Files that were hidden as duplicates and are none any more, as far as they are not hidden again."""
    moves: list[Move] = field(default_factory=list)
    """Groups that changed their side, for they share an image with others."""
    _pairs: list[tuple[_Member, _Member]] = field(default_factory=list)
    """(duplicate, original) that were found."""

    def find_duplicates(self, batch: Sequence[InputRow]) -> None:
        """Note which keys of a batch occur more than once, in it or in what is recorded."""
        pixels = {(row.keys.pixel_key, row.root, row.path) for row in batch if row.keys.pixel_key is not None}
        instances = {(row.keys.instance_key, row.root, row.path) for row in batch if row.keys.instance_key is not None}
        pixels |= set(look_up(self.connection, _PIXELS_MET, list({row[0] for row in pixels})))
        instances |= set(look_up(self.connection, _INSTANCES_MET, list({row[0] for row in instances})))
        self.pixels = {key for key, n in Counter(row[0] for row in pixels).items() if n > 1 and key}
        self.instances = {key for key, n in Counter(row[0] for row in instances).items() if n > 1}

    def resolve(self, remade: Sequence[int]) -> None:
        """Hide what is a duplicate, release what is none any more, join the groups of duplicates.

        `remade` are the ids of files that were recorded before.
        """
        if remade:
            self._release(remade)
        if self.pixels:
            self._match_pixels()
        if self.instances:
            self._match_instances()
        if self._pairs:
            self._join()

    def release_duplicates_of(self, originals: Sequence[int]) -> None:
        """Let another duplicate be the original of inputs that are about to be removed; `resolve` comes after."""
        gone = set(originals)
        hidden = [m for m in self._members(_BY_ORIGINAL, originals) if m.id not in gone]
        if hidden:
            self.connection.execute(_HIDE, [{"duplicate": m.id, "original": None} for m in hidden])
        self.surfaced |= {m.id for m in hidden}
        self.pixels |= {m.pixel_key for m in hidden if m.pixel_key is not None}
        self.instances |= {m.instance_key for m in hidden if m.instance_key is not None}

    def _release(self, remade: Sequence[int]) -> None:
        """Duplicates that hold another image than their originals now are images of their own again."""
        hidden = [m for m in self._members(_BY_ID, remade) if m.duplicate_of is not None]
        hidden += self._members(_BY_ORIGINAL, remade)
        if not hidden:
            return
        originals = {m.id: m for m in self._members(_BY_ID, sorted({m.duplicate_of or 0 for m in hidden}))}
        hashes = self._perceptual_hashes([m.id for m in (*hidden, *originals.values())])
        for duplicate in {m.id: m for m in hidden}.values():
            original = originals[duplicate.duplicate_of or 0]
            pending = original.pixel_key is not None and duplicate.fingerprint != original.fingerprint
            if pending or _is_same_image(duplicate, original, hashes):
                continue
            self.connection.execute(_HIDE, {"duplicate": duplicate.id, "original": None})
            self.surfaced.add(duplicate.id)
            self.pixels |= {duplicate.pixel_key} if duplicate.pixel_key else set()

    def _match_pixels(self) -> None:
        """Of all that have the same pixels, one is the original."""
        self._hide(_grouped(self._members(_BY_PIXELS, sorted(self.pixels)), "pixel_key"))

    def _match_instances(self) -> None:
        """Of all that say they are one instance, those are that look so; the UID of the others says nothing."""
        found = _grouped(self._members(_BY_INSTANCE, sorted(self.instances)), "instance_key")
        groups = [members for members in found if len(members) > 1]
        hashes = self._perceptual_hashes([member.id for members in groups for member in members])
        same: list[list[_Member]] = []
        others: list[dict[str, int]] = []
        for members in groups:
            holder, *newcomers = sorted(members, key=self._rank)
            alike = [_is_same_image(member, holder, hashes) for member in newcomers]
            same.append([holder, *compress(newcomers, alike)])
            others += [{"newcomer": m.id} for m, is_alike in zip(newcomers, alike, strict=True) if not is_alike]
        self._hide(same)
        if others:
            self.connection.execute(_DISTRUST, others)

    def _hide(self, groups: Iterable[Sequence[_Member]]) -> None:
        """Of each group, all members are duplicates of one: of one that is labeled, if there is any."""
        groups = [members for members in groups if len(members) > 1]
        if not groups:
            return
        asked = [member.id for members in groups for member in members]
        labeled = {row[0] for row in look_up(self.connection, _LABELED, asked)}
        found: list[tuple[_Member, _Member]] = []
        for members in groups:
            original, *duplicates = sorted(members, key=lambda m: (m.id not in labeled, *self._rank(m)))
            found += [(duplicate, original) for duplicate in duplicates]
        self.connection.execute(
            _HIDE, [{"duplicate": duplicate.id, "original": original.id} for duplicate, original in found]
        )
        self.connection.execute(
            _REPOINT, [{"before": duplicate.id, "original": original.id} for duplicate, original in found]
        )
        self._pairs += found

    def _rank(self, member: _Member) -> tuple[bool, bool, str, str]:
        """What this run has not touched comes first, then what it made again, then what is new; the rest says the path.

        That is the same in any order of arrival.
        """
        return member.run_id == self.run_id, member.attempts == 1, member.root, member.path

    def _perceptual_hashes(self, file_ids: Sequence[int]) -> dict[int, int]:
        """What the first frame of each file looks like, where that is known."""
        return dict(look_up(self.connection, _FIRST_HASHES, file_ids))

    def _join(self) -> None:
        """Put the groups of duplicates on one side, but for images that too many share."""
        originals = {original.id: original for _, original in self._pairs}
        names: dict[int, set[int]] = {number: {o.group_id or 0} for number, o in originals.items()}
        for original, group in look_up(self.connection, _NAMES, sorted(originals)):
            names[original].add(group or 0)
        self.moves = join_groups(
            self.connection,
            [
                (duplicate.group_id or 0, original.group_id or 0)
                for duplicate, original in self._pairs
                if len(names[original.id]) <= MAX_GROUPS_PER_IMAGE
            ],
            key=self.key,
            run_id=self.run_id,
        )

    def _members(self, query: object, values: Collection[object]) -> list[_Member]:
        return [_Member(*row) for row in look_up(self.connection, query, list(values))]  # type: ignore[arg-type]


def _is_same_image(one: _Member, other: _Member, hashes: Mapping[int, int]) -> bool:
    """The same pixels, or the same instance of one series that looks the same and that a lossy codec has changed.

    Now, or before the file was decompressed. Without one other values are another image, whatever UID somebody wrote.
    """
    if one.pixel_key is not None and one.pixel_key == other.pixel_key:
        return True
    alike = one.sop_instance_uid is not None and one.frames == other.frames
    alike = alike and one.series_instance_uid == other.series_instance_uid
    alike = alike and bool(one.is_lossy or other.is_lossy)
    if not alike or (one.sop_instance_uid, one.instance_number) != (other.sop_instance_uid, other.instance_number):
        return False
    if one.id not in hashes or other.id not in hashes:
        return False
    return ((hashes[one.id] ^ hashes[other.id]) & (2**64 - 1)).bit_count() <= MAX_DIFFERING_BITS


def _grouped(members: Iterable[_Member], name: str) -> list[list[_Member]]:
    by_key: dict[object, dict[int, _Member]] = {}
    for member in members:
        by_key.setdefault(getattr(member, name), {})[member.id] = member
    return [list(group.values()) for group in by_key.values()]

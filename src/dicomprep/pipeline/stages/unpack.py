"""Archive → Sources: its members, in the order of the folder that it was packed from. Nothing is written anywhere."""

import hashlib
import os
import re
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pipeline.stages.left_out import why_left_out
from dicomprep.pipeline.stages.listing import folder_order, sort_all
from dicomprep.storage.archives.decoding import decode_stream
from dicomprep.storage.archives.kinds import SEPARATOR, ArchiveKind, archive_kind, archive_stem, is_archive
from dicomprep.storage.archives.members import Budget, Member, MemberKind, Packing, safe_path
from dicomprep.storage.archives.source import MemberSource, RefusedSource
from dicomprep.storage.archives.spool import Spool
from dicomprep.storage.archives.streamed import StreamedSource, content_of
from dicomprep.storage.archives.tar_headers import PlainBytes, StreamedBytes, tar_members
from dicomprep.storage.archives.zip_directory import zip_members
from dicomprep.storage.base import Source
from dicomprep.storage.source import SourceFile, Version

__all__ = ["unpack"]

MAX_NESTING = 3
"""Archives in archives that are opened, the outermost one included."""

SLICE_SECONDS, PIECES_AT_ONCE = 0.05, 32
"""How long, or for how many pieces of one member, a stream is read before it is let go for a moment."""

MAX_REMEMBERED_NAMES = 2_000_000
"""Names of members, to tell a second one of the same name."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where members are recorded, and what they are named after."""

    root: str
    prefix: str
    """Of their paths: empty, or with a slash at its end."""
    named: tuple[str, str]
    """The outermost folder, and the path below it of the folder that the archive stands for."""
    stem: str
    """What the archive is called; a folder of this name that holds all of it is passed over in names."""

    def name_of(self, path: str) -> tuple[str, str]:
        """What the images of a member are named after."""
        inner = path.removeprefix(f"{self.stem}/")
        return self.named[0], f"{self.named[1]}/{inner}" if self.named[1] else inner


def unpack(
    archive: Source,
    *,
    root: str = "",
    passed_over: Counter[str] | None = None,
    spool: Spool | None = None,
    wanted: Collection[str] | None = None,
    depth: int = 1,
) -> Iterator[Source | None] | None:
    """The members of an archive; None where it is none that can be read.

    What can only be read in order goes through a `spool`, from which each is to be released; None for a member means
    that there is none for the moment. Without one, each such member can be opened, too, but all before it are read.

    They are recorded below the archive's path with a mark (`sub/export.zip!/study_001/IM1`), or below `root` where the
    archive is one of its own. What is refused is a source that says so when it is opened. Of `wanted` members (paths
    below the root) no others go through the spool.
    """
    name = os.path.basename(archive.path)
    try:
        with archive.open() as file:
            kind = archive_kind(name, file.read_range(0, 512))
    except InputError:
        return None
    if kind is None:
        return None
    passed_over = Counter() if passed_over is None else passed_over
    return _Search(archive, _place_of(archive, root, kind), kind, depth, passed_over, spool, wanted).sources()


def _place_of(archive: Source, root: str, kind: ArchiveKind) -> _Place:
    outer, path = archive.named_after
    folder, _, name = path.rpartition("/")
    stem = archive_stem(name)
    if root and kind is ArchiveKind.SINGLE:
        return _Place(root, "", (os.path.basename(archive.root), ""), "")
    if root:
        return _Place(root, "", (stem, ""), stem)
    if kind is ArchiveKind.SINGLE:
        return _Place(archive.root, f"{archive.path}!/", (outer, folder), "")
    return _Place(archive.root, f"{archive.path}!/", (outer, f"{folder}/{stem}" if folder else stem), stem)


@dataclass(slots=True)
class _Search:
    archive: Source
    place: _Place
    kind: ArchiveKind
    depth: int
    passed_over: Counter[str]
    spool: Spool | None
    wanted: Collection[str] | None
    seen: set[int] = field(default_factory=set)
    left_out: set[str] = field(default_factory=set)

    def sources(self) -> Iterator[Source | None]:
        """The members; none of a stream in which nothing is due."""
        memory = self.spool.memory if self.spool is not None and self.kind.is_stream and self.depth == 1 else None
        if memory is None or self.wanted is not None:
            yield from self._all()
            return
        place, version = self.place, self.archive.version
        if memory.is_done(place.root, place.prefix, version):
            return
        total, self.passed_over = self.passed_over, Counter()
        yield from self._all()
        memory.note_end(place.root, place.prefix, version, self.passed_over)
        total.update(self.passed_over)

    def _all(self) -> Iterator[Source | None]:
        """Good members first where the archive turns out to be damaged."""
        try:
            with self.archive.open() as file:
                yield from self._stream(file) if self.kind.is_stream else self._members(file)
        except InputError as fault:
            yield self._refuse(".", fault)

    def _stream(self, file: SourceFile) -> Iterator[Source | None]:
        """As they come; what is read of each goes to the spool before the next one is looked at."""
        data, budget = StreamedBytes(decode_stream(file, self.kind)), Budget(file.size, is_stream=True)
        began = time.monotonic()
        for member in tar_members(data):
            refusal = budget.allow(member)
            taken = self._judge(member, member.fault or refusal)
            if taken is not None:
                yield from self._streamed(*taken, data)
            if time.monotonic() - began > SLICE_SECONDS:
                yield None
                began = time.monotonic()

    def _streamed(self, path: str, member: Member, data: StreamedBytes) -> Iterator[Source | None]:
        if member.fault is not None:
            yield self._refuse(path, member.fault)
        elif self.spool is None:
            place, version = self.place, self._version_of(member)
            named = place.name_of(path)
            yield StreamedSource(self.archive, self.kind, place.root, place.prefix + path, version, path, named)
        elif self._is_wanted(path):
            yield from self._spooled(path, member, data, self.spool)

    def _is_wanted(self, path: str) -> bool:
        """Whether a member, or one of those that it holds, is asked for."""
        place = self.place.prefix + path
        inner = f"{place}{SEPARATOR}/"
        return self.wanted is None or place in self.wanted or any(one.startswith(inner) for one in self.wanted)

    def _spooled(self, path: str, member: Member, data: StreamedBytes, spool: Spool) -> Iterator[Source | None]:
        while spool.is_full:
            yield None
        unpacked: Source | None = None
        for number, unpacked in enumerate(spool.put(content_of(data, member.size)), 1):
            if unpacked is None and number % PIECES_AT_ONCE == 0:
                yield None
        if unpacked is None:
            return
        whole = Member(member.name, member.size, Packing(0, member.size), tag=member.tag)
        try:
            for source in self._sources(path, whole, unpacked):
                if source is not None:
                    spool.hold(unpacked)
                yield source
        finally:
            spool.release(unpacked)

    def _members(self, file: SourceFile) -> Iterator[Source | None]:
        faults: list[InputError] = []
        for *_, path, member in sort_all(self._judged(file, faults)):
            yield from self._sources(path, member)
        for fault in faults:
            raise fault

    def _judged(self, file: SourceFile, faults: list[InputError]) -> Iterator[tuple[Any, ...]]:
        """(order, number, path, member) of what is taken; what ends the archive early is kept in `faults`."""
        numbers, budget = count(), Budget(file.size)
        try:
            for member in self._listed(file):
                refusal = budget.allow(member)
                taken = self._judge(member, member.fault or refusal)
                if taken is not None:
                    yield folder_order(taken[0]), next(numbers), *taken
        except InputError as fault:
            faults.append(fault)

    def _listed(self, file: SourceFile) -> Iterator[Member]:
        if self.kind is ArchiveKind.ZIP:
            return zip_members(file)
        if self.kind is ArchiveKind.SINGLE:
            return iter([_single(file, archive_stem(os.path.basename(self.archive.path)))])
        return tar_members(PlainBytes(file))

    def _judge(self, member: Member, fault: InputError | None) -> tuple[str, Member] | None:
        """Where a member is recorded; None for what is passed over, which is counted."""
        if member.kind != MemberKind.FILE:
            self.passed_over[member.kind] += 1
            return None
        path = safe_path(member.name)
        if path is None:
            fault, path = _unsafe("its name leads out of the archive, or is none"), _spelled(member.name)
        elif self._is_left_out(path):
            return None
        if self._is_second(path):
            fault, path = _unsafe("another member before it has the same name"), f"{path}!{len(self.seen)}"
        return path, member if fault is None else Member(member.name, member.size, member.packing, fault=fault)

    def _is_left_out(self, path: str) -> bool:
        """Whether it lies in a folder that is not searched, which is counted once."""
        folders = path.split("/")[:-1]
        for number, (parent, name) in enumerate(zip(["", *folders], folders, strict=False)):
            kind = why_left_out(name, parent)
            if kind is not None:
                folder = "/".join(folders[: number + 1])
                if folder not in self.left_out and len(self.left_out) < MAX_REMEMBERED_NAMES:
                    self.left_out.add(folder)
                    self.passed_over[f"{kind} folder"] += 1
                return True
        return False

    def _is_second(self, path: str) -> bool:
        mark = hash(path)
        if mark in self.seen:
            return True
        if len(self.seen) < MAX_REMEMBERED_NAMES:
            self.seen.add(mark)
        return False

    def _version_of(self, member: Member) -> Version:
        version = Version(member.size, 0, tag=member.tag)
        return version.as_member(self.archive.version, is_outermost=self.depth == 1)

    def _sources(self, path: str, member: Member, archive: Source | None = None) -> Iterator[Source | None]:
        """A member, or what it holds; `archive`: where it lies if not in the archive that is searched."""
        if member.fault is not None:
            yield self._refuse(path, member.fault)
            return
        place, version = self.place, self._version_of(member)
        named = place.name_of(path)
        source = MemberSource(archive or self.archive, place.root, place.prefix + path, version, member.packing, named)
        inner = self._inner(source) if is_archive(path) else None
        yield from inner if inner is not None else (source,)

    def _inner(self, source: MemberSource) -> Iterator[Source | None] | None:
        """What an archive in the archive holds."""
        if self.depth < MAX_NESTING:
            return unpack(
                source, passed_over=self.passed_over, spool=self.spool, wanted=self.wanted, depth=self.depth + 1
            )
        message = f"archives in archives are opened {MAX_NESTING} deep"
        refused = RefusedSource(
            source.root, source.path, source.version, InputError(ErrorCode.LIMIT_EXCEEDED, message), source.named_after
        )
        return iter([refused])

    def _refuse(self, path: str, fault: InputError) -> RefusedSource:
        version, place = self.archive.version, self.place
        return RefusedSource(place.root, place.prefix + path, version, fault, place.name_of(path))


def _single(file: SourceFile, name: str) -> Member:
    """What a single compressed file holds, as its last bytes say."""
    end = file.read_range(max(0, file.size - 8), 8)
    crc, size = int.from_bytes(end[:4], "little"), int.from_bytes(end[4:], "little")
    return Member(name, size, Packing(0, file.size, "gzip", crc), tag=f"crc32:{crc:08x}")


def _unsafe(message: str) -> InputError:
    return InputError(ErrorCode.UNSAFE_NAME, message)


def _spelled(name: str) -> str:
    """A name that leads nowhere, for one that would."""
    plain = re.sub(r"[\0:\\]", lambda match: f"%{ord(match[0]):02X}", name)
    parts = [part if part not in ("", ".", "..") else part.replace(".", "%2E") for part in plain.split("/")]
    own = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{'/'.join(filter(None, parts))[:200]}~{own}"

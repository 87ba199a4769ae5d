"""A folder that receives instances from servers: each is there as a whole, on the disk, or not at all."""

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

import xxhash

from dicomprep.errors import EnvironmentFault, ErrorCode, InputError, disk_fault
from dicomprep.storage.access import OWNER, make_folder
from dicomprep.storage.paths import INCOMING
from dicomprep.storage.sync import new_file, sync_folder

__all__ = ["Content", "Kept", "Spool", "is_uid_name", "path_of"]

Content = Sequence[bytes | memoryview]
"""A file as pieces that follow each other."""

WITHOUT_STUDY = "without-study"
"""The folder of instances whose study nobody can tell."""

MIN_COUNTED_BYTES = 4096
"""Bytes that a file counts for at least: many empty files would fill a disk, too."""

MIN_FREE_BYTES = 2**30
"""Of the disk, left free for everything else."""

MIN_DRAFT_AGE_SECONDS = 3600.0
"""A draft that nobody has written to for so long is one of a process that died."""

LOCK_COUNT = 64


class Kept(StrEnum):
    """What became of an instance that was handed over."""

    NEW = "received"
    KNOWN = "received again"
    """The same bytes were there already."""
    OTHER = "received with other content than before"
    """There is one of the same UID with other bytes: both are kept."""
    REPLACED = "replaced"
    """There was one of the same UID with other bytes."""


class Spool:
    """Instances as `STUDY/INSTANCE.dcm`, by their UIDs. Several threads may use it at a time."""

    def __init__(self, folder: Path, *, max_bytes: int, replaces: bool = False) -> None:
        """Make the folder; what a process that died left half written is removed. Raises EnvironmentFault.

        With `replaces` an instance of the same UID takes the place of the one that is here.
        """
        self.folder, self.max_bytes, self.replaces = folder.absolute(), max_bytes, replaces
        self._locks = [threading.Lock() for _ in range(LOCK_COUNT)]
        self._counting = threading.Lock()
        try:
            make_folder(self.folder, OWNER)
            make_folder(self.scratch, OWNER)
            self._clear_drafts()
            self._bytes = sum(max(size, MIN_COUNTED_BYTES) for size in _sizes(self.folder))
        except OSError as error:
            raise disk_fault(f"{self.folder} cannot be used", error) from error

    @property
    def scratch(self) -> Path:
        """Where drafts lie: no run searches it."""
        return self.folder / INCOMING

    def holds(self, study: str, instance: str) -> bool:
        """Whether an instance is here."""
        return is_uid_name(instance) and self._place(study, instance).is_file()

    def find(self, instances: Collection[str]) -> dict[str, list[Path]]:
        """The files of instances, whatever their studies; each is on the disk and outlives a loss of power."""
        wanted, found = frozenset(instances), dict[str, list[Path]]()
        for folder in filter(Path.is_dir, self.folder.iterdir()):
            here = {path: path.stem.partition("~")[0] for path in folder.glob("*.dcm")}
            for path, instance in here.items():
                if instance in wanted:
                    found.setdefault(instance, []).append(path)
        for folder in {path.parent for paths in found.values() for path in paths}:
            sync_folder(folder)
        return found

    def keep(self, study: str, instance: str, content: Content) -> Kept:
        """Take an instance over: when this returns it is on the disk, and outlives a loss of power.

        Raises InputError where its UID is none, EnvironmentFault where there is no room or the disk fails.
        """
        if not is_uid_name(instance):
            raise InputError(ErrorCode.CORRUPT_HEADER, "its SOP Instance UID is not a UID")
        place, size = self._place(study, instance), sum(len(piece) for piece in content)
        with self._locks[hash(instance) % LOCK_COUNT]:
            place, kept = self._find_room(place, content)
            if kept is Kept.KNOWN:
                return kept
            with self._room_for(size):
                self._write(place, content)
        return kept

    def _place(self, study: str, instance: str) -> Path:
        return self.folder / path_of(study, instance)

    def _find_room(self, place: Path, content: Content) -> tuple[Path, Kept]:
        """Where an instance is to be written, and what becomes of it."""
        if not place.is_file():
            return place, Kept.NEW
        if _holds(place, content):
            return place, Kept.KNOWN
        if self.replaces:
            return place, Kept.REPLACED
        place = _own_place(place, content)
        return place, Kept.KNOWN if place.is_file() else Kept.OTHER

    def _write(self, place: Path, content: Content) -> None:
        try:
            if not place.parent.is_dir():
                make_folder(place.parent, OWNER)
                sync_folder(self.folder)
            draft = self.scratch / secrets.token_hex(8)
            with new_file(place, mode=0o600, durable=True, draft=draft) as file:
                for piece in content:
                    file.write(piece)
        except OSError as error:
            raise disk_fault(f"{self.folder} cannot be written to", error) from error

    @contextmanager
    def _room_for(self, size: int) -> Iterator[None]:
        """Room that is taken within the block, and given back where it fails; EnvironmentFault where there is none."""
        size = max(size, MIN_COUNTED_BYTES)
        with self._counting:
            if self._bytes + size > self.max_bytes:
                message = f"{self.folder} has reached its limit of {self.max_bytes / 1e9:,.1f} GB."
                raise EnvironmentFault(f"{message} Remove what has been done, or allow more (--max-spool).")
            if shutil.disk_usage(self.folder).free < size + MIN_FREE_BYTES:
                raise EnvironmentFault(f"The disk of {self.folder} is full: nothing is taken. Free some space.")
            self._bytes += size
        try:
            yield
        except BaseException:
            with self._counting:
                self._bytes -= size
            raise

    def _clear_drafts(self) -> None:
        now = time.time()
        for draft in self.scratch.iterdir():
            with suppress(FileNotFoundError):
                if now - draft.stat(follow_symlinks=False).st_mtime > MIN_DRAFT_AGE_SECONDS:
                    draft.unlink()


def path_of(study: str, instance: str) -> str:
    """Where an instance lies in a spool."""
    return f"{study if is_uid_name(study) else WITHOUT_STUDY}/{instance}.dcm"


def is_uid_name(uid: str) -> bool:
    """Whether a UID can be the name of a file that leads nowhere else.

    >>> [is_uid_name(uid) for uid in ("1.2.840", "..", "1/../2", "")]
    [True, False, False, False]
    """
    return re.fullmatch(r"[0-9][0-9.]{0,63}", uid, re.ASCII) is not None


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                yield os.lstat(os.path.join(place, name)).st_size


def _holds(place: Path, content: Content) -> bool:
    """Whether a file has just this content."""
    with place.open("rb") as file:
        same = all(file.read(len(piece)) == piece for piece in content)
        return same and not file.read(1)


def _own_place(place: Path, content: Content) -> Path:
    """Beside an instance of the same UID, by its content."""
    state = xxhash.xxh3_128()
    for piece in content:
        state.update(piece)
    return place.with_name(f"{place.stem}~{state.hexdigest()[:16]}.dcm")

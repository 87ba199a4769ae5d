"""Members of an archive that is read once, in order: each in a file until it is done with, so many at a time."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol

from dicomprep.errors import disk_fault
from dicomprep.storage.archives.source import MemberSource
from dicomprep.storage.base import Source
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.paths import SCRATCH
from dicomprep.storage.source import Version

__all__ = ["Memory", "Spool"]

MAX_BYTES, MAX_FILES = 2**28, 1024
"""Held at a time, but for one file that is larger."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Memory(Protocol):
    """Knows which archives hold nothing that is due, so that they need not be read. Their members have a `prefix`."""

    def is_done(self, root: str, prefix: str, version: Version) -> bool:
        """Whether that is so of an archive of this version; what it holds counts as met."""
        ...

    def note_end(self, root: str, prefix: str, version: Version, passed_over: Counter[str]) -> None:
        """Be told that one was read to its end, and what was passed over in it."""
        ...

    def note_other(self, source: Source) -> None:
        """Be told that something is no input."""
        ...


class Spool:
    """A folder whose files have no names of anybody's choosing."""

    memory: Memory | None = None

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._numbers = count()
        self._users: dict[str, int] = {}
        self._sizes: dict[str, int] = {}

    @classmethod
    @contextmanager
    def below(cls, output: str | None) -> Iterator["Spool"]:
        """A spool in an output folder's place for what is half done, else in the system's; gone at the end."""
        place = Path(output, SCRATCH) if output is not None else None
        try:
            if place is not None:
                place.mkdir(mode=0o700, exist_ok=True)
            within = place if place is not None and not place.is_symlink() else None
            folder = tempfile.mkdtemp(prefix="spool-", dir=within)
        except OSError as error:
            raise disk_fault("Archives cannot be unpacked", error) from error
        try:
            yield cls(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self._users

    @property
    def is_full(self) -> bool:
        """Whether something must be done with before more is put in."""
        return sum(self._sizes.values()) >= MAX_BYTES or len(self._sizes) >= MAX_FILES

    def put(self, pieces: Iterator[bytes]) -> Iterator[LocalSource | None]:
        """Write a file; None for each piece, then the file, which is held until it is released."""
        name = str(next(self._numbers))
        path = os.path.join(self.folder, name)
        try:
            with open(path, "wb", opener=lambda place, _: os.open(place, _NEW, 0o600)) as file:
                for piece in pieces:
                    file.write(piece)
                    yield None
        except OSError as error:
            raise disk_fault("An archive cannot be unpacked", error) from error
        status = os.stat(path)
        self._users[name], self._sizes[name] = 1, status.st_size
        yield LocalSource.found(self.folder, name, status)

    def hold(self, source: Source) -> None:
        """One more needs the file in which a source lies."""
        name = self._name_of(source)
        if name is not None:
            self._users[name] += 1

    def release(self, source: Source) -> None:
        """A source that lies in a file of this spool, or in an archive there, is done with; of any other, nothing."""
        name = self._name_of(source)
        if name is None:
            return
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name], self._sizes[name]
            Path(self.folder, name).unlink(missing_ok=True)

    def _name_of(self, source: Source) -> str | None:
        if not self._users:
            return None
        while isinstance(source, MemberSource):
            source = source.archive
        return source.path if source.root == self.folder and source.path in self._users else None

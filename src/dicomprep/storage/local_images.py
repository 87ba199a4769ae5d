"""Thumbnails in a folder: whole or not there, never outside of it, whoever may have planted links in it."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dicomprep.errors import EnvironmentFault, ErrorCode, InputError, disk_fault
from dicomprep.pixels.encoding import ENDINGS
from dicomprep.storage.access import ANYONE, OWNER, access_like, make_folder
from dicomprep.storage.base import Entry, Stat, require_image_name
from dicomprep.storage.paths import MARK, SCRATCH, readable_path
from dicomprep.storage.sync import sync_images

__all__ = ["LocalImages"]

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
CLEARING_TRIES = 20
LINK_ERRORS = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)
"""What systems say where a link stands in the place of a file or a folder that is opened without following links."""


class LocalImages:
    """An `ImageStore` in a folder of this machine, or of one that it shares.

    The folder itself may be reached by a link; below it none is followed: each part of a name is opened in the folder
    that was opened before it.
    """

    def __init__(self, folder: str | os.PathLike[str], within: str = "") -> None:
        """`within`: the scratch of a run, below which this store's is to lie: it writes only while that is there."""
        self.folder = os.path.abspath(folder)
        self._within = within
        self._fence = ""
        """The same for copies that go along to other processes."""
        self._root: int | None = None
        self._held: tuple[str, int] | None = None
        """The folder that was written to last, for most images lie in that of the one before."""
        self._scratch: tuple[int, int, str] | None = None
        """This process's own folder of half-written images: process, descriptor, name."""
        self._access: int | None = None

    def __reduce__(self) -> tuple[type["LocalImages"], tuple[str, str]]:
        return type(self), (self.folder, self._within or self._fence)

    @property
    def address(self) -> str:
        """See `ImageStore`."""
        return self.folder

    def close(self) -> None:
        """Give all descriptors back."""
        held = (self._root, self._held and self._held[1], self._scratch and self._scratch[1])
        self._root = self._held = self._scratch = None
        for descriptor in held:
            if descriptor is not None:
                os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def read(self, name: str, *, most: int | None = None) -> bytes:
        """See `ImageStore`. A link, a folder or a pipe of that name is OSError."""
        with self._opened(name) as (descriptor, status):
            size = status.st_size if most is None else min(most, status.st_size)
            content = os.read(descriptor, size)
            while len(content) < size and (piece := os.read(descriptor, size - len(content))):
                content += piece
            return content

    def stat(self, name: str) -> Stat:
        """See `ImageStore`."""
        with self._opened(name) as (_, status):
            return Stat(name, status.st_size)

    def holds(self, name: str) -> bool:
        """Whether there is such an image."""
        try:
            self.stat(name)
        except (OSError, EnvironmentFault):
            return False
        return True

    def are_one(self, one: str, other: str) -> bool:
        """Whether two names lead to one image: where the disk tells no capitals, or writes accents its own way."""
        try:
            with self._opened(one) as (_, first), self._opened(other) as (_, second):
                return os.path.samestat(first, second)
        except (OSError, EnvironmentFault):  # not there; or a name from a database that can be none
            return False

    def where(self, name: str) -> str:
        """See `ImageStore`."""
        return os.path.join(self.folder, name)

    def publish(self, name: str, content: bytes) -> None:
        """See `ImageStore`. InputError where this one name is too long for the file system."""
        folder, _, file = require_image_name(name, self.folder).rpartition("/")
        try:
            if self._root is None:
                make_folder(Path(self.folder), OWNER)
            scratch = self.own_scratch()
            _write_file(scratch, content, mode=0o666 & self._given_access())
            os.replace("image", file, src_dir_fd=scratch, dst_dir_fd=self._writable(folder))
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise InputError(ErrorCode.LIMIT_EXCEEDED, "the path of its thumbnail would be too long") from error
            raise self._fault(name, "written", error) from error

    def remove(self, names: Iterable[str]) -> None:
        """See `ImageStore`."""
        for name in names:
            folder, _, file = require_image_name(name, self.folder).rpartition("/")
            try:
                with self._folder(folder) as descriptor:
                    os.unlink(file, dir_fd=descriptor)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._fault(name, "removed", error) from error

    def sync(self, names: Iterable[str]) -> None:
        """See `ImageStore`."""
        sync_images(Path(self.folder), names)

    def remove_emptied(self, folder: str) -> None:
        """Remove a folder below this one that holds nothing any more, and those around it that then do not either."""
        with suppress(OSError):
            while folder:
                above, _, name = folder.rpartition("/")
                with self._folder(above) as descriptor:
                    os.rmdir(name, dir_fd=descriptor)
                folder = above

    def list(self) -> Iterator[Stat]:
        """See `ImageStore`. What a link stands for is no image."""
        for folder in self.folders():
            for entry in self.entries(folder):
                if entry.is_image:
                    yield Stat(entry.path, entry.size)

    def folders(self) -> Iterator[str]:
        """All folders in which images may lie, "" for the one around them all."""
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            yield folder
            waiting += [entry.path for entry in self.entries(folder) if entry.is_folder]

    def entries(self, folder: str) -> Iterator["Entry"]:
        """What lies in one folder; nothing where there is no such folder."""
        with suppress(FileNotFoundError), self._folder(folder) as descriptor, os.scandir(descriptor) as listing:
            for entry in listing:
                yield _entry_of(folder, entry)

    def is_in_place(self) -> bool:
        """Whether the folder that is written to is still the one under its name."""
        opened = os.fstat(self._opened_root())
        try:
            now = os.stat(self.folder)
        except OSError:
            return False
        return (opened.st_dev, opened.st_ino) == (now.st_dev, now.st_ino)

    def own_scratch(self) -> int:
        """A folder for this process alone, by a random name: processes of two machines may have one number."""
        if self._scratch is None or self._scratch[0] != os.getpid() or os.fstat(self._scratch[1]).st_nlink == 0:
            name = secrets.token_hex(8)
            self._scratch = os.getpid(), self._make_scratch(name), name
        return self._scratch[1]

    def fence(self) -> None:
        """See `ImageStore`."""
        try:
            self.own_scratch()
        except OSError as error:
            raise disk_fault(f"{self.folder} cannot be written to", error) from error
        self._fence = self.scratch_name

    @property
    def scratch_name(self) -> str:
        """What the folder of this process is called, once it is there."""
        return self._scratch[2] if self._scratch is not None else ""

    def require_in_place(self) -> None:
        """See `ImageStore`."""
        if not self.is_in_place():
            message = f"The output folder {self.folder} was moved or replaced while images were written to it."
            raise EnvironmentFault(f"{message} Put it back, and run this again.")

    def half_written(self) -> Iterator[str]:
        """See `ImageStore`."""
        if Path(self.folder, SCRATCH).is_symlink():
            return
        for place, _, names in os.walk(os.path.join(self.folder, SCRATCH)):
            for name in names:
                yield readable_path(os.path.relpath(os.path.join(place, name), self.folder))

    def clear_scratch(self) -> None:
        """See `ImageStore`. Whoever is still at work for a killed run may put something there meanwhile, some times."""
        with suppress(OSError):
            root = self._opened_root()
            for _ in range(CLEARING_TRIES):
                shutil.rmtree(SCRATCH, ignore_errors=True, dir_fd=root)
                os.stat(SCRATCH, dir_fd=root, follow_symlinks=False)  # FileNotFoundError

    def _opened_root(self) -> int:
        if self._root is None:
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if self._root is None:
                self._root = descriptor
            else:  # another thread was faster
                os.close(descriptor)
        return self._root

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[int, os.stat_result]]:
        folder, _, file = require_image_name(name, self.folder).rpartition("/")
        with self._folder(folder) as parent:
            descriptor = os.open(file, FILE, dir_fd=parent)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.ELOOP, "it is not a regular file")
            yield descriptor, status
        finally:
            os.close(descriptor)

    @contextmanager
    def _folder(self, folder: str) -> Iterator[int]:
        """A folder below this one, opened part by part."""
        opened = [self._opened_root()]
        try:
            for part in folder.split("/") if folder else ():
                opened.append(os.open(part, FOLDER, dir_fd=opened[-1]))
            yield opened[-1]
        finally:
            for descriptor in opened[1:]:
                os.close(descriptor)

    def _writable(self, folder: str) -> int:
        """A folder that images are put into, made where there is none; it stays open."""
        if self._held is not None and self._held[0] == folder and self._is_there(folder):
            return self._held[1]
        if self._held is not None:
            os.close(self._held[1])
            self._held = None
        self._held = folder, self._make(folder)
        return self._held[1]

    def _is_there(self, folder: str) -> bool:
        """Whether the folder held open has a name still: what is put into one that was removed is lost."""
        return self._held is not None and os.fstat(self._held[1]).st_nlink > 0

    def _given_access(self) -> int:
        """Whom new images are for: those for whom the folder's mark is."""
        if self._access is None:
            self._access = access_like(MARK, within=self._opened_root()) or ANYONE
        return self._access

    def _make_scratch(self, name: str) -> int:
        """EnvironmentFault where the run that this belongs to is over: the next one has cleared its scratch."""
        if not self._within:
            return self._make(f"{SCRATCH}/{name}")
        try:
            with self._folder(f"{SCRATCH}/{self._within}") as parent:
                os.mkdir(name, self._given_access(), dir_fd=parent)
                return os.open(name, FOLDER, dir_fd=parent)
        except FileNotFoundError as error:
            message = f"{self.folder}/{SCRATCH} was removed while images were written: by another run, or by hand."
            raise EnvironmentFault(f"{message} Run this again.") from error

    def _make(self, folder: str) -> int:
        descriptor = os.dup(self._opened_root())
        for part in folder.split("/") if folder else ():
            with suppress(FileExistsError):
                os.mkdir(part, self._given_access(), dir_fd=descriptor)
            try:
                inner = os.open(part, FOLDER, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = inner
        return descriptor

    def _fault(self, name: str, what: str, error: OSError) -> EnvironmentFault:
        place = self.where(name)
        if error.errno in LINK_ERRORS:
            link = next((p for p in _prefixes(self.folder, name) if p.is_symlink()), None)
            if link is not None:
                return EnvironmentFault(
                    f"{place} cannot be {what}: {link} is a link, and below the output folder links are not followed."
                    " Remove the link, or give another --output-dir."
                )
        return disk_fault(f"{place} cannot be {what}", error)


def _entry_of(folder: str, entry: os.DirEntry[str]) -> Entry:
    path = f"{folder}/{entry.name}" if folder else entry.name
    is_folder = entry.is_dir(follow_symlinks=False) and path != SCRATCH
    is_image = entry.name.endswith(ENDINGS) and entry.is_file(follow_symlinks=False)
    return Entry(path, is_folder, is_image, entry.stat(follow_symlinks=False).st_size if is_image else 0)


def _write_file(folder: int, content: bytes, *, mode: int) -> None:
    descriptor = os.open("image", NEW_FILE, mode, dir_fd=folder)
    try:
        written = os.write(descriptor, content)
        while written < len(content):
            written += os.write(descriptor, content[written:])
    finally:
        os.close(descriptor)


def _prefixes(folder: str, name: str) -> Iterator[Path]:
    """The folders on the way to an image, the scratch folder among them, and the image."""
    path = Path(folder)
    yield path / SCRATCH
    for part in name.split("/"):
        path /= part
        yield path

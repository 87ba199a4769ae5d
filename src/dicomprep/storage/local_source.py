"""Inputs in folders of this machine, or of one that it shares: opened by their paths, without blocking on them."""

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.file_budget import bytes_on_disk
from dicomprep.storage.source import SourceFile, Version

__all__ = ["LocalFile", "LocalSource", "version_of"]

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A `Source` that is a regular file."""

    root: str
    """The absolute folder that was searched."""
    path: str
    version: Version = Version(0, 0)  # noqa: RUF009  (a tuple)
    error: str | None = None
    linked: bool = False
    """There is a symbolic link on the way to it, which is followed as long as it stays below the root."""

    def __reduce__(self) -> tuple[type["LocalSource"], tuple[object, ...]]:
        return type(self), (self.root, self.path, self.version, self.error, self.linked)  # quicker than dataclasses'

    @classmethod
    def at(cls, place: str | os.PathLike[str]) -> "LocalSource":
        """The file that somebody named, whose version nobody asks for; a link in the place of the file is refused."""
        folder, name = os.path.split(os.fspath(place))
        return cls(folder, name)

    @classmethod
    def found(cls, root: str, path: str, status: os.stat_result, *, linked: bool = False) -> "LocalSource":
        """A file as its folder has it."""
        return cls(root, path, version_of(status), linked=linked)

    @property
    def named_after(self) -> tuple[str, str]:
        """See `Source`."""
        return os.path.basename(self.root), self.path

    def open(self) -> AbstractContextManager[SourceFile]:
        """See `Source`; through links within the root if it was met through one."""
        return _open_linked(self.root, self.path) if self.linked else _open(os.path.join(self.root, self.path))


class LocalFile(SourceFile):
    """A regular file that is open; OSError where it cannot be looked at, InputError `unreadable` where it is none."""

    def __init__(self, path: str, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InputError(ErrorCode.UNREADABLE, "it is not a regular file")
        held_bytes = bytes_on_disk(status, descriptor)
        super().__init__(path, version=version_of(status), held_bytes=held_bytes)
        self._descriptor, self.device = descriptor, status.st_dev

    def _read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise InputError(ErrorCode.UNREADABLE, f"it cannot be read: {error.strerror}") from error

    def has_changed(self) -> bool:
        """Whether the file under this path is no longer the one that was opened, byte count and time."""
        opened = os.fstat(self._descriptor)
        try:
            now = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return True
        same_file = (now.st_ino, now.st_dev) == (opened.st_ino, opened.st_dev)
        return not same_file or not version_of(opened).has_content_of(self.version)


def version_of(status: os.stat_result) -> Version:
    """As a file's folder tells it; what Windows calls the time of a change is that of the creation."""
    return Version(status.st_size, status.st_mtime_ns, 0 if os.name == "nt" else status.st_ctime_ns)


@contextmanager
def _open(path: str) -> Iterator[SourceFile]:
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        raise InputError(ErrorCode.UNREADABLE, f"it cannot be opened: {error.strerror}") from error
    with _opened(path, descriptor) as source:
        yield source


@contextmanager
def _open_linked(root: str, path: str) -> Iterator[SourceFile]:
    """Open the file that `path` below `root` leads to by links, if it lies below `root` as well.

    From the root on each folder is opened in the one before and no link is followed any more, so that nothing that is
    changed meanwhile leads out of it.
    """
    try:
        real_root, target = os.path.realpath(root), os.path.realpath(os.path.join(root, path), strict=True)
    except OSError as error:
        raise InputError(ErrorCode.UNREADABLE, f"it cannot be opened: {error.strerror}") from error
    prefix = os.path.join(real_root, "")
    if not target.startswith(prefix):
        raise InputError(ErrorCode.UNREADABLE, "it is a link that leads out of the folder that is searched")
    *folders, name = target.removeprefix(prefix).split("/")
    try:
        within = os.open(real_root, _FOLDER)
        try:
            for folder in folders:
                inner = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=within)
                os.close(within)
                within = inner
            descriptor = os.open(name, _READ, dir_fd=within)
        finally:
            os.close(within)
    except OSError as error:
        raise InputError(ErrorCode.UNREADABLE, f"it cannot be opened: {error.strerror}") from error
    with _opened(target, descriptor) as source:
        yield source


@contextmanager
def _opened(path: str, descriptor: int) -> Iterator[SourceFile]:
    try:
        try:
            source = LocalFile(path, descriptor)
        except OSError as error:
            raise InputError(ErrorCode.UNREADABLE, f"it cannot be read: {error.strerror}") from error
        yield source
    finally:
        os.close(descriptor)

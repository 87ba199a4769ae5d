"""Path → Sources: every regular file below a folder, in a fixed order, without opening any."""

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from dicomprep.dicom.sniff import DICOM_SUFFIXES
from dicomprep.pipeline.stages.left_out import why_left_out
from dicomprep.pipeline.stages.listing import FOLDER, NAMED_DCM, OTHER, Entry, list_sorted
from dicomprep.pipeline.stages.unpack import unpack
from dicomprep.storage.archives.kinds import SEPARATOR, is_archive
from dicomprep.storage.archives.spool import Spool
from dicomprep.storage.base import Source
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.paths import INCOMING, actual_path
from dicomprep.storage.roots import Identity, identity_of

__all__ = ["discover"]

LINK, OUTWARD_LINK, COPY_LINK, BROKEN_LINK, LOOP = (
    "symbolic link",
    "outward symbolic link",
    "snapshot link",
    "broken symbolic link",
    "circular link",
)

MAX_LINKED_FOLDERS = 3
"""Links to folders followed on one path: with more, a few links would make millions of paths."""


def discover(  # noqa: PLR0913
    root: str,
    *,
    within: str = "",
    inner: Mapping[Identity, str] | None = None,
    exclude: Collection[str] = (),
    passed_over: Counter[str] | None = None,
    follow_links: bool = False,
    archives: bool = True,
    spool: Spool | None = None,
) -> Iterator[Source | None]:
    """Yield the regular files below `root`, or `within` a folder there, folder by folder, each's in a fixed order.

    A folder that is one of `inner`, roots by readable paths, is a root of its own: its files lie below that.
    Links are not followed, so that nothing outside of the tree is read and no loop is entered; with `follow_links`
    those are whose targets lie in the tree. Pipes, sockets and devices are passed over, snapshots and bins not
    searched; all are counted in `passed_over`. A folder that cannot be listed, and a link to an image that is not
    there, is yielded as a source with an `error`. `exclude` holds absolute paths that are not looked at. Of an archive
    its members are yielded, with `archives`; for those that go through a `spool` see `unpack`.
    """
    passed_over = Counter() if passed_over is None else passed_over
    return _Search(root, within, exclude, passed_over, follow_links, inner or {}, archives, spool).files()


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that is being searched."""

    place: str
    """Where it is listed."""
    root: str
    path: str
    """Below its root."""
    entries: Iterator[Entry]
    real: tuple[tuple[int, int], ...] = ()
    """(device, inode) of it and of those that led to it, as far as links are followed."""
    links: int = 0
    """Links to folders on the way to it."""


@dataclass(slots=True)
class _Search:
    root: str
    within: str
    exclude: Collection[str]
    passed_over: Counter[str]
    follow_links: bool
    inner: Mapping[Identity, str]
    archives: bool
    spool: Spool | None
    place: str = field(init=False)
    """The folder that is searched."""
    real_place: str = field(init=False)

    def __post_init__(self) -> None:
        self.place = os.path.join(self.root, self.within)
        self.real_place = os.path.realpath(self.place)
        self.exclude = frozenset(self.exclude) | {self._as_listed(path) for path in self.exclude}

    def _as_listed(self, path: str) -> str:
        """A path as it is met here, where the folder was given by another one."""
        real, prefix = os.path.realpath(path), os.path.join(self.real_place, "")
        return os.path.join(self.place, real.removeprefix(prefix)) if real.startswith(prefix) else real

    def files(self) -> Iterator[Source | None]:
        """The files, and the members of archives."""
        for source in self._files():
            inner = self._members(source) if self.archives and is_archive(source.path) else None
            yield from inner if inner is not None else (source,)

    def _members(self, source: LocalSource) -> Iterator[Source | None] | None:
        """What an archive holds; None for a file that is only called so, or has the place of its members taken."""
        place = f"{os.path.join(source.root, source.path)}{SEPARATOR}"
        if source.error is not None or os.path.lexists(place):
            return None
        root = self.inner.get(identity_of(place) or (0, 0)) if self.inner and not source.linked else None
        return unpack(source, root=actual_path(root or ""), passed_over=self.passed_over, spool=self.spool)

    def _files(self) -> Iterator[LocalSource]:
        """Folders are left open while those in them are searched: no list of all folders is ever made."""
        opened = self._open("", None)
        if isinstance(opened, LocalSource):
            yield opened
            return
        way: list[_Folder] = [opened] if opened else []
        while way:
            folder = way[-1]
            entry = next(folder.entries, None)
            if entry is None:
                way.pop()
                continue
            rank, name, linked = entry
            if rank != FOLDER:
                yield self._source(folder, name, linked=bool(linked or folder.links))
                continue
            inner = self._open(name, folder, linked=bool(linked))
            if isinstance(inner, _Folder):
                way.append(inner)
            elif inner is not None:
                yield inner

    def _open(self, name: str, outer: _Folder | None, *, linked: bool = False) -> _Folder | LocalSource | None:
        """A folder's entries; a source that says why there are none; None for a loop of links."""
        real, links = outer.real if outer else (), (outer.links if outer else 0) + linked
        place, root, path = self._where(name, outer, linked=links > 0)
        try:
            if self.follow_links:
                status = os.stat(place)
                if (status.st_dev, status.st_ino) in real or links > MAX_LINKED_FOLDERS:
                    self.passed_over[LOOP] += 1
                    return None
                real = (*real, (status.st_dev, status.st_ino))
            entries = list_sorted(place, lambda entry: self._judge(entry, path))
        except OSError as error:
            return LocalSource(root, path or ".", error=f"folder cannot be listed: {error.strerror}")
        return _Folder(place, root, path, entries, real, links)

    def _where(self, name: str, outer: _Folder | None, *, linked: bool) -> tuple[str, str, str]:
        """A folder's place, and its root and path there. What is reached by a link is not another root's."""
        if outer is None:
            return self.place, self.root, self.within
        place = os.path.join(outer.place, name)
        root = self.inner.get(identity_of(place) or (0, 0)) if self.inner and not linked else None
        if root is not None:
            return place, actual_path(root), ""
        return place, outer.root, _below(outer.path, name)

    def _judge(self, entry: "os.DirEntry[str]", folder: str) -> Entry | None:
        """What an entry is; None for what is not taken, which is counted."""
        if entry.path in self.exclude or entry.name == INCOMING:  # a draft there may become a file of its own
            return None
        if entry.is_dir(follow_symlinks=False):
            left_out = why_left_out(entry.name, folder.rpartition("/")[2])
            if left_out is None:
                return FOLDER, entry.name, 0
            self.passed_over[f"{left_out} folder"] += 1
        elif entry.is_file(follow_symlinks=False):
            return NAMED_DCM if entry.name.lower().endswith(".dcm") else OTHER, entry.name, 0
        elif not entry.is_symlink():
            self.passed_over["special file"] += 1
        elif self.follow_links:
            return self._judge_link(entry)
        else:
            self.passed_over[LINK] += 1
        return None

    def _judge_link(self, entry: "os.DirEntry[str]") -> Entry | None:
        """A link is what it leads to, if that lies below the root."""
        rank = NAMED_DCM if entry.name.lower().endswith(".dcm") else OTHER
        target = os.path.realpath(entry.path)
        is_outward = not os.path.join(target, "").startswith(os.path.join(self.real_place, ""))
        if is_outward or _leads_to_copies(target.removeprefix(self.real_place)):
            self.passed_over[OUTWARD_LINK if is_outward else COPY_LINK] += 1
            return None
        try:
            mode = os.stat(target).st_mode
        except OSError:
            if entry.name.lower().endswith(DICOM_SUFFIXES) or "annex" in target.split("/"):
                return rank, entry.name, 1  # it is said of what it is the link when its turn comes
            self.passed_over[BROKEN_LINK] += 1
            return None
        if stat.S_ISDIR(mode) and why_left_out(entry.name, "") is None:
            return FOLDER, entry.name, 1
        if stat.S_ISREG(mode):
            return rank, entry.name, 1
        self.passed_over["special file"] += 1
        return None

    def _source(self, folder: _Folder, name: str, *, linked: bool) -> LocalSource:
        root, path = folder.root, _below(folder.path, name)
        try:
            status = os.stat(os.path.join(folder.place, name), follow_symlinks=linked)
        except OSError as error:
            reason = f"cannot be accessed: {error.strerror}"
            if linked and isinstance(error, FileNotFoundError):
                reason = "broken symbolic link; in a DataLad or git-annex data set: `datalad get` or `git annex get`"
            return LocalSource(root, path, error=reason, linked=linked)
        return LocalSource.found(root, path, status, linked=linked)


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _leads_to_copies(path: str) -> bool:
    """Whether a place below the root lies in a folder of copies; what lies under version control are no copies."""
    parts = path.split("/")
    kinds = {why_left_out(name, parent) for parent, name in zip(["", *parts], parts, strict=False)}
    return bool(kinds - {None, "version control"})

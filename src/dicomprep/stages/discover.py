"""Path → Sources: every regular file below a folder, in a fixed order, without opening any."""

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from dicomprep.dicom.sniff import DICOM_SUFFIXES
from dicomprep.models import Source
from dicomprep.stages.left_out import why_left_out
from dicomprep.stages.listing import Entry, list_sorted
from dicomprep.storage import changed_ns

__all__ = ["discover"]

LINK, OUTWARD_LINK, BROKEN_LINK, LOOP = (
    "symbolic link",
    "outward symbolic link",
    "broken symbolic link",
    "circular link",
)

NAMED_DCM, OTHER, FOLDER = range(3)
"""The order within a folder, so that `scan.dcm` is named before `scan`, which may be no image at all."""

MOST_LINKED_FOLDERS = 3
"""So many links to folders are followed on one path: with more, a few links would make millions of paths."""


def discover(
    root: str,
    *,
    exclude: Collection[str] = (),
    passed_over: Counter[str] | None = None,
    follow_links: bool = False,
) -> Iterator[Source]:
    """Yield the regular files below `root`, folder by folder, each folder's in a fixed order.

    Links are not followed, so that nothing outside of the tree is read and no loop is entered; with `follow_links`
    those are whose targets lie in the tree. Pipes, sockets and devices are passed over, snapshots and bins not
    searched; all are counted in `passed_over`. A folder that cannot be listed, and a link to an image that is not
    there, is yielded as a source with an `error`. `exclude` holds absolute paths that are not looked at.
    """
    search = _Search(root, exclude, Counter() if passed_over is None else passed_over, follow_links)
    return search.files()


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that is being searched."""

    path: str
    """Below the root."""
    entries: Iterator[Entry]
    real: tuple[tuple[int, int], ...] = ()
    """(device, inode) of it and of those that led to it, as far as links are followed."""
    links: int = 0
    """Links to folders on the way to it."""


@dataclass(slots=True)
class _Search:
    root: str
    exclude: Collection[str]
    passed_over: Counter[str]
    follow_links: bool
    real_root: str = field(init=False)

    def __post_init__(self) -> None:
        self.real_root = os.path.realpath(self.root)

    def files(self) -> Iterator[Source]:
        """Folders are left open while those in them are searched: no list of all folders is ever made."""
        opened = self._open("", None)
        if isinstance(opened, Source):
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
            path = f"{folder.path}/{name}" if folder.path else name
            if rank != FOLDER:
                yield self._source(path, linked=bool(linked or folder.links))
                continue
            inner = self._open(path, folder, linked=bool(linked))
            if isinstance(inner, _Folder):
                way.append(inner)
            elif inner is not None:
                yield inner

    def _open(self, path: str, outer: _Folder | None, *, linked: bool = False) -> _Folder | Source | None:
        """A folder's entries; a source that says why there are none; None for a loop of links."""
        real, links = outer.real if outer else (), (outer.links if outer else 0) + linked
        place = os.path.join(self.root, path)
        try:
            if self.follow_links:
                status = os.stat(place)
                if (status.st_dev, status.st_ino) in real or links > MOST_LINKED_FOLDERS:
                    self.passed_over[LOOP] += 1
                    return None
                real = (*real, (status.st_dev, status.st_ino))
            entries = list_sorted(place, lambda entry: self._judge(entry, path))
        except OSError as error:
            return Source(self.root, path or ".", 0, 0, f"the folder cannot be listed: {error.strerror}")
        return _Folder(path, entries, real, links)

    def _judge(self, entry: "os.DirEntry[str]", folder: str) -> Entry | None:
        """What an entry is; None for what is not taken, which is counted."""
        if entry.path in self.exclude:
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
        if not os.path.join(target, "").startswith(os.path.join(self.real_root, "")):
            self.passed_over[OUTWARD_LINK] += 1
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

    def _source(self, path: str, *, linked: bool) -> Source:
        try:
            status = os.stat(os.path.join(self.root, path), follow_symlinks=linked)
        except OSError as error:
            reason = f"it cannot be looked at: {error.strerror}"
            if linked and isinstance(error, FileNotFoundError):
                reason = "it is a link to what is not there; for DataLad or git-annex: `datalad get` or `git annex get`"
            return Source(self.root, path, 0, 0, reason, linked=linked)
        return Source(self.root, path, status.st_size, status.st_mtime_ns, ctime_ns=changed_ns(status), linked=linked)

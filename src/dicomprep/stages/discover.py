"""Path → Sources: every regular file below a folder, in a fixed order, without opening any."""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from operator import attrgetter

from dicomprep.models import Source
from dicomprep.storage import changed_ns

__all__ = ["discover"]


def discover(root: str, *, exclude: Collection[str] = (), passed_over: Counter[str] | None = None) -> Iterator[Source]:
    """Yield the regular files below `root`, folder by folder, each folder's in a fixed order.

    Links are not followed, so that nothing outside of the tree is read and no loop is entered; pipes, sockets and
    devices are passed over; both are counted in `passed_over`. A folder that cannot be listed is yielded as a source
    with an `error`. `exclude` holds absolute paths that are not looked at.
    """
    passed_over = Counter() if passed_over is None else passed_over
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as listing:
                entries = sorted((e for e in listing if e.path not in exclude), key=attrgetter("name"))
        except OSError as error:
            yield Source(root, folder or ".", 0, 0, f"the folder cannot be listed: {error.strerror}")
            continue
        folders += [os.path.join(folder, e.name) for e in reversed(entries) if e.is_dir(follow_symlinks=False)]
        later = []
        for entry in entries:
            if not entry.is_file(follow_symlinks=False):
                _pass_over(entry, passed_over)
            elif entry.name.lower().endswith(".dcm"):
                yield _source(root, folder, entry)
            else:
                later.append(entry)
        for entry in later:  # so `scan.dcm` is named before `scan`, which may be no image at all
            yield _source(root, folder, entry)


def _pass_over(entry: os.DirEntry[str], passed_over: Counter[str]) -> None:
    if not entry.is_dir(follow_symlinks=False):
        passed_over["symbolic link" if entry.is_symlink() else "special file"] += 1


def _source(root: str, folder: str, entry: os.DirEntry[str]) -> Source:
    path = f"{folder}/{entry.name}" if folder else entry.name
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return Source(root, path, 0, 0, f"it cannot be looked at: {error.strerror}")
    return Source(root, path, status.st_size, status.st_mtime_ns, ctime_ns=changed_ns(status))

"""Path → Sources: every regular file below a folder, in a fixed order, without opening any."""

import os
from collections.abc import Iterator

from dicomprep.models import Source

__all__ = ["discover"]


def discover(root: str) -> Iterator[Source]:
    """Yield the regular files below `root`, folder by folder, each folder's files in the order of their names.

    Links are not followed, so that nothing outside of the tree is read and no loop is entered; pipes, sockets and
    devices are passed over. A folder that cannot be listed is yielded as a source with an `error`.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield Source(root, folder or ".", 0, 0, f"the folder cannot be listed: {error.strerror}")
            continue
        folders += [os.path.join(folder, e.name) for e in reversed(entries) if e.is_dir(follow_symlinks=False)]
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                yield _source(root, folder, entry)


def _source(root: str, folder: str, entry: os.DirEntry[str]) -> Source:
    path = os.path.join(folder, entry.name)
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return Source(root, path, 0, 0, f"it cannot be looked at: {error.strerror}")
    return Source(root, path, status.st_size, status.st_mtime_ns)

"""Inputs that are no longer there: looked for at the end of a run that searched their whole folder, and pruned."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from dicomprep.database import absence_store
from dicomprep.database.absence_store import count_absent, count_recorded
from dicomprep.database.store import Store
from dicomprep.image_store import LocalImages
from dicomprep.storage import actual_path, readable_path

__all__ = ["Search", "count_below", "note_absent", "prune"]

LOOKED_AT = 10_000
"""So many recorded inputs are looked for between two transactions."""

PRUNED = 1000
"""So many lose their rows in one transaction."""


@dataclass(frozen=True, slots=True)
class Search:
    """A run that searched all of a folder, and recorded what it found."""

    store: Store
    root: str
    run_id: int
    found: int


@dataclass(frozen=True, slots=True)
class _Part:
    """Recorded inputs that lie in the folder: those below a recorded root, with paths that begin alike."""

    root: str
    prefix: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether the root is a folder that holds nothing: a disk that is not mounted looks so."""
        try:
            with os.scandir(actual_path(self.root)) as entries:
                return next(entries, None) is None
        except OSError:
            return False

    def is_gone(self, path: str) -> bool:
        """Whether nothing lies at a recorded path. What cannot be looked at may be there."""
        try:
            os.lstat(os.path.join(actual_path(self.root), actual_path(path)))
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return False


def note_absent(search: Search) -> None:
    """Mark the recorded inputs that are no longer there, and take the mark from those that are back.

    Nothing is looked for where the run met as many as are recorded. Where it met none at all, or a root is empty, a
    disk may not be mounted: nothing is marked.
    """
    if not search.found:
        return
    for part in _parts(search):
        if part.is_empty or _is_as_expected(search, part):
            continue
        for ids, absent in _looked_at(search, part, only_absent=False):
            with search.store.transaction() as connection:
                absence_store.mark(connection, ids, search.run_id if absent else None)


def prune(search: Search, images: LocalImages) -> int:
    """Remove the rows and images of inputs below the folder that are marked as no longer there; how many inputs."""
    pruned = 0
    for part in _parts(search):
        while ids := _next_gone(search, part):
            with search.store.transaction() as connection:
                stale = absence_store.forget(connection, ids, run_id=search.run_id)
            images.remove(stale)
            for folder in {place.rpartition("/")[0] for place in stale}:
                images.remove_emptied(folder)
            pruned += len(ids)
    if pruned:
        with search.store.transaction() as connection:
            absence_store.forget_empty_groups(connection)
    return pruned


def count_below(search: Search) -> int:
    """How many inputs are recorded below the folder that was searched."""
    roots = [part.root for part in _parts(search) if not part.prefix]
    with search.store.transaction() as connection:
        return sum(count_recorded(connection, root) for root in roots)


def _parts(search: Search) -> list[_Part]:
    """What is recorded of the folder: under its own name, under that of a folder within it, or of one around it."""
    own = readable_path(search.root)
    with search.store.transaction() as connection:
        roots = absence_store.recorded_roots(connection)
    inner = own.rstrip("/") + "/"
    parts = [_Part(root) for root in roots if root == own or root.startswith(inner)]
    around = [root for root in roots if own.startswith(root.rstrip("/") + "/")]
    return parts + [_Part(root, inner.removeprefix(root.rstrip("/") + "/")) for root in around]


def _is_as_expected(search: Search, part: _Part) -> bool:
    """Whether the run met as many inputs as are recorded, without those known to be gone, which still are."""
    if part != _Part(readable_path(search.root)):
        return False
    with search.store.transaction() as connection:
        expected = count_recorded(connection, part.root) - count_absent(connection, part.root)
    return search.found == expected and all(absent for _, absent in _looked_at(search, part, only_absent=True))


def _looked_at(search: Search, part: _Part, *, only_absent: bool) -> Iterator[tuple[list[int], bool]]:
    """Ids of inputs whose mark is wrong, and whether they are gone, a batch at a time.

    With `only_absent`, of those that are marked alone.
    """
    after = 0
    while True:
        with search.store.transaction() as connection:
            rows = absence_store.next_inputs(connection, part.root, after=after, limit=LOOKED_AT, absent=only_absent)
        if not rows:
            return
        after = rows[-1].id
        seen = [(row, part.is_gone(row.path)) for row in rows if row.path.startswith(part.prefix)]
        for absent in (True, False):
            ids = [row.id for row, gone in seen if gone == absent and (row.absent_since is not None) != absent]
            if ids:
                yield ids, absent


def _next_gone(search: Search, part: _Part) -> list[int]:
    """Ids of the next inputs to prune: marked, and still not there."""
    after = 0
    while True:
        with search.store.transaction() as connection:
            rows = absence_store.next_inputs(connection, part.root, after=after, limit=PRUNED, absent=True)
        if not rows:
            return []
        ids = [row.id for row in rows if row.path.startswith(part.prefix) and part.is_gone(row.path)]
        if ids:
            return ids
        after = rows[-1].id

"""Missing inputs: searched for at the end of a run that covered their whole folder, and pruned."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from dicomprep.database.queries.roots import count_recorded
from dicomprep.database.writes import absent as absent_inputs
from dicomprep.database.writes.absent import count_absent
from dicomprep.database.writes.pictures import Pictures
from dicomprep.database.writes.store import Store
from dicomprep.storage.archives.kinds import SEPARATOR
from dicomprep.storage.archives.places import find_archive, is_gone, is_there
from dicomprep.storage.base import ImageStore
from dicomprep.storage.dicomweb_address import is_dicomweb
from dicomprep.storage.local_source import version_of
from dicomprep.storage.object_source import ObjectSource
from dicomprep.storage.objects import Bucket
from dicomprep.storage.paths import actual_path, readable_path
from dicomprep.storage.place import is_url
from dicomprep.storage.roots import Part
from dicomprep.storage.source import Version

__all__ = ["Search", "count_below", "note_absent", "prune"]

CHECK_BATCH_FILES = 10_000
"""Recorded inputs looked for between two transactions."""

PRUNE_BATCH_FILES = 1000
"""Inputs whose rows are removed in one transaction; bounds how long the database is locked."""

CONCURRENT_REQUESTS = 16
"""To an object store that is asked what is still there."""


@dataclass(frozen=True, slots=True)
class Search:
    """A run that searched all of a folder, and recorded what it found."""

    store: Store
    parts: Sequence[Part]
    """What is recorded of the folder."""
    run_id: int
    found: int
    key: bytes = field(repr=False)
    archives: bool = True
    """Archives were opened."""


def note_absent(search: Search) -> None:
    """Mark the recorded inputs that are no longer there, and take the mark from those that are back.

    Nothing is looked for where the run met as many as are recorded. Where it met none at all, or a root is empty, a
    disk may not be mounted: nothing is marked.
    """
    if not search.found:
        return
    if _is_as_expected(search):
        return
    for part in search.parts:
        if _is_empty(part):
            continue
        for ids, absent in _find_wrong_marks(search, part, only_absent=False):
            with search.store.transaction() as connection:
                absent_inputs.mark(connection, ids, search.run_id if absent else None)


def prune(search: Search, images: ImageStore) -> int:
    """Remove the rows and images of inputs below the folder that are marked as no longer there; how many inputs."""
    pruned = 0
    for part in search.parts:
        while ids := _next_gone(search, part):
            with search.store.transaction() as connection:
                pictures = Pictures(connection, search.run_id)
                stale = absent_inputs.forget(connection, ids, pictures, key=search.key)
            search.store.followed += pictures.moved
            images.remove(stale)
            for folder in {place.rpartition("/")[0] for place in stale}:
                images.remove_emptied(folder)
            pruned += len(ids)
    if pruned:
        with search.store.transaction() as connection:
            absent_inputs.forget_empty_groups(connection)
    return pruned


def count_below(search: Search) -> int:
    """How many inputs are recorded below the folder that was searched."""
    with search.store.transaction() as connection:
        return sum(count_recorded(connection, part) for part in search.parts)


def _is_empty(part: Part) -> bool:
    """Whether the root is a folder that holds nothing: a disk that is not mounted looks so."""
    if is_dicomweb(part.root):
        return False
    if is_url(part.root):
        return next(Bucket(actual_path(part.root)).list(), None) is None
    try:
        with os.scandir(actual_path(part.root)) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def _is_gone(part: Part, path: str) -> bool:
    return is_gone(actual_path(part.root), actual_path(path))


def _are_gone(search: Search, part: Part, rows: Sequence[Any]) -> list[bool]:
    """The same of many; an object store is asked for several at a time, and for an archive once."""
    archives = _Archives(search, part)
    packed = {row.id: archives.lost(row) for row in rows if search.archives and SEPARATOR in part.root + row.path}
    plain = [row for row in rows if packed.get(row.id) is None]
    if is_url(part.root):
        with ThreadPoolExecutor(CONCURRENT_REQUESTS, "dicomprep asking") as asking:
            gone = list(asking.map(partial(_is_gone, part), [row.path for row in plain]))
    else:
        gone = [_is_gone(part, row.path) for row in plain]
    found = {row.id: is_gone for row, is_gone in zip(plain, gone, strict=True)}
    return [bool(found.get(row.id, packed.get(row.id))) for row in rows]


class _Archives:
    """The archives that inputs lie in, each looked at once."""

    def __init__(self, search: Search, part: Part) -> None:
        self._search, self._part, self._root = search, part, actual_path(part.root)
        self._is_there = lru_cache(maxsize=None)(is_there)
        self._state = lru_cache(maxsize=None)(self._look_at)

    def lost(self, row: Any) -> bool | None:  # noqa: ANN401  (a row)
        """Whether a member was not met in its archive, which is another one by now and was read to its end.

        None for an input that lies in none that is there.
        """
        found = find_archive(os.path.join(self._root, actual_path(row.path)), self._is_there)
        if found is None:
            return None
        version, is_damaged = self._state(found[0])
        recorded = Version(0, 0, tag=row.version_tag or "").archive_tag
        return (row.mtime_ns, recorded) != (version.mtime_ns, version.tag) and not is_damaged

    def _look_at(self, archive: str) -> tuple[Version, bool]:
        """The archive as it is now, and whether it could not be read to its end."""
        root, _, name = archive.rpartition("/")
        version = ObjectSource.now(root, name).version if is_url(archive) else version_of(os.stat(archive))
        prefix = readable_path(f"{archive}{SEPARATOR}/".removeprefix(os.path.join(self._root, "")))
        with self._search.store.transaction() as connection:
            return version, absent_inputs.is_damaged(connection, Part(self._part.root, prefix), version)


def _is_as_expected(search: Search) -> bool:
    """Whether the run met as many inputs as are recorded, without those known to be gone, which still are."""
    with search.store.transaction() as connection:
        expected = sum(count_recorded(connection, part) - count_absent(connection, part) for part in search.parts)
    wrong_marks = (_find_wrong_marks(search, part, only_absent=True) for part in search.parts)
    return search.found == expected and all(absent for wrong in wrong_marks for _, absent in wrong)


def _find_wrong_marks(search: Search, part: Part, *, only_absent: bool) -> Iterator[tuple[list[int], bool]]:
    """Ids of inputs whose mark is wrong, and whether they are gone, a batch at a time.

    With `only_absent`, of those that are marked alone.
    """
    after = 0
    while True:
        with search.store.transaction() as connection:
            rows = absent_inputs.next_inputs(connection, part, after=after, limit=CHECK_BATCH_FILES, absent=only_absent)
        if not rows:
            return
        after = rows[-1].id
        seen = list(zip(rows, _are_gone(search, part, rows), strict=True))
        for absent in (True, False):
            ids = [row.id for row, gone in seen if gone == absent and (row.absent_since is not None) != absent]
            if ids:
                yield ids, absent


def _next_gone(search: Search, part: Part) -> list[int]:
    """Ids of the next inputs to prune: marked, and still not there."""
    after = 0
    while True:
        with search.store.transaction() as connection:
            rows = absent_inputs.next_inputs(connection, part, after=after, limit=PRUNE_BATCH_FILES, absent=True)
        if not rows:
            return []
        ids = [row.id for row, gone in zip(rows, _are_gone(search, part, rows), strict=True) if gone]
        if ids:
            return ids
        after = rows[-1].id

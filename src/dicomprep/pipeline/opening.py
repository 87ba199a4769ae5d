"""Recorded inputs as they are now, and any input by its path: in a folder or bucket, or in an archive there."""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from itertools import groupby

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pipeline.stages.unpack import unpack
from dicomprep.storage.archives.kinds import SEPARATOR
from dicomprep.storage.archives.places import find_archive, is_there
from dicomprep.storage.archives.source import RefusedSource
from dicomprep.storage.archives.spool import Spool
from dicomprep.storage.base import Source
from dicomprep.storage.dicomweb_address import is_dicomweb
from dicomprep.storage.dicomweb_source import DicomwebSource
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.object_source import ObjectSource
from dicomprep.storage.place import INPUT_SCHEMES, Place, is_url
from dicomprep.storage.source import Version

MAX_KNOWN_ARCHIVES = 1000
"""Of which it is known that they are there."""

__all__ = ["archive_members", "recorded_sources", "source_at"]


def source_at(place: str) -> Source:
    """The input at an absolute path or an address, whose version nobody asks for: `/data/export.zip!/study_001/IM1`."""
    if is_dicomweb(place):
        return DicomwebSource.at(place)
    if is_url(place):
        place = Place.parse(place, option="The address", schemes=INPUT_SCHEMES).text
    found = find_archive(place)
    if found is None or not found[1]:
        return ObjectSource.at(place) if is_url(place) else LocalSource.at(place)
    return next(filter(None, _members_at(found[0], f"{found[0]}{SEPARATOR}", [found[1]], follow_links=False)))


def recorded_sources(
    root: str, paths: Sequence[str], *, follow_links: bool, spool: Spool | None = None
) -> Iterator[Source | None]:
    """Recorded inputs as they are now. Those of an archive are to come together.

    What can only be read in order goes through a `spool`: see `unpack`.
    """
    is_known = lru_cache(maxsize=MAX_KNOWN_ARCHIVES)(is_there)
    by_archive = groupby(paths, key=lambda path: (find_archive(os.path.join(root, path), is_known) or ("",))[0])
    for archive, those in by_archive:
        if archive:
            yield from _members_at(archive, root, list(those), follow_links=follow_links, spool=spool)
        else:
            yield from (_input_at(root, path, follow_links=follow_links) for path in those)


def archive_members(
    root: str,
    within: str,
    passed_over: Counter[str] | None = None,
    *,
    spool: Spool | None = None,
    wanted: Collection[str] | None = None,
    follow_links: bool = False,
) -> Iterator[Source | None] | None:
    """What the archive holds at the place `within` below a root, or that is the root; None where it is none."""
    if within:
        path, own_root = within.removesuffix(SEPARATOR), ""
    else:
        own_root, root, path = root, *os.path.split(root.removesuffix(SEPARATOR))
    if is_url(root):
        return unpack(ObjectSource.now(root, path), root=own_root, passed_over=passed_over, spool=spool, wanted=wanted)
    status = os.stat(os.path.join(root, path))
    source = LocalSource.found(root, path, status, linked=follow_links)
    return unpack(source, root=own_root, passed_over=passed_over, spool=spool, wanted=wanted)


def _members_at(
    archive: str, root: str, paths: Sequence[str], *, follow_links: bool, spool: Spool | None = None
) -> Iterator[Source | None]:
    """Members of one archive, in its order; for each that it does not have a source that says so."""
    whole = f"{archive}{SEPARATOR}"
    within = whole.removeprefix(os.path.join(root, "")) if whole != root else ""
    wanted = set(paths)
    for source in archive_members(root, within, spool=spool, wanted=set(paths), follow_links=follow_links) or ():
        if source is None:
            yield None
        elif source.path in wanted:
            wanted.remove(source.path)
            yield source
            if not wanted:
                return
        elif spool is not None:
            spool.release(source)
    for path in sorted(wanted):
        fault = InputError(ErrorCode.UNREADABLE, f"there is no such file in {archive}")
        yield RefusedSource(root, path, Version(0, 0), fault, ("", path))


def _input_at(folder: str, path: str, *, follow_links: bool) -> Source:
    if is_url(folder):
        return (DicomwebSource if is_dicomweb(folder) else ObjectSource).now(folder, path)
    try:
        status = os.stat(os.path.join(folder, path), follow_symlinks=follow_links)
    except OSError as error:
        return LocalSource(folder, path, error=f"cannot be accessed: {error.strerror}")
    return LocalSource.found(folder, path, status, linked=follow_links)

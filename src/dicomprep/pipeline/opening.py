"""Recorded inputs as they are now, and any input by its path: in a folder, or in an archive."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pipeline.stages.unpack import unpack
from dicomprep.storage.archives.kinds import SEPARATOR
from dicomprep.storage.archives.places import find_archive
from dicomprep.storage.archives.source import RefusedSource
from dicomprep.storage.archives.spool import Spool
from dicomprep.storage.base import Source
from dicomprep.storage.dicomweb_address import is_dicomweb
from dicomprep.storage.dicomweb_source import DicomwebSource
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.object_source import ObjectSource
from dicomprep.storage.place import INPUT_SCHEMES, Place, is_url
from dicomprep.storage.source import Version

__all__ = ["archive_members", "recorded_sources", "source_at"]


def source_at(place: str) -> Source:
    """The input at an absolute path or an address, whose version nobody asks for: `/data/export.zip!/study_001/IM1`."""
    if is_dicomweb(place):
        return DicomwebSource.at(place)
    if is_url(place):
        return ObjectSource.at(Place.parse(place, option="The address", schemes=INPUT_SCHEMES).text)
    found = find_archive(place)
    if found is None or not found[1]:
        return LocalSource.at(place)
    (source,) = _members_at(f"{found[0]}{SEPARATOR}", [found[1]], follow_links=False)
    return source


def recorded_sources(root: str, paths: Sequence[str], *, follow_links: bool) -> Iterator[Source]:
    """Recorded inputs as they are now. Those of an archive are to come together."""
    if is_url(root):
        kind = DicomwebSource if is_dicomweb(root) else ObjectSource
        yield from (kind.now(root, path) for path in paths)
        return
    for archive, those in groupby(paths, key=lambda path: (find_archive(os.path.join(root, path)) or ("",))[0]):
        if archive:
            yield from _members_at(root, list(those), follow_links=follow_links)
        else:
            yield from (_file_at(root, path, follow_links=follow_links) for path in those)


def archive_members(
    root: str,
    within: str,
    passed_over: Counter[str] | None = None,
    *,
    spool: Spool | None = None,
    follow_links: bool = False,
) -> Iterator[Source | None] | None:
    """What the archive holds at the place `within` below a root, or that is the root; None where it is none."""
    if within:
        path, own_root = within.removesuffix(SEPARATOR), ""
    else:
        own_root, root, path = root, *os.path.split(root.removesuffix(SEPARATOR))
    status = os.stat(os.path.join(root, path))
    source = LocalSource.found(root, path, status, linked=follow_links)
    return unpack(source, root=own_root, passed_over=passed_over, spool=spool)


def _members_at(root: str, paths: Sequence[str], *, follow_links: bool) -> Iterator[Source]:
    """Members of one archive, in its order; for each that it does not have a source that says so."""
    archive, _ = find_archive(os.path.join(root, paths[0])) or ("", "")
    within = os.path.relpath(f"{archive}{SEPARATOR}", root) if f"{archive}{SEPARATOR}" != root else ""
    wanted = set(paths)
    for source in archive_members(root, within, follow_links=follow_links) or ():
        if source is not None and source.path in wanted:
            wanted.remove(source.path)
            yield source
            if not wanted:
                return
    for path in sorted(wanted):
        fault = InputError(ErrorCode.UNREADABLE, f"there is no such file in {archive}")
        yield RefusedSource(root, path, Version(0, 0), fault, ("", path))


def _file_at(folder: str, path: str, *, follow_links: bool) -> Source:
    try:
        status = os.stat(os.path.join(folder, path), follow_symlinks=follow_links)
    except OSError as error:
        return LocalSource(folder, path, error=f"cannot be accessed: {error.strerror}")
    return LocalSource.found(folder, path, status, linked=follow_links)

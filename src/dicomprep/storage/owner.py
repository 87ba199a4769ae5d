"""The mark of a place of images, `.dicomprep.owner`: whose they are. A small file in a folder, an object in a store."""

import json
from typing import NamedTuple

from dicomprep.errors import EnvironmentFault, disk_fault
from dicomprep.storage.object_faults import FaultKind
from dicomprep.storage.objects import Bucket, RefusedError
from dicomprep.storage.paths import MARK
from dicomprep.storage.place import Place
from dicomprep.storage.source import read_small_file
from dicomprep.storage.sync import replace_file

__all__ = ["Owner", "put_owned", "read_owned", "read_owner", "write_owner"]

MARK_BYTES = 2**14


class Owner(NamedTuple):
    """Whose the images of a place are; both empty where nobody says so."""

    database: str
    """Of a folder, where the database lies seen from there; of an object store, which one it is, but not where."""
    data_set: str
    """The fingerprint of its key."""


def read_owner(place: Place) -> Owner:
    """The mark of a place; an empty one where there is none, or what stands there is none.

    Raises EnvironmentFault where an object store does not say.
    """
    try:
        mark = json.loads(read_owned(place.text, MARK, most=MARK_BYTES) if place.is_remote else _read_file(place))
        return Owner(str(mark["database"]), str(mark["data_set"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Owner("", "")


def write_owner(place: Place, mark: Owner, *, access: int) -> None:
    """Mark a place, unless it is so already. EnvironmentFault where that fails."""
    if read_owner(place) == mark:
        return
    content = (json.dumps(mark._asdict()) + "\n").encode()
    if place.is_remote:
        put_owned(place.text, MARK, content)
        return
    try:
        replace_file(place.path / MARK, content, mode=0o666 & access)
    except OSError as error:
        raise disk_fault(f"{place.path / MARK} cannot be written", error) from error


def _read_file(place: Place) -> bytes:
    return read_small_file(place.path / MARK, most=MARK_BYTES, follow_links=False)


def put_owned(address: str, key: str, content: bytes) -> None:
    """Write a small object of this program's own below an address. Raises EnvironmentFault."""
    try:
        Bucket(address).put(key, content)
    except RefusedError as error:
        raise EnvironmentFault(f"{address}/{key} cannot be written: {error.fault.reason}.") from error


def read_owned(address: str, key: str, *, most: int) -> bytes:
    """What such an object holds; nothing where there is none. Raises EnvironmentFault."""
    try:
        return Bucket(address).get(key, 0, most).content
    except RefusedError as error:
        if error.fault.kind in (FaultKind.MISSING, FaultKind.REFUSED):  # none, or an empty one
            return b""
        raise EnvironmentFault(f"{address}/{key} cannot be read: {error.fault.reason}.") from error

"""Where recorded inputs lie: in a folder, or in an archive, as whose members their paths name them."""

import os
import stat
from collections.abc import Callable

from dicomprep.storage.archives.kinds import is_archive, split_member
from dicomprep.storage.dicomweb_address import is_dicomweb
from dicomprep.storage.place import is_url

__all__ = ["find_archive", "is_gone", "is_there"]


def is_there(place: str) -> bool:
    """Whether a file, or an object that is called like an archive, lies at a place. Raises EnvironmentFault."""
    if not is_url(place):
        return _is_file(place)
    from dicomprep.storage.object_source import is_object_gone

    root, _, key = place.rpartition("/")
    return is_archive(key) and not is_object_gone(root, key)


def find_archive(place: str, is_there: Callable[[str], bool] = is_there) -> tuple[str, str] | None:
    """(archive, member) of a path or address that goes on in an archive which is there; None for any other.

    The member is empty for the archive as a whole (`export.zip!`). Raises EnvironmentFault where a store fails.
    """
    cuts = [] if is_dicomweb(place) else split_member(place)
    if not cuts or (not is_url(place) and os.path.lexists(place)):
        return None
    return next((cut for cut in cuts if is_there(cut[0])), None)


def is_gone(root: str, path: str) -> bool:
    """Whether nothing lies at a path below a root. What cannot be looked at may be there, and what is in an archive."""
    if is_dicomweb(root):
        from dicomprep.storage.dicomweb_source import is_instance_gone

        return is_instance_gone(root, path)
    place = os.path.join(root, path)
    if is_url(root):
        from dicomprep.storage.object_source import is_object_gone

        return find_archive(place) is None and is_object_gone(root, path)
    try:
        os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return find_archive(place) is None
    except (OSError, ValueError):
        return False
    return False


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False

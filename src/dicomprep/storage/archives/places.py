"""Where recorded inputs lie: in a folder, or in an archive, as whose members their paths name them."""

import os
import stat

from dicomprep.storage.archives.kinds import split_member
from dicomprep.storage.dicomweb_address import is_dicomweb
from dicomprep.storage.place import is_url

__all__ = ["find_archive", "is_gone"]


def find_archive(place: str) -> tuple[str, str] | None:
    """(archive, member) of a path that goes on in an archive which is there; None for any other.

    The member is empty for the archive as a whole (`export.zip!`).
    """
    cuts = split_member(place)
    if not cuts or os.path.lexists(place):
        return None
    return next((cut for cut in cuts if _is_file(cut[0])), None)


def is_gone(root: str, path: str) -> bool:
    """Whether nothing lies at a path below a root. What cannot be looked at may be there, and what is in an archive."""
    if is_dicomweb(root):
        from dicomprep.storage.dicomweb_source import is_instance_gone

        return is_instance_gone(root, path)
    if is_url(root):
        from dicomprep.storage.object_source import is_object_gone

        return is_object_gone(root, path)
    place = os.path.join(root, path)
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

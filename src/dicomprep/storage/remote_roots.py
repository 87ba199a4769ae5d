"""Which recorded inputs lie at an address of an object store: addresses are what they are called, and nothing else."""

from collections.abc import Sequence

from dicomprep.errors import ConfigError
from dicomprep.storage.object_source import is_object_gone
from dicomprep.storage.objects import Bucket
from dicomprep.storage.paths import readable_path
from dicomprep.storage.place import is_url
from dicomprep.storage.roots import Part, Tree

__all__ = ["find_remote_tree", "is_object"]


def find_remote_tree(address: str, recorded: Sequence[str], *, is_object: bool = False) -> Tree:
    """An address among the recorded roots (readable paths): one of them, a part of one, around some, or a new one.

    A single object is a part of what lies around it.

    >>> find_remote_tree("s3://bucket/a/b", ["s3://bucket/a"]).home
    Part(root='s3://bucket/a', prefix='b/')
    """
    place = address.rstrip("/")
    folder, _, name = place.rpartition("/") if is_object else (place, "", "")
    own = readable_path(folder)
    around = [root for root in recorded if is_url(root) and f"{own}/".startswith(f"{root}/")]
    root = max(around, key=len, default=own)
    within = f"{own}/".removeprefix(f"{root}/")
    home = Part(root, within + readable_path(name))
    others = [] if is_object else [Part(inner) for inner in recorded if inner.startswith(f"{own}/")]
    return Tree(place, home, tuple(others))


def is_object(address: str) -> bool:
    """Whether an address names one object rather than what lies below it.

    On the web a slash at its end tells, and ConfigError is raised where there is no such file; elsewhere, whether
    anything lies below it. Raises EnvironmentFault where the store fails.
    """
    if address.endswith("/") or address.count("/") < 3:
        return False
    on_the_web = address.startswith("http")
    if not on_the_web and next(Bucket(address).list(), None) is not None:
        return False
    root, _, key = address.rpartition("/")
    is_gone = is_object_gone(root, key)
    if is_gone and on_the_web:
        raise ConfigError(f"There is no file {address}. If it is a folder, write a slash at its end.")
    return not is_gone

"""Which recorded inputs lie in a folder: the same files, by whatever path and from whichever folder a run began."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from dicomprep.storage.archives.places import find_archive
from dicomprep.storage.paths import actual_path, readable_path
from dicomprep.storage.place import is_url

__all__ = ["Identity", "Part", "Tree", "find_tree", "identity_of", "place_within"]

Identity = tuple[int, int]
"""Device and inode: the same for a folder by any of its paths."""


@dataclass(frozen=True, slots=True)
class Part:
    """Recorded inputs: those below a root whose paths begin alike; readable paths both."""

    root: str
    prefix: str = ""
    """Empty, or with a slash at its end."""

    @property
    def folder(self) -> str:
        """Their folder."""
        return os.path.join(actual_path(self.root), actual_path(self.prefix)).rstrip("/") or "/"


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder, or an archive, that a run searches, and what earlier runs recorded of it."""

    given: str
    """The path given, absolute; an archive ends with its marker."""
    home: Part
    """Root and prefix of its recorded inputs, except those of `inner`."""
    others: tuple[Part, ...] = ()
    """Other recorded parts below it."""
    inner: Mapping[Identity, str] = field(default_factory=dict)
    """Roots of other runs, as readable paths: inputs below them are recorded there."""
    is_whole: bool = True
    """Whether all of it is searched, not only what a query selects on a server."""

    @property
    def folder(self) -> str:
        """The folder by its recorded name."""
        return self.home.folder

    @property
    def parts(self) -> tuple[Part, ...]:
        """All recorded parts of it."""
        return self.home, *self.others

    def sentences(self) -> Iterator[str]:
        """How it relates to the folders of earlier runs, for display."""
        if self.home.prefix:
            yield f"subfolder of {self.home.root}: the same files, with the same image names"
        elif self.is_whole and readable_path(self.given) != self.home.root:
            yield f"recorded as {self.home.root}: the same folder by another path"
        within = [part.root for part in self.others if not part.prefix and part.root in self.inner.values()]
        if within:
            more = f" and {len(within) - 1:,} more" if len(within) > 1 else ""
            yield f"contains {within[0]}{more}, recorded earlier: image names stay the same"


def find_tree(
    folder: str, recorded: Sequence[str], is_doubled: Callable[[str, Part], bool] = lambda _root, _part: False
) -> Tree:
    """A folder among the recorded roots (readable paths): one of them, a part of one, around some, or a new one.

    Folders are compared by what they are, not by what they are called: links, `..`, bind mounts and capitals on disks
    that tell none lead to the same one. Earlier releases recorded a folder and a part of it as two, each with all of
    the part's files: `is_doubled` says so of a root and the same part of the folder around it. They stay two.
    """
    given, real = os.path.abspath(folder), os.path.realpath(folder)
    if not _are_one(given, folder):  # `link/..` is not where the link lies
        given = real
    own = readable_path(given)
    ordered = sorted(recorded, key=lambda root: root != own)
    known: dict[Identity, str] = {}
    for root in ordered:
        identity = identity_of(actual_path(root))
        if identity is not None:
            known.setdefault(identity, root)
    home = Part(own) if own in recorded else _home(real, known) or Part(own)
    places = _real_places(root for root in ordered if root != home.root)
    others = [part for root, place in places.items() if (part := _overlap(root, place, real)) is not None]
    doubled = {
        root
        for root, place in places.items()
        if _is_within(place, real) and is_doubled(root, Part(home.root, home.prefix + _prefix(place, real)))
    }
    inner = {identity: root for identity, root in known.items() if root != home.root and root not in doubled}
    return Tree(given, home, tuple(others), inner)


def identity_of(folder: str) -> Identity | None:
    """None for what is neither folder nor archive, cannot be looked at, or has no number on its file system."""
    archive = find_archive(folder)
    try:
        status = os.stat(archive[0] if archive and not archive[1] else folder)
    except OSError:
        return None
    is_one = stat.S_ISDIR(status.st_mode) or archive is not None
    return (status.st_dev, status.st_ino) if is_one and status.st_ino else None


def place_within(root: str, path: str) -> str:
    """Where the file at `path` below `root` really lies, if that is below `root`; else its place as it is named.

    Opened by that, a link out of the folder is refused, one within it is not.
    """
    place = os.path.join(root, path)
    if is_url(root):
        return place
    real_root, real = os.path.realpath(root), os.path.realpath(place)
    return real if real.startswith(os.path.join(real_root, "")) else place


def _home(real: str, known: Mapping[Identity, str]) -> Part | None:
    """The innermost recorded root that is the folder or contains it."""
    for place in _upwards(real):
        identity = identity_of(place)
        if identity is not None and identity in known:
            return Part(known[identity], _prefix(real, place))
    return None


def _real_places(roots: Iterable[str]) -> dict[str, str]:
    """Real paths of roots, without links. A parent shared by many of them is resolved once."""
    real_folder, places = lru_cache(maxsize=1)(os.path.realpath), {}
    for root in roots:
        place = actual_path(root)
        folder, name = os.path.split(place)
        is_plain = name and not Path(place).is_symlink()
        places[root] = os.path.join(real_folder(folder), name) if is_plain else os.path.realpath(place)
    return places


def _upwards(place: str) -> Iterator[str]:
    yield place
    while (parent := os.path.dirname(place)) != place:
        yield parent
        place = parent


def _overlap(root: str, place: str, real: str) -> Part | None:
    """The part of the inputs below a recorded root that is in a folder, by paths: it need not exist any more."""
    if _is_within(place, real):
        return Part(root)
    return Part(root, _prefix(real, place)) if _is_within(real, place) else None


def _is_within(place: str, folder: str) -> bool:
    return os.path.join(place, "").startswith(os.path.join(folder, ""))


def _prefix(place: str, folder: str) -> str:
    path = os.path.relpath(place, folder)
    return "" if path == "." else f"{readable_path(path)}/"


def _are_one(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return True

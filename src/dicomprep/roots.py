"""Which recorded inputs lie in a folder: the same files, by whatever path and from whichever folder a run began."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dicomprep.storage import actual_path, readable_path

__all__ = ["Identity", "Part", "Tree", "find_tree", "identity_of"]

Identity = tuple[int, int]
"""Device and inode: of one folder the same, by whatever path it is reached."""


@dataclass(frozen=True, slots=True)
class Part:
    """Recorded inputs: those below a root whose paths begin alike; readable paths both."""

    root: str
    prefix: str = ""
    """Empty, or with a slash at its end."""

    @property
    def folder(self) -> str:
        """Where they lie."""
        return os.path.join(actual_path(self.root), actual_path(self.prefix)).rstrip("/") or "/"


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder that a run searches, and what earlier runs recorded of it."""

    given: str
    """The folder as it was asked for, absolute."""
    home: Part
    """Under what its inputs are recorded, but for those of `inner`."""
    others: tuple[Part, ...] = ()
    """What else was recorded below it."""
    inner: Mapping[Identity, str] = field(default_factory=dict)
    """Roots of other runs, as readable paths: inputs below one that is met are its own."""

    @property
    def folder(self) -> str:
        """The folder by its recorded name."""
        return self.home.folder

    @property
    def parts(self) -> tuple[Part, ...]:
        """All that is recorded of it."""
        return self.home, *self.others

    def sentences(self) -> Iterator[str]:
        """How it lies to the folders of earlier runs, for a person."""
        if self.home.prefix:
            yield f"a part of {self.home.root}, as which it is recorded: the same files, named as there"
        elif readable_path(self.given) != self.home.root:
            yield f"recorded as {self.home.root}: the same folder by another path, and the same files"
        within = [part.root for part in self.others if not part.prefix]
        if within:
            more = f" and {len(within) - 1:,} more" if len(within) > 1 else ""
            yield f"contains {within[0]}{more}, which was searched before: its files keep their names"


def find_tree(folder: str, recorded: Sequence[str]) -> Tree:
    """A folder among the recorded roots (readable paths): one of them, a part of one, around some, or a new one.

    Folders are compared by what they are, not by what they are called: links, `..`, bind mounts and capitals on disks
    that tell none lead to the same one.
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
    others = [part for root in ordered if root != home.root and (part := _overlap(root, real)) is not None]
    inner = {identity: root for identity, root in known.items() if root != home.root}
    return Tree(given, home, tuple(others), inner)


def identity_of(folder: str) -> Identity | None:
    """None for what is no folder, cannot be looked at, or has no number on its file system."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) and status.st_ino else None


def _home(real: str, known: Mapping[Identity, str]) -> Part | None:
    """The innermost recorded root that is the folder or lies around it."""
    for place in _upwards(real):
        identity = identity_of(place)
        if identity is not None and identity in known:
            return Part(known[identity], _prefix(os.path.relpath(real, place)))
    return None


def _upwards(place: str) -> Iterator[str]:
    yield place
    while (parent := os.path.dirname(place)) != place:
        yield parent
        place = parent


def _overlap(root: str, real: str) -> Part | None:
    """What of the inputs below a recorded root lies in a folder, judged by paths: it need not be there any more."""
    other = os.path.realpath(actual_path(root))
    if _is_within(other, real):
        return Part(root)
    return Part(root, _prefix(os.path.relpath(real, other))) if _is_within(real, other) else None


def _is_within(place: str, folder: str) -> bool:
    return os.path.join(place, "").startswith(os.path.join(folder, ""))


def _prefix(path: str) -> str:
    return "" if path == "." else f"{readable_path(path)}/"


def _are_one(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return True

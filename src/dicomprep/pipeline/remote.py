"""What lies at an address of an object store, as inputs: in the order in which those of a folder come."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from dicomprep.pipeline.stages.left_out import why_left_out
from dicomprep.pipeline.stages.listing import folder_order, sort_all
from dicomprep.pipeline.stages.unpack import unpack
from dicomprep.storage.archives.kinds import SEPARATOR, is_archive
from dicomprep.storage.archives.spool import Spool
from dicomprep.storage.base import Source
from dicomprep.storage.object_source import ObjectSource, version_of
from dicomprep.storage.objects import Bucket, ObjectStat
from dicomprep.storage.paths import actual_path
from dicomprep.storage.roots import Tree
from dicomprep.storage.source import Version

__all__ = ["remote_sources"]


def remote_sources(
    tree: Tree, *, exclude: Collection[str], passed_over: Counter[str], archives: bool, spool: Spool | None
) -> Iterator[Source | None]:
    """The objects of a tree. All are listed before the first is yielded; more than fit a bounded memory wait on disk.

    What lies below an address of `exclude` is not looked at. Of an archive its members are yielded, with `archives`, as
    `unpack` does it. EnvironmentFault where the store does not list.
    """
    root, prefix = actual_path(tree.home.root), actual_path(tree.home.prefix)
    if prefix and not prefix.endswith("/"):
        return iter([ObjectSource.now(root, prefix)])
    inner = [actual_path(part.root) for part in tree.others]
    return _Search(root, prefix, inner, exclude, passed_over, archives, spool).sources()


@dataclass(slots=True)
class _Search:
    root: str
    prefix: str
    inner: Sequence[str]
    """Roots of other runs below this one: inputs below them are theirs."""
    exclude: Collection[str]
    passed_over: Counter[str]
    archives: bool
    spool: Spool | None
    left_out: set[str] = field(default_factory=set)

    def sources(self) -> Iterator[Source | None]:
        """In order."""
        for *_, key, version in sort_all(self._taken()):
            root = self._root_of(key)
            path = f"{self.root}/{key}".removeprefix(f"{root}/")
            source = ObjectSource(root, path, Version(*version))
            inner = self._members(source) if self.archives and is_archive(key) else None
            yield from inner if inner is not None else (source,)

    def _members(self, source: ObjectSource) -> Iterator[Source | None] | None:
        place = f"{source.root}/{source.path}{SEPARATOR}"
        own = place if place in self.inner else ""
        return unpack(source, root=own, passed_over=self.passed_over, spool=self.spool)

    def _taken(self) -> Iterator[tuple[Any, ...]]:
        numbers = count()
        for stat in Bucket(self.root).list(self.prefix.rstrip("/")):
            if self._is_taken(stat):
                yield folder_order(stat.key), next(numbers), stat.key, tuple(version_of(stat))

    def _is_taken(self, stat: ObjectStat) -> bool:
        address = f"{self.root}/{stat.key}"
        if any(address.startswith(f"{place}/") for place in self.exclude):
            return False
        return not self._is_left_out(stat.key)

    def _is_left_out(self, key: str) -> bool:
        """Whether it lies in a folder that is not searched, which is counted once."""
        folders = key.split("/")[:-1]
        for number, (parent, name) in enumerate(zip(["", *folders], folders, strict=False)):
            kind = why_left_out(name, parent)
            if kind is not None:
                folder = "/".join(folders[: number + 1])
                self.passed_over[f"{kind} folder"] += folder not in self.left_out
                self.left_out.add(folder)
                return True
        return False

    def _root_of(self, key: str) -> str:
        """The innermost of the roots that an object lies below."""
        address = f"{self.root}/{key}"
        around = [root for root in self.inner if address.startswith(f"{root}/")]
        return max(around, key=len, default=self.root)

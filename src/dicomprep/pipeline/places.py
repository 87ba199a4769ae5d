"""What a run was told to search: folders and archives, each of them once, and what they hold."""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from sqlalchemy import Connection

from dicomprep.config import Config
from dicomprep.database.queries.roots import is_doubled, recorded_roots
from dicomprep.errors import ConfigError, InputError
from dicomprep.pipeline.opening import archive_members
from dicomprep.pipeline.remote import remote_sources
from dicomprep.pipeline.stages.discover import discover
from dicomprep.storage.archives.kinds import SEPARATOR, archive_kind, is_archive
from dicomprep.storage.archives.places import find_archive
from dicomprep.storage.archives.spool import Spool
from dicomprep.storage.base import Source
from dicomprep.storage.dicomweb_address import DicomwebAddress, is_dicomweb, without_query
from dicomprep.storage.dicomweb_source import find_instances
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.paths import actual_path, readable_path
from dicomprep.storage.place import INPUT_SCHEMES, Place, is_url
from dicomprep.storage.remote_roots import find_remote_tree, is_object
from dicomprep.storage.roots import Part, Tree, find_tree

__all__ = ["Places", "find_places", "require_places"]


@dataclass(frozen=True, slots=True)
class Places:
    """All that a run searches."""

    trees: tuple[Tree, ...]
    given: tuple[str, ...]
    """Each as given, without the query of a server: that may name patients."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """All that is recorded of them."""
        return tuple(dict.fromkeys(part for tree in self.trees for part in tree.parts))

    @property
    def whole_parts(self) -> tuple[Part, ...]:
        """Those of which a run sees all; a query of a server shows some of what it has."""
        return tuple(dict.fromkeys(part for tree in self.trees if tree.is_whole for part in tree.parts))

    @property
    def folders(self) -> tuple[str, ...]:
        """Each by its recorded name."""
        return tuple(tree.folder for tree in self.trees)

    @property
    def recorded(self) -> str:
        """The readable names of all, one a line."""
        return "\n".join(map(readable_path, self.folders))

    def sentences(self) -> Iterator[str]:
        """How they lie to the folders of earlier runs, for a person."""
        return chain.from_iterable(tree.sentences() for tree in self.trees)

    def search(
        self, config: Config, exclude: Collection[str], passed_over: Counter[str], spool: Spool
    ) -> Iterator[Source | None]:
        """The inputs in them, one place after the other; None where there is none for the moment."""
        return chain.from_iterable(_search(tree, config, exclude, passed_over, spool) for tree in self.trees)


def require_places(given: Sequence[str]) -> None:
    """ConfigError where something is neither a folder nor an archive that can be opened."""
    for place in given:
        if is_dicomweb(place):
            DicomwebAddress.parse(place)
        elif is_url(place):
            Place.parse(place, option="DICOM_DIR", schemes=INPUT_SCHEMES)
        elif not Path(place).is_dir() and not _is_readable_archive(place):
            raise ConfigError(_why_not(Path(place)))


def find_places(connection: Connection, config: Config) -> Places:
    """Folders and archives among those that are recorded; what lies in another one of them is searched with that."""
    recorded = recorded_roots(connection)
    texts = [_as_place(place) for place in dict.fromkeys(config.dicom_dir)]
    outer = [text for text in texts if not any(_is_covered(text, other, config) for other in texts)]
    _require_one_query(outer)
    by_real = {_real(text): text for text in reversed(outer)}
    kept = sorted(by_real.values(), key=outer.index)
    trees = (_find_tree(text, recorded, connection) for text in kept)
    return Places(tuple(trees), tuple(map(without_query, kept)))


def _find_tree(text: str, recorded: Sequence[str], connection: Connection) -> Tree:
    if is_dicomweb(text):
        address = DicomwebAddress.parse(text)
        given = address.root if address.is_whole else text
        return Tree(given, Part(readable_path(address.root)), is_whole=address.is_whole)
    if is_url(text):
        return find_remote_tree(text, recorded, is_object=not text.endswith(SEPARATOR) and is_object(text))
    return find_tree(text, recorded, partial(is_doubled, connection))


def _require_one_query(texts: Sequence[str]) -> None:
    """ConfigError where one server is asked for several things at once: it may answer with an instance twice."""
    roots = Counter(_real(text) for text in texts if is_dicomweb(text))
    twice = next((root for root, count in roots.items() if count > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is given twice. Ask for one thing after the other: a second run adds to the first.")


def _as_place(given: str) -> str:
    """A folder as it was given; an archive with the mark behind it, by the file that a link leads to; an address."""
    if is_dicomweb(given):
        return given
    if is_url(given):
        place = Place.parse(given, option="DICOM_DIR", schemes=INPUT_SCHEMES)
        is_packed = place.is_remote and is_archive(place.text) and is_object(place.text)
        return place.text + SEPARATOR * is_packed
    if not Path(given).is_file():
        return given
    return (os.path.realpath(given) if Path(given).is_symlink() else given) + SEPARATOR


def _real(place: str) -> str:
    if is_dicomweb(place):
        return without_query(place)
    if is_url(place):
        return place.rstrip("/")
    archive = find_archive(place)
    return f"{os.path.realpath(archive[0])}{SEPARATOR}" if archive else os.path.realpath(place)


def _is_covered(place: str, other: str, config: Config) -> bool:
    """Whether a place lies in another one that is searched, too."""
    inner, outer = _real(place), _real(other)
    if inner == outer or not inner.startswith(os.path.join(outer, "")):
        return False
    return config.archives and is_archive(inner.removesuffix(SEPARATOR)) if find_archive(place) else True


def _search(
    tree: Tree, config: Config, exclude: Collection[str], passed_over: Counter[str], spool: Spool
) -> Iterator[Source | None]:
    if is_dicomweb(tree.given):
        return find_instances(DicomwebAddress.parse(tree.given))
    root, within = actual_path(tree.home.root), actual_path(tree.home.prefix.rstrip("/"))
    place = os.path.join(root, within).rstrip("/")
    if find_archive(place) is not None:
        members = archive_members(root, within, passed_over, spool=spool)
        if members is None and is_url(place):
            raise ConfigError(f"{place.removesuffix(SEPARATOR)} is not an archive that can be opened.")
        return members or iter(())
    if is_url(tree.given):
        archives = config.archives
        return remote_sources(tree, exclude=exclude, passed_over=passed_over, archives=archives, spool=spool)
    return discover(
        root,
        within=within,
        inner=tree.inner,
        exclude=exclude,
        passed_over=passed_over,
        follow_links=config.follow_links,
        archives=config.archives,
        spool=spool,
    )


def _is_readable_archive(place: str) -> bool:
    try:
        with LocalSource.at(os.path.realpath(place)).open() as file:
            return archive_kind(place, file.read_range(0, 512)) is not None
    except InputError:
        return False


def _why_not(path: Path) -> str:
    if not path.exists():
        return f"The folder or archive {path} does not exist."
    if is_archive(path.name):
        return f"{path} is not an archive that can be opened. Unpack it, then give the folder."
    return f"{path} is a file. Give the folder that contains it; `dicomprep inspect` explains a single file."

"""DICOMDIR files of media are used for a cross-check, and nothing else: which of their files are missing, or new."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection

from dicomprep.database.queries.dicomdirs import differing_dicomdirs, paths_of_inputs
from dicomprep.database.writes.dicomdirs import record_dicomdir
from dicomprep.database.writes.store import Store
from dicomprep.dicom.dicomdir import MAX_BYTES, References, folded_reference, is_dicomdir, read_references
from dicomprep.errors import InputError, count_of
from dicomprep.storage.archives.kinds import SEPARATOR
from dicomprep.storage.base import Source
from dicomprep.storage.paths import readable_path
from dicomprep.storage.roots import Part

__all__ = ["Dicomdirs", "dicomdir_differences"]

MAX_NAMED_FILES = 3
"""Files of each kind that are named."""

MAX_DICOMDIRS, MAX_REFERENCES = 10_000, 2_000_000
"""That are compared in one run; bounds memory."""


@dataclass(slots=True)
class Dicomdirs:
    """Notices DICOMDIR files among what a run meets, and compares them when all else is recorded."""

    _found: dict[Part, tuple[str, References]] = field(default_factory=dict)
    """By their folder: (path below its root, references)."""
    _references: int = 0

    def watch(self, sources: Iterable[Source | None]) -> Iterator[Source | None]:
        """The same sources."""
        for source in sources:
            if source is not None and source.error is None and is_dicomdir(source.path):
                self._read(source)
            yield source

    def _read(self, source: Source) -> None:
        if len(self._found) >= MAX_DICOMDIRS or self._references >= MAX_REFERENCES:
            return
        with suppress(InputError), source.open() as file:
            references = read_references(file.read_range(0, min(file.size, MAX_BYTES)))
            path = readable_path(source.path)
            folder = path[: path.rfind("/") + 1]
            self._found[Part(readable_path(source.root), folder)] = path, references
            self._references += len(references.names)

    def record(self, store: Store) -> None:
        """Compare each with the inputs below its folder."""
        for part in self._found:
            with store.transaction() as connection:
                self._compare(connection, part)

    def _compare(self, connection: Connection, part: Part) -> None:
        path, (references, is_whole) = self._found[part]
        missing, count, unknown = dict(references), 0, list[str]()
        for name in paths_of_inputs(connection, part):
            folded = folded_reference(name)
            missing.pop(folded, None)
            if is_whole and folded not in references and not self._is_elsewhere(part, name):
                count += 1
                unknown += [name] if len(unknown) < MAX_NAMED_FILES else []
        names = [readable_path(name) for name in list(missing.values())[:MAX_NAMED_FILES]]
        missed, others = (len(missing), names), (count, unknown)
        record_dicomdir(connection, part.root, path, references=len(references), missing=missed, unreferenced=others)

    def _is_elsewhere(self, part: Part, name: str) -> bool:
        """Whether a file is a DICOMDIR, or another one's, or lies in an archive."""
        folders = [name[: at + 1] for at in range(len(name)) if name[at] == "/"]
        others = any(Part(part.root, part.prefix + folder) in self._found for folder in folders)
        return is_dicomdir(name) or others or f"{SEPARATOR}/" in name


def dicomdir_differences(connection: Connection) -> Iterator[str]:
    """Sentences on media whose files are not those that their DICOMDIR refers to."""
    for row in differing_dicomdirs(connection):
        facts = []
        if row.missing:
            named = _name(row.missing, row.missing_names)
            referenced = f"{row.missing:,} of {row.references_count:,} referenced files"
            facts.append(f"{referenced} are missing or not DICOM{named}")
        if row.unreferenced:
            named = _name(row.unreferenced, row.unreferenced_names)
            facts.append(f"{count_of(row.unreferenced, 'DICOM file')} not referenced{named}")
        yield f"{row.root}/{row.path}: {'; '.join(facts)}."


def _name(count: int, names: str) -> str:
    named = names.split("\n")
    return f" ({', '.join(named)}{', …' if count > len(named) else ''})"

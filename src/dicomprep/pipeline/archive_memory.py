"""Archives that can only be read in order are read again only where something in them is due."""

from collections import Counter
from dataclasses import dataclass, field

from dicomprep.database.writes import archives
from dicomprep.pipeline.planner import Planner
from dicomprep.pipeline.result import Others, Result
from dicomprep.storage.archives.kinds import SEPARATOR
from dicomprep.storage.base import Source
from dicomprep.storage.paths import readable_path
from dicomprep.storage.roots import Part
from dicomprep.storage.source import Version

__all__ = ["ArchiveMemory"]


@dataclass(slots=True)
class ArchiveMemory:
    """See `storage.archives.spool.Memory`."""

    planner: Planner
    fingerprint: str
    result: Result
    _read: dict[Part, Version] = field(default_factory=dict)
    """Archives that were read to their end."""
    _others: dict[Part, Others] = field(default_factory=dict)
    """What is in each that is no input."""

    def is_done(self, root: str, prefix: str, version: Version) -> bool:
        """Whether nothing that an archive holds is due; it is counted as if it had been read."""
        archive = Part(readable_path(root), readable_path(prefix))
        with self.planner.store.transaction() as connection:
            recorded = archives.others_of(connection, archive, version)
            count = archives.count_members(connection, archive, version, self.fingerprint) if recorded else None
        if recorded is None or count is None:
            return False
        self.planner.unchanged += count
        self.result.add(Others.of(recorded))
        return True

    def note_end(self, root: str, prefix: str, version: Version, passed_over: Counter[str]) -> None:
        """An archive was read to its end."""
        archive = Part(readable_path(root), readable_path(prefix))
        self._read[archive] = version
        self._others.setdefault(archive, Others()).passed_over.update(passed_over)

    def note_other(self, source: Source) -> None:
        """What was found is no input."""
        mark = f"{SEPARATOR}/"
        if mark not in f"{source.root}/{source.path}":
            return
        prefix = "" if source.root.endswith(SEPARATOR) else source.path.partition(mark)[0] + mark
        archive = Part(readable_path(source.root), readable_path(prefix))
        self._others.setdefault(archive, Others()).count_other(source.path)

    def keep(self) -> None:
        """Note of which archives all is recorded, at the end of a run that finished all that it found."""
        for archive, version in self._read.items():
            with self.planner.store.transaction() as connection:
                if archives.count_members(connection, archive, version, self.fingerprint) is not None:
                    archives.remember(connection, archive, version, self._others[archive].as_dict())

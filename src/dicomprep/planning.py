"""Which of the files found need work, and what their images shall be called."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from dicomprep.config import Config, Names
from dicomprep.database.queries import Known, any_files, find_known, find_moved, find_taken_names
from dicomprep.database.store import Store
from dicomprep.errors import ErrorCode
from dicomprep.models import Outcome, Source, Task
from dicomprep.naming import frame_stem, hashed_name, is_hashed, source_name, with_suffix_hash
from dicomprep.storage import actual_path, readable_path

__all__ = ["Planner"]

TRIED_AGAIN = frozenset({ErrorCode.UNREADABLE, ErrorCode.CHANGED})
"""What may be gone at the next run without the file's size or time having changed."""


@dataclass(slots=True)
class Planner:
    """Compares what is found with what is recorded, a batch at a time."""

    store: Store
    config: Config
    key: bytes
    unchanged: int = 0
    moved: int = 0
    _may_have_moved: bool = False
    _fingerprint: str = ""
    _claimed: set[str] = field(default_factory=set)
    """Names that were given out and are not yet recorded."""

    def __post_init__(self) -> None:
        self._fingerprint = self.config.image.fingerprint()
        with self.store.transaction() as connection:
            self._may_have_moved = any_files(connection)

    def plan(self, sources: Sequence[Source]) -> list[Task]:
        """The tasks that a batch of sources makes; a file not seen before is first asked for its digest."""
        with self.store.transaction() as connection:
            known = find_known(connection, sources[0].root, [source.path for source in sources])
        tasks: list[Task] = []
        new: list[Source] = []
        for source in sources:
            record = known.get(readable_path(source.path))
            if record is None or (not self._is_settled(source, record) and self._is_misnamed(record)):
                new.append(source)
            elif self._is_settled(source, record):
                self.unchanged += 1
            else:
                tasks.append(Task(source, record.study_id, record.name, recorded=True))
        for task in self._name(new):
            recorded = readable_path(task.source.path) in known
            ask = self._may_have_moved and not recorded and not task.source.error
            tasks.append(replace(task, digest_only=ask, recorded=recorded))
        return tasks

    def resolve(self, outcomes: Sequence[Outcome]) -> list[Task]:
        """The tasks of files whose digests are known now: those that only moved are recorded as such."""
        digests = [outcome.digest for outcome in outcomes if outcome.digest]
        with self.store.transaction() as connection:
            candidates = find_moved(connection, digests)
        moves: list[tuple[int, Source]] = []
        new: list[Task] = []
        for outcome in outcomes:
            rows = candidates.get(outcome.digest, [])
            match = _best_match(outcome.task.source, rows)
            if match is None:
                new.append(replace(outcome.task, digest_only=False))
                continue
            rows.remove(match)
            moves.append((match[0], outcome.task.source))
            self.release([outcome])
        if not moves:
            return new
        self.store.move(moves)
        self.moved += len(moves)
        return new + self.plan([source for _, source in moves])

    def release(self, outcomes: Iterable[Outcome]) -> None:
        """These are recorded: the database remembers their names from now on."""
        for outcome in outcomes:
            self._claimed.discard(outcome.task.name)

    def _is_settled(self, source: Source, record: Known) -> bool:
        """Whether what is recorded of a file still holds, whatever it is."""
        same = (source.size, source.mtime_ns) == (record.size, record.mtime_ns)
        return same and record.fingerprint == self._fingerprint and record.error_code not in TRIED_AGAIN

    def _is_misnamed(self, record: Known) -> bool:
        """Whether names that tell of the source are asked for and this one is hashed, or the reverse."""
        return is_hashed(record.name) != (self.config.image.names is Names.HASH)

    def _name(self, sources: Sequence[Source]) -> list[Task]:
        if not sources:
            return []
        wishes = [self._wish(source) for source in sources]
        options = [_options(name, source) for (_, name), source in zip(wishes, sources, strict=True)]
        names = [name for choices in options for name in choices]
        stems = [stem for name in names if (stem := frame_stem(name))]
        with self.store.transaction() as connection:
            taken, taken_stems = find_taken_names(connection, names, stems)
        taken |= self._claimed
        taken_stems |= {stem for name in self._claimed if (stem := frame_stem(name))}
        tasks = []
        for source, (study_id, _), choices in zip(sources, wishes, options, strict=True):
            name = next(n for n in choices if not {n, frame_stem(n)} & taken and n not in taken_stems)
            taken.add(name)
            taken_stems.add(frame_stem(name) or "")
            self._claimed.add(name)
            tasks.append(Task(source, study_id, name))
        return tasks

    def _wish(self, source: Source) -> tuple[str, str]:
        if self.config.image.names is Names.HASH:
            return hashed_name(self.key, source.path)
        return source_name(os.path.basename(source.root), source.path)


def _options(name: str, source: Source) -> tuple[str, str, str]:
    """Names for a source, the plain one first; the last is its own for certain."""
    return (
        name,
        with_suffix_hash(name, source.path),
        with_suffix_hash(name, os.path.join(source.root, source.path)),
    )


def _best_match(source: Source, rows: Sequence[tuple[int, str, str, str]]) -> tuple[int, str, str, str] | None:
    """Of recorded files with the same content, one whose own place is empty now: the most alike in its path."""
    gone = [row for row in rows if not os.path.lexists(os.path.join(actual_path(row[1]), actual_path(row[2])))]
    mine = readable_path(source.path)[::-1]
    return max(gone, key=lambda row: _common_length(mine, row[2][::-1]), default=None)


def _common_length(one: str, other: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))

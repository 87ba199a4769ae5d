"""Which of the files found need processing, and the names of their images."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from sqlalchemy import Connection

from dicomprep.config import Config, Names
from dicomprep.database.queries.inputs import (
    GivenName,
    RecordedVersion,
    any_files,
    find_given_names,
    find_taken_names,
    find_up_to_date,
)
from dicomprep.database.writes.recovery import mark_stale
from dicomprep.database.writes.store import Store
from dicomprep.errors import ErrorCode
from dicomprep.models import Outcome, Task
from dicomprep.pipeline.forgetting import Tombstones
from dicomprep.pipeline.moving import Moves
from dicomprep.storage.base import Source
from dicomprep.storage.dicomweb_address import is_dicomweb
from dicomprep.storage.naming import (
    folded_name,
    frame_stem,
    group_folder,
    hashed_name,
    is_hashed,
    source_name,
    with_suffix_hash,
)
from dicomprep.storage.paths import readable_path

__all__ = ["Planner"]


@dataclass(slots=True)
class Claims:
    """Folded names that are assigned but not yet recorded, with the stems of those that could be a frame's."""

    _stems: dict[str, str | None] = field(default_factory=dict)
    _counts: Counter[str | None] = field(default_factory=Counter)
    """How many names have a stem."""

    def conflict(self, name: str, stem: str | None) -> bool:
        """Whether an image of this name could be one of a name that is claimed, or the reverse."""
        return name in self._stems or stem in self._stems or name in self._counts

    def add(self, name: str, stem: str | None) -> None:
        """Claim a name."""
        self._stems[name] = stem
        self._counts[stem] += 1

    def release(self, name: str) -> None:
        """Give a name back, if it was claimed: it is recorded, or nobody wants it."""
        if name in self._stems:
            stem = self._stems.pop(name)
            self._counts[stem] -= 1
            if not self._counts[stem]:
                del self._counts[stem]


@dataclass(slots=True)
class Planner:
    """Compares found files with recorded ones, in batches."""

    store: Store
    config: Config
    key: bytes
    unchanged: int = 0
    trusted: int = 0
    """Of the unchanged, those of which a server says nothing new, and whose content nobody looked at."""
    moved: int = 0
    tombstones: Tombstones = field(init=False)
    """Of whom nothing may be recorded."""
    _any_recorded: bool = False
    """Whether earlier runs recorded anything."""
    _fingerprint: str = ""
    _doubted: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)
    """Recorded (id, digest) of files whose change time alone differs, by root and path."""
    _moves: Moves = field(default_factory=Moves)
    _claims: Claims = field(default_factory=Claims)

    def __post_init__(self) -> None:
        self._fingerprint = self.config.fingerprint()
        with self.store.transaction() as connection:
            self._any_recorded = any_files(connection)
            self.tombstones = Tombstones.read(connection, self.key)

    def plan(self, sources: Sequence[Source]) -> list[Task]:
        """The tasks for a batch of sources."""
        by_root = groupby(sources, key=lambda source: source.root)
        return [task for _, those in by_root for task in self._plan_below_root(list(those))]

    def _plan_below_root(self, sources: Sequence[Source]) -> list[Task]:
        """The tasks of sources that lie below one root.

        For a new file the digest is computed first; also for one whose change time alone differs: it may have been
        replaced by a renamed file of the same size and time.
        """
        root, due = sources[0].root, {readable_path(source.path): source for source in sources}
        is_remote = is_dicomweb(root)
        tasks: list[Task] = []
        with self.store.transaction() as connection:
            if self._any_recorded:
                up_to_date = find_up_to_date(connection, root, list(due), fingerprint=self._fingerprint)
                again = is_remote and self.config.refetch
                same = [path for path, s in due.items() if not again and _is_unchanged(s, up_to_date.get(path))]
                tasks += [Task(due.pop(p), "", "", header_only=True) for p in same if up_to_date[p].header_due]
                due = {path: source for path, source in due.items() if path not in same}
                self._doubt({path: s for path, s in due.items() if path in up_to_date}, up_to_date)
            self.unchanged += len(sources) - len(due)
            self.trusted += (len(sources) - len(due)) * is_remote
            given = find_given_names(connection, root, list(due)) if self._any_recorded else {}
            mark_stale(connection, readable_path(root), [p for p in given if (root, due[p].path) not in self._doubted])
            names = {path: names for path, names in given.items() if not self._is_misnamed(names.name)}
            names |= self._name(connection, {path: source for path, source in due.items() if path not in names})
        for path, source in due.items():
            is_doubted = (root, source.path) in self._doubted
            ask = is_doubted or (path not in given and not is_remote)  # to fetch a new one once is enough
            ask = ask and self._any_recorded and not source.error
            tasks.append(Task(source, *names[path], digest_only=ask, recorded=path in given))
        return tasks

    def _doubt(self, sources: Mapping[str, Source], recorded: Mapping[str, RecordedVersion]) -> None:
        """Keep the records of files that may be unchanged."""
        for path, source in sources.items():
            known = recorded[path]
            if source.version.has_content_of(known.version) and known.digest:
                self._doubted[source.root, source.path] = known.id, known.digest

    def resolve(self, outcomes: Sequence[Outcome]) -> list[Task]:
        """The tasks of files whose digests are now known; files that only moved are recorded as such."""
        outcomes, changed = self._resolve_doubts(outcomes)
        return changed + self._resolve_new(outcomes)

    def _resolve_doubts(self, outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Task]]:
        """Returns (outcomes of new files, tasks of changed ones); files of the same digest count as unchanged."""
        new, same, changed = [], [], []
        for outcome in outcomes:
            source = outcome.task.source
            file_id, digest = self._doubted.pop((source.root, source.path), (0, b""))
            if not file_id:
                new.append(outcome)
            elif outcome.error_code is ErrorCode.UNREADABLE:
                self.unchanged += 1  # for now: it is asked again by the next run
            elif outcome.digest == digest:
                same.append((file_id, source))
            else:
                changed.append(replace(outcome.task, digest_only=False))
        if same:
            self.store.move(same)
            self.unchanged += len(same)
        if changed:
            with self.store.transaction() as connection:
                for root in {task.source.root for task in changed}:
                    paths = [readable_path(task.source.path) for task in changed if task.source.root == root]
                    mark_stale(connection, readable_path(root), paths)
        return new, changed

    def _resolve_new(self, outcomes: Sequence[Outcome]) -> list[Task]:
        digests = [outcome.digest for outcome in outcomes if outcome.digest]
        with self.store.transaction() as connection:
            self._moves.look_up(connection, digests)
        moves: list[tuple[int, Source]] = []
        new: list[Task] = []
        for outcome in outcomes:
            file_id = self._moves.take(outcome.digest, outcome.task.source.path)
            if file_id is None:
                new.append(replace(outcome.task, digest_only=False))
                continue
            moves.append((file_id, outcome.task.source))
            self.release([outcome])
        if not moves:
            return new
        self.store.move(moves)
        self.moved += len(moves)
        return new + self.plan([source for _, source in moves])

    def release(self, outcomes: Iterable[Outcome]) -> None:
        """Release the names of recorded outcomes: the database has them now."""
        for outcome in outcomes:
            self._claims.release(folded_name(outcome.task.name))

    def _is_misnamed(self, name: str) -> bool:
        """Whether a name is hashed while path names are requested, or the reverse."""
        return is_hashed(name) != (self.config.image.names is Names.HASH)

    def _name(self, connection: Connection, sources: Mapping[str, Source]) -> dict[str, GivenName]:
        """Names for new sources, by their readable paths."""
        wishes = {path: self._wish(source) for path, source in sources.items()}
        names: dict[str, GivenName] = {}
        for option in (_plain_name, _own_name_below_root, _own_name):
            left = {path: option(wishes[path].name, source) for path, source in sources.items() if path not in names}
            if not left:
                break
            for path, name in self._claim(connection, left):
                names[path] = wishes[path]._replace(name=name)
        return names

    def _claim(self, connection: Connection, wanted: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Those of the wanted names that are free; they are reserved."""
        folded = {path: folded_name(name) for path, name in wanted.items()}
        stems = {name: frame_stem(name) for name in folded.values()}
        used, used_stems = find_taken_names(connection, list(stems), [stem for stem in stems.values() if stem])
        for path, name in folded.items():
            stem = stems[name]
            if name in used or stem in used or name in used_stems or self._claims.conflict(name, stem):
                continue
            self._claims.add(name, stem)
            yield path, wanted[path]

    def _wish(self, source: Source) -> GivenName:
        root, path = source.named_after
        if self.config.image.names is Names.HASH:
            return GivenName(*hashed_name(self.key, path), "")
        study_id, name = source_name(root, path)
        folder = group_folder(root, path)
        return GivenName(study_id, name, folder if folder != study_id else "")


def _is_unchanged(source: Source, recorded: RecordedVersion | None) -> bool:
    """Whether a file is the recorded one, by size, times and identity."""
    return recorded is not None and source.version.is_same(recorded.version)


def _plain_name(name: str, _source: Source) -> str:
    return name


def _own_name_below_root(name: str, source: Source) -> str:
    return with_suffix_hash(name, source.named_after[1])


def _own_name(name: str, source: Source) -> str:
    return with_suffix_hash(name, os.path.join(source.root, source.path))

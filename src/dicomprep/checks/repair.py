"""Regenerating missing and damaged images, with the options of the last run on their folder; whether it succeeded."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from sqlalchemy import Connection

from dicomprep.checks.verify import MAX_EXAMPLES, contradiction, look_at
from dicomprep.config import Config
from dicomprep.database.queries import verify as verify_queries
from dicomprep.database.queries.concerns import changed_splits
from dicomprep.database.queries.runs import last_options
from dicomprep.database.queries.verify import RecordedImage, RecordedInput
from dicomprep.database.writes.groups import forget_lost_kin
from dicomprep.database.writes.recovery import mark_stale
from dicomprep.database.writes.store import Store
from dicomprep.pipeline.rerun import recorded_config, sources_below
from dicomprep.pipeline.result import ProgressListener
from dicomprep.pipeline.run import run
from dicomprep.storage.archives.places import find_archive, is_gone
from dicomprep.storage.paths import actual_path
from dicomprep.storage.place import is_url
from dicomprep.workspace import Workspace

__all__ = ["Repaired", "repair"]

BATCH_FILES = 5000
"""Inputs processed again at a time; bounds memory, which holds what their images were before."""

MakeListener = Callable[[Config, int], ProgressListener]
"""Makes the listener of the run that regenerates the images of that many inputs."""


@dataclass(slots=True)
class Repaired:
    """What became of the images that were wrong."""

    restored: int = 0
    """Images that are byte for byte what was recorded."""
    different: int = 0
    """Whole images that are not what was recorded."""
    lost: int = 0
    """Images that could not be regenerated."""
    reasons: list[str] = field(default_factory=list)
    """Why, for the first of them."""
    changed_side: int = 0
    """Labeled images that moved to another split: the Patient IDs of their sources have changed."""
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 everything is as it was, 1 something is not, 130 interrupted."""
        return 130 if self.interrupted else int(self.different + self.lost > 0)

    def explain(self, reason: str) -> None:
        """Say what is not as it was, unless enough has been said."""
        if len(self.reasons) < MAX_EXAMPLES:
            self.reasons.append(reason)


def repair(workspace: Workspace, due: set[int], *, workers: int, make_listener: MakeListener) -> Repaired:
    """Process the inputs with these ids again, except those whose source is gone: of them nothing is touched."""
    repaired = Repaired()
    with workspace.writing() as store:
        ids = sorted(due)
        for start in range(0, len(ids), BATCH_FILES):
            _Part(workspace, store, ids[start : start + BATCH_FILES], repaired, workers, make_listener).repair()
            if repaired.interrupted:
                break
    return repaired


@dataclass(slots=True)
class _Part:
    """Some of the inputs."""

    workspace: Workspace
    store: Store
    ids: Sequence[int]
    repaired: Repaired
    workers: int
    make_listener: MakeListener

    def repair(self) -> None:
        self.workspace.require_claimed()
        with self.store.transaction() as connection:
            before = _Recorded.of(connection, self.ids)
            forget_lost_kin(connection)
        wrong = {place for place in before.images if not self._is_whole(place, before)}
        for place in wrong:
            if before.images[place].file_id not in before.files:
                self._lose(f"{place}: its source file is not recorded")
        for row in before.files.values():
            if not _is_here(row):
                self._give_up(row, before, wrong)
        here = sorted((row for row in before.files.values() if _is_here(row)), key=attrgetter("root", "path"))
        for root, rows in groupby(here, key=attrgetter("root")):
            if not self.repaired.interrupted:
                self._process(root, [row.path for row in rows])
        if not self.repaired.interrupted:
            with self.store.transaction() as connection:
                after = _Recorded.of(connection, [row.id for row in here])
            self._compare(before, after, wrong)

    def _give_up(self, row: RecordedInput, before: "_Recorded", wrong: set[str]) -> None:
        """Nothing can be done for the images of a file that is gone; those that are whole stay."""
        self.repaired.lost += sum(before.images[place].file_id == row.id for place in wrong) or 1
        self.repaired.explain(f"{row.root}/{row.path}: source file missing or unreadable; restore it and verify again")

    def _process(self, root: str, paths: list[str]) -> None:
        with self.store.transaction() as connection:
            options = last_options(connection, root)
        with self.store.transaction() as connection:
            mark_stale(connection, root, paths)
        config = recorded_config(self.workspace, options, root, {"workers": self.workers})
        result = run(
            self.workspace,
            config,
            sources=sources_below(root, paths, config),
            listener=self.make_listener(config, len(paths)),
        )
        self.repaired.interrupted = result.interrupted
        with self.store.transaction() as connection:
            self.repaired.changed_side += changed_splits(connection)[0]

    def _compare(self, before: "_Recorded", after: "_Recorded", wrong: set[str]) -> None:
        for file_id, row in after.files.items():
            reason = contradiction(row, after.counts[file_id])
            if reason:
                self._lose(f"{row.root}/{row.path}: {reason}")
        for place, (file_id, *content) in before.images.items():
            if file_id not in after.files:
                continue
            _, *now = after.images.get(place, (file_id, None, None))
            if now == content and self._is_whole(place, after):
                self.repaired.restored += place in wrong
            elif now[0] is None or not self._is_whole(place, after):
                self._lose(f"{place}: {_why_lost(after.files[file_id])}")
            else:
                self.repaired.different += 1
                self.repaired.explain(f"{place}: {_why_different(before.files[file_id], after.files[file_id])}")

    def _lose(self, reason: str) -> None:
        self.repaired.lost += 1
        self.repaired.explain(reason)

    def _is_whole(self, place: str, recorded: "_Recorded") -> bool:
        _, size, digest = recorded.images[place]
        return look_at(self.workspace.images, place, size, digest) is None


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What the database says of some inputs."""

    files: dict[int, RecordedInput]
    images: dict[str, RecordedImage]
    counts: Counter[int]

    @classmethod
    def of(cls, connection: Connection, ids: Sequence[int]) -> "_Recorded":
        images = verify_queries.find_frames(connection, ids)
        return cls(
            verify_queries.find_files(connection, ids), images, Counter(image.file_id for image in images.values())
        )


def _is_here(row: RecordedInput) -> bool:
    """Whether the source of an input, or the archive that it lies in, can be read; a link is not followed."""
    root = actual_path(row.root)
    if is_url(root):
        return not is_gone(root, actual_path(row.path))
    place = os.path.join(root, actual_path(row.path))
    path = Path((find_archive(place) or (place,))[0])
    return path.is_file() and not path.is_symlink() and os.access(path, os.R_OK)


def _why_lost(row: RecordedInput) -> str:
    code = f" ({row.error_code})" if row.error_code else ""
    return f"its source no longer yields this image; the file is now {row.status}{code}"


def _why_different(before: RecordedInput, after: RecordedInput) -> str:
    if before.digest != after.digest:
        return "its source has changed since; the image was made from the new content"
    if before.fingerprint != after.fingerprint:
        return "made with other options or by another version before; now with the options of the last run"
    return "same source and options, different image: perhaps another version of a decoder"

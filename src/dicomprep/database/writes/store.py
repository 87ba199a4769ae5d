"""All writes to the database. During a run its parent process is the only writer."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, func, select, update
from sqlalchemy.exc import DBAPIError

from dicomprep.database.address import DatabaseAddress
from dicomprep.database.bulk import any_of, insert, look_up
from dicomprep.database.connection import (
    connect,
    migrate,
    read_meta,
    shown_database,
    write_meta,
)
from dicomprep.database.errors import database_fault
from dicomprep.database.queries.concerns import (
    groups_of_labeled,
    note_changed_splits,
    splits_of_frames,
    splits_of_labeled,
)
from dicomprep.database.queries.failures import is_failure
from dicomprep.database.queries.roots import lie_in
from dicomprep.database.schema import files, frames, runs
from dicomprep.database.sqlite import BUSY_SECONDS, Patience
from dicomprep.database.writes.duplicates import Duplicates
from dicomprep.database.writes.groups import Move, ensure_groups, join_groups
from dicomprep.database.writes.pictures import Pictures
from dicomprep.database.writes.recovery import add_pending_deletions, clear_pending_deletions
from dicomprep.database.writes.references import replace_references
from dicomprep.database.writes.rows import frame_rows, input_row, now
from dicomprep.errors import ConfigError, ErrorCode, disk_fault
from dicomprep.models import Outcome, Status
from dicomprep.privacy.keys import find_key, fingerprint_key, load_key, make_key, save_key
from dicomprep.splits import SplitRule
from dicomprep.storage.access import OWNER, make_file, make_folder
from dicomprep.storage.base import Source
from dicomprep.storage.images import holds_images
from dicomprep.storage.paths import actual_path, readable_path
from dicomprep.storage.place import Place
from dicomprep.storage.roots import Part

__all__ = ["Store"]

_RECORDED = select(files.c.path, files.c.id, files.c.attempts).where(
    files.c.root == bindparam("root"), any_of(files.c.path)
)
_FRAMES = select(frames.c.id, frames.c.file_id, frames.c.frame_number, frames.c.thumbnail_path).where(
    any_of(frames.c.file_id)
)


class Store:
    """A database that is open for writing."""

    def __init__(self, address: DatabaseAddress, *, alone: bool = False, access: int = OWNER) -> None:
        self.address, self.patience = address, Patience(BUSY_SECONDS)
        self.followed, self.returned = Counter[str](), Counter[str]()
        self._sides: dict[int, tuple[str, str]] = {}
        """Of groups of earlier runs that moved, the side before and the one now."""
        if address.is_file:
            _make_place(address, access)
        self.engine: Engine = connect(address, patience=self.patience, alone=alone)
        try:
            migrate(self.engine)
        except BaseException:
            self.engine.dispose()
            raise

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction; EnvironmentFault where the database fails."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise database_fault(shown_database(self.engine), error) from error

    def open_key(self, path: Path, former: Path | None) -> bytes:
        """The data set's key: made at the first run, then always the same; ConfigError where it is missing or wrong.

        One that lies where earlier releases kept it is copied to its place.
        """
        with self.transaction() as connection:
            known = read_meta(connection, "key_check")
            if known is not None:
                key = find_key(path, former, check=known)
                if not path.exists():
                    save_key(path, key)
                return key
            key = load_key(path) or make_key(path)
            write_meta(connection, "key_check", fingerprint_key(key))
        return key

    def bind_output(self, output: Place) -> None:
        """Record where thumbnails lie; where those recorded before are no longer there, all files become due again.

        Raises ConfigError where the database's thumbnails lie in another place.
        """
        folder = self.address.folder
        near = folder is not None and not output.is_remote and output.path.is_relative_to(folder)
        value = readable_path(os.path.relpath(output.text, folder) if near and folder is not None else output.text)
        with self.transaction() as connection:
            known = read_meta(connection, "output_dir")
            recorded = connection.execute(select(frames.c.id).limit(1)).first() is not None
            if known is not None and known != value and recorded:
                before = Place.recorded(actual_path(known), folder)
                if holds_images(before):
                    message = f"The database {self.address} describes the thumbnails in {before}, not in {output}."
                    raise ConfigError(f"{message} Give that --output-dir, or another --db.")
            write_meta(connection, "output_dir", value)
            if recorded and not holds_images(output):
                connection.execute(update(files).values(fingerprint=""))

    def begin_run(self, *, version: str, root: str, options: dict[str, Any]) -> int:
        """Record that a run began, of readable roots, one a line; its id."""
        row: dict[str, Any] = dict.fromkeys(
            ("interrupted", "found", "processed", "unchanged", "other_files", "frames"), 0
        )
        row |= {"started_at": now(), "version": version, "root": root, "seconds": 0.0}
        with self.transaction() as connection:
            statement = runs.insert().values(**row, options=json.dumps(options, sort_keys=True, default=str))
            return int(connection.execute(statement.returning(runs.c.id)).scalar_one())

    def finish_run(self, run_id: int, **counts: float) -> None:
        """Record how a run ended."""
        with self.transaction() as connection:
            connection.execute(update(runs).where(runs.c.id == run_id).values(finished_at=now(), **counts))
            clear_pending_deletions(connection)

    def forget_idle_run(self) -> None:
        """Remove the newest run, if it processed nothing."""
        newest = select(func.max(runs.c.id)).scalar_subquery()
        with self.transaction() as connection:
            connection.execute(delete(runs).where(runs.c.id == newest, runs.c.processed == 0))

    def record(
        self,
        outcomes: Sequence[Outcome],
        *,
        run_id: int,
        fingerprint: str,
        rule: SplitRule,
        unnamed: Iterable[str] = (),
    ) -> set[str]:
        """Record what became of inputs below one root, all or none; the thumbnails that no row names any more.

        They and `unnamed` are noted, so that a later run removes them if this one cannot. `rule` gives the split of
        a group that is new; one recorded before stays.
        """
        with self.transaction() as connection:
            group_ids, moves = ensure_groups(connection, [o.instance for o in outcomes], rule, run_id)
            kept = _keep_labeled(connection, outcomes, group_ids, run_id, rule.key)
            rows = [
                input_row(
                    o,
                    group_ids=kept.get(o.task.source.path, group_ids),
                    run_id=run_id,
                    fingerprint=fingerprint,
                )
                for o in outcomes
            ]
            pictures = Pictures(connection, run_id)
            root, paths = rows[0].root, [row.path for row in rows]
            pictures.note_known(root, paths)
            again = [row.path for row, o in zip(rows, outcomes, strict=True) if o.task.recorded]
            sides = splits_of_labeled(connection, root, again)
            duplicates = Duplicates(connection, run_id, rule.key)
            duplicates.find_duplicates(rows)
            insert(connection, files, rows, key=("root", "path"), replace=True)
            recorded = look_up(connection, _RECORDED, paths, root)
            known = {path: (file_id, attempts) for path, file_id, attempts in recorded}
            ids = [known[path][0] for path in paths]
            before = [file_id for file_id, attempts in known.values() if attempts > 1]
            pictures.set_aside(zip(ids, outcomes, strict=True))
            gone = _remove_frames(connection, before, zip(ids, outcomes, strict=True)) if before else []
            images = frame_rows(zip(ids, outcomes, strict=True), pictures.since, run_id)
            insert(connection, frames, images, key=("file_id", "frame_number"), replace=True)
            replace_references(connection, before, zip(ids, outcomes, strict=True))
            duplicates.resolve(before)
            pictures.hand_over(zip(ids, outcomes, strict=True), duplicates.surfaced)
            _note_sides(connection, sides, run_id)
            stale = {*gone, *unnamed} - {written.thumbnail_path for o in outcomes for written in o.written}
            add_pending_deletions(connection, stale)
        self._note_moves((*moves, *duplicates.moves))
        self.followed += pictures.moved
        self.returned += pictures.returned
        return stale

    def _note_moves(self, moves: Iterable[Move]) -> None:
        for move in moves:
            if not move.is_new:
                self._sides[move.group_id] = self._sides.get(move.group_id, (move.before,))[0], move.after

    @property
    def moved_groups(self) -> int:
        """How many groups of earlier runs are on another side now: they are one with others."""
        return sum(before != after for before, after in self._sides.values())

    def move(self, sources: Sequence[tuple[int, Source]]) -> None:
        """Record that known files lie elsewhere now: (file id, where it is)."""
        rows = [{"file_id": file_id, **_place(source)} for file_id, source in sources]
        statement = update(files).where(files.c.id == bindparam("file_id"))
        with self.transaction() as connection:
            connection.execute(statement.values({name: bindparam(name) for name in _place(sources[0][1])}), rows)

    def drop_unseen(self, parts: Iterable[Part], run_id: int) -> None:
        """Forget what an earlier run could not read, or not yet, and this one, which saw all of `parts`, did not meet.

        So nothing is left of a temporary name under which a file was copied in. None of these have images.
        """
        unread = (files.c.status == Status.FAILED) & (files.c.error_code == ErrorCode.UNREADABLE)
        unread = is_failure() & (unread | (files.c.status == Status.UNSTABLE))  # failures have an index
        with self.transaction() as connection:
            for part in parts:
                connection.execute(delete(files).where(unread & lie_in(part) & (files.c.run_id < run_id)))


def _keep_labeled(
    connection: Connection, outcomes: Sequence[Outcome], group_ids: Mapping[str, int], run_id: int, secret: bytes
) -> dict[str, dict[str, int]]:
    """The group that labeled files of unchanged content keep (by path and key), though their header now names another.

    Their patient is who he was: only how this program tells patients is other than in the release that recorded them.
    So labels stay in their split, and both groups are one.
    """
    again = {readable_path(o.task.source.path): o for o in outcomes if o.task.recorded and o.instance.group_key}
    if not again:
        return {}
    root = readable_path(outcomes[0].task.source.root)
    kept: dict[str, dict[str, int]] = {}
    pairs: list[tuple[int, int]] = []
    for path, (group_id, digest) in groups_of_labeled(connection, root, list(again)).items():
        outcome = again[path]
        key = outcome.instance.group_key
        if digest == outcome.digest and group_ids[key] != group_id:
            kept[outcome.task.source.path] = {key: group_id}
            pairs.append((group_id, group_ids[key]))
    join_groups(connection, pairs, key=secret, run_id=run_id, reason="rules")
    return kept


def _note_sides(connection: Connection, before: Mapping[int, str], run_id: int) -> None:
    """Count the labeled images that changed their split, because their files belong to another patient now."""
    now = splits_of_frames(connection, before) if before else {}
    changed = sum(side != before[frame_id] for frame_id, side in now.items())
    if changed:
        note_changed_splits(connection, run_id, changed)


def _remove_frames(
    connection: Connection, file_ids: Sequence[int], recorded: Iterable[tuple[int, Outcome]]
) -> list[str]:
    """Remove the frames that known files have no longer; the thumbnails of theirs that nothing names any more."""
    now: set[tuple[int, int]] = set()
    named: set[str] = set()
    for file_id, outcome in recorded:
        now.update((file_id, written.frame_number) for written in outcome.written)
        named.update(written.thumbnail_path for written in outcome.written)
    gone: list[dict[str, int]] = []
    unnamed: list[str] = []
    for frame_id, file_id, frame_number, place in look_up(connection, _FRAMES, file_ids):
        if (file_id, frame_number) not in now:
            gone.append({"gone_id": frame_id})
        if place not in named:
            unnamed.append(place)
    if gone:
        connection.execute(delete(frames).where(frames.c.id == bindparam("gone_id")), gone)
    return unnamed


def _place(source: Source) -> dict[str, Any]:
    return {
        "root": readable_path(source.root),
        "path": readable_path(source.path),
        "size": source.version.size,
        "mtime_ns": source.version.mtime_ns,
        "ctime_ns": source.version.ctime_ns or None,
        "version_tag": source.version.tag or None,
    }


def _make_place(address: DatabaseAddress, access: int) -> None:
    """The folder of a database, and an empty file, of which SQLite makes one that no others may read than may that."""
    folder = address.path.parent
    try:
        make_folder(folder, access)
    except OSError as error:
        raise disk_fault(f"The folder {folder} cannot be made", error) from error
    with suppress(OSError):  # SQLite will say it
        make_file(address.real_path, access)

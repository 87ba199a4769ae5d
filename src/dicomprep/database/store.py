"""All writes to the database. During a run its parent process is the only writer."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from dicomprep.database.connect import connect, database_folder, displayed_database, migrate, read_meta, write_meta
from dicomprep.database.schema import files, frames, groups, labels, runs
from dicomprep.errors import ConfigError, EnvironmentFault, ErrorCode, LabelError
from dicomprep.models import Outcome, Source, Written
from dicomprep.naming import frame_stem
from dicomprep.privacy import fingerprint_key, load_key, make_key
from dicomprep.storage import OWN_PREFIX, actual_path, readable_path

__all__ = ["Store"]


class Store:
    """A database that is open for writing."""

    def __init__(self, db: str) -> None:
        self.db = db
        folder = database_folder(db)
        if folder is not None:
            _make_folder(folder)
        self.engine: Engine = connect(db).execution_options(writes=True)
        migrate(self.engine)

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
            raise EnvironmentFault(f"The database {displayed_database(self.db)} failed: {error.orig}") from error

    def open_key(self, path: Path) -> bytes:
        """The data set's key: made at the first run, then always the same; ConfigError where it is missing or wrong."""
        with self.transaction() as connection:
            known = read_meta(connection, "key_check")
            key = load_key(path)
            if known is None:
                key = key or make_key(path)
                write_meta(connection, "key_check", fingerprint_key(key))
            elif key is None:
                raise ConfigError(
                    f"The key file {path} is missing: without it patients would change splits. Restore it."
                )
            elif fingerprint_key(key) != known:
                raise ConfigError(f"The key file {path} belongs to another data set. Restore the right one.")
        return key

    def bind_output(self, output_dir: Path) -> None:
        """Record where thumbnails lie; where those recorded before are no longer there, all files become due again.

        Raises ConfigError where the database's thumbnails lie in another folder.
        """
        folder = database_folder(self.db)
        output = output_dir.absolute()
        near = folder is not None and output.is_relative_to(folder)
        value = os.path.relpath(output, folder) if near and folder is not None else str(output)
        with self.transaction() as connection:
            known = read_meta(connection, "output_dir")
            recorded = connection.execute(select(frames.c.id).limit(1)).first() is not None
            if known is not None and known != readable_path(value):
                before = (folder or Path()) / actual_path(known)
                if recorded and _holds_images(before):
                    shown = displayed_database(self.db)
                    message = f"The database {shown} describes the thumbnails in {before}, not in {output_dir}."
                    raise ConfigError(f"{message} Give that --output-dir, or another --db.")
            write_meta(connection, "output_dir", readable_path(value))
            if recorded and not _holds_images(output):
                connection.execute(update(files).values(fingerprint=""))

    def begin_run(self, *, version: str, root: str, options: dict[str, Any]) -> int:
        """Record that a run began; its id."""
        row: dict[str, Any] = dict.fromkeys(
            ("interrupted", "found", "processed", "unchanged", "other_files", "frames"), 0
        )
        row |= {"started_at": _now(), "version": version, "root": readable_path(root), "seconds": 0.0}
        with self.transaction() as connection:
            statement = runs.insert().values(**row, options=json.dumps(options, sort_keys=True, default=str))
            return int(connection.execute(statement.returning(runs.c.id)).scalar_one())

    def finish_run(self, run_id: int, **counts: float) -> None:
        """Record how a run ended."""
        with self.transaction() as connection:
            connection.execute(update(runs).where(runs.c.id == run_id).values(finished_at=_now(), **counts))

    def record(
        self, outcomes: Sequence[Outcome], *, run_id: int, fingerprint: str, splits: dict[str, str]
    ) -> list[str]:
        """Record what became of inputs, all or none; the thumbnails that no row names any more.

        `splits` gives the split of every group key among the outcomes; one recorded before stays.
        """
        with self.transaction() as connection:
            group_ids = self._ensure_groups(connection, outcomes, splits)
            ids = self._upsert_files(connection, outcomes, group_ids, run_id, fingerprint)
            return self._replace_frames(connection, zip(ids, outcomes, strict=True))

    def move(self, sources: Sequence[tuple[int, Source]]) -> None:
        """Record that known files lie elsewhere now: (file id, where it is)."""
        statement = update(files).where(files.c.id == bindparam("file_id"))
        rows = [{"file_id": file_id, **_place(source)} for file_id, source in sources]
        with self.transaction() as connection:
            connection.execute(statement.values({k: bindparam(k) for k in ("root", "path", "size", "mtime_ns")}), rows)

    def make_due(self, root: str, paths: Sequence[str]) -> None:
        """Let the next run below `root` (a readable path, as are `paths`) process these files again."""
        due = (files.c.root == root) & (files.c.path == bindparam("due_path"))
        with self.transaction() as connection:
            if paths:
                connection.execute(update(files).where(due).values(fingerprint=""), [{"due_path": p} for p in paths])

    def add_label(self, frame_id: int, label: str | None, *, annotator: str) -> None:
        """Append to the log of labels; None takes the frame's label back. Nothing is ever overwritten."""
        row = {"frame_id": frame_id, "label": label, "annotator": annotator, "created_at": _now()}
        with self.transaction() as connection:
            if connection.execute(select(frames.c.id).where(frames.c.id == frame_id)).first() is None:
                raise LabelError(f"There is no image {frame_id}.")
            connection.execute(labels.insert().values(row))

    def undo_label(self, *, annotator: str) -> None:
        """Take back what this annotator labelled last, if it still stands."""
        newer = labels.alias("newer")
        stands = ~exists().where(newer.c.frame_id == labels.c.frame_id, newer.c.id > labels.c.id)
        mine = labels.c.label.is_not(None) & (labels.c.annotator == annotator) & stands
        with self.transaction() as connection:
            frame_id = connection.execute(
                select(labels.c.frame_id).where(mine).order_by(labels.c.id.desc()).limit(1)
            ).scalar()
        if frame_id is not None:
            self.add_label(frame_id, None, annotator=annotator)

    def drop_unseen(self, root: str, run_id: int) -> None:
        """Forget what could not be looked at by an earlier run and was not met by this one, which saw all of `root`."""
        never_seen = (files.c.size == 0) & (files.c.mtime_ns == 0) & (files.c.error_code == ErrorCode.UNREADABLE)
        stale = never_seen & (files.c.root == readable_path(root)) & (files.c.run_id < run_id)
        with self.transaction() as connection:
            connection.execute(delete(files).where(stale))

    def _ensure_groups(
        self, connection: Connection, outcomes: Sequence[Outcome], splits: dict[str, str]
    ) -> dict[str, int]:
        kinds = {o.instance.group_key: o.instance.group_kind for o in outcomes if o.instance.group_key}
        if not kinds:
            return {}
        rows = [{"key": key, "kind": kind, "split": splits[key]} for key, kind in kinds.items()]
        connection.execute(self._insert(groups).on_conflict_do_nothing(index_elements=["key"]), rows)
        found = connection.execute(select(groups.c.key, groups.c.id).where(groups.c.key.in_(kinds)))
        return {row[0]: row[1] for row in found}

    def _upsert_files(
        self,
        connection: Connection,
        outcomes: Sequence[Outcome],
        group_ids: dict[str, int],
        run_id: int,
        fingerprint: str,
    ) -> list[int]:
        rows = [_file_row(outcome, group_ids, run_id, fingerprint) for outcome in outcomes]
        insert = self._insert(files)
        changed = {name: insert.excluded[name] for name in rows[0] if name not in ("root", "path", "attempts")}
        changed["attempts"] = files.c.attempts + 1
        connection.execute(insert.on_conflict_do_update(index_elements=["root", "path"], set_=changed), rows)
        wanted = files.c.path.in_([row["path"] for row in rows]) & (files.c.root == rows[0]["root"])
        found = connection.execute(select(files.c.path, files.c.id).where(wanted))
        ids = {row[0]: row[1] for row in found}
        return [ids[row["path"]] for row in rows]

    def _replace_frames(self, connection: Connection, recorded: Iterable[tuple[int, Outcome]]) -> list[str]:
        pairs = list(recorded)
        now = {(file_id, written.frame_number) for file_id, outcome in pairs for written in outcome.written}
        named = {written.thumbnail_path for _, outcome in pairs for written in outcome.written}
        columns = (frames.c.id, frames.c.file_id, frames.c.frame_number, frames.c.thumbnail_path)
        by_file = frames.c.file_id.in_([file_id for file_id, _ in pairs])
        before = connection.execute(select(*columns).where(by_file)).all()
        gone = [{"gone_id": row.id} for row in before if (row.file_id, row.frame_number) not in now]
        if gone:
            connection.execute(delete(frames).where(frames.c.id == bindparam("gone_id")), gone)
        rows = [_frame_row(file_id, written) for file_id, outcome in pairs for written in outcome.written]
        if rows:
            insert = self._insert(frames)
            changed = {name: insert.excluded[name] for name in rows[0] if name not in ("file_id", "frame_number")}
            statement = insert.on_conflict_do_update(index_elements=["file_id", "frame_number"], set_=changed)
            connection.execute(statement, rows)
        return [row.thumbnail_path for row in before if row.thumbnail_path not in named]

    def _insert(self, table: Any) -> Any:  # noqa: ANN401
        """An INSERT that knows ON CONFLICT, as this database writes it."""
        return (sqlite if self.engine.dialect.name == "sqlite" else postgresql).insert(table)


def _file_row(outcome: Outcome, group_ids: dict[str, int], run_id: int, fingerprint: str) -> dict[str, Any]:
    instance = outcome.instance
    return {
        **_place(outcome.task.source),
        "digest": outcome.digest,
        "fingerprint": fingerprint,
        "study_id": outcome.task.study_id,
        "name": outcome.task.name,
        "frame_stem": frame_stem(outcome.task.name),
        "status": outcome.status,
        "error_code": outcome.error_code,
        "error_detail": _text(outcome.error_detail, 4000),
        "frame_count": outcome.frame_count,
        "frames": len(outcome.written),
        "attempts": 1,
        "run_id": run_id,
        "group_id": group_ids.get(instance.group_key),
        "transfer_syntax": _text(instance.transfer_syntax, 64),
        "sop_class_uid": _text(instance.sop_class_uid, 64),
        "sop_instance_uid": _text(instance.sop_instance_uid, 64),
        "study_instance_uid": _text(instance.study_instance_uid, 64),
        "series_instance_uid": _text(instance.series_instance_uid, 64),
        "instance_number": instance.instance_number,
        "modality": _text(instance.modality, 16),
    }


def _text(value: str | None, most: int) -> str | None:
    """Text from a file as any database takes it: no lone surrogates, no NUL, not longer than its column."""
    if value is None:
        return None
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:most]


def _frame_row(file_id: int, written: Written) -> dict[str, Any]:
    return {
        "file_id": file_id,
        "frame_number": written.frame_number,
        "filename": written.filename,
        "thumbnail_path": written.thumbnail_path,
        "width": written.width,
        "height": written.height,
        "size": written.size,
        "digest": written.digest,
        "transform": json.dumps(written.transform, separators=(",", ":"), default=str),
    }


def _place(source: Source) -> dict[str, Any]:
    return {
        "root": readable_path(source.root),
        "path": readable_path(source.path),
        "size": source.size,
        "mtime_ns": source.mtime_ns,
    }


def _holds_images(folder: Path) -> bool:
    return folder.is_dir() and any(not entry.name.startswith(OWN_PREFIX) for entry in folder.iterdir())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"The folder {folder} cannot be made: {error.strerror}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

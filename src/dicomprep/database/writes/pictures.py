"""Labels, predictions, releases and annotations belong to pictures: they go where their picture goes, or wait for it.

A frame shows the same picture as before if the file's content is the same, or the stored values, or the codestream.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, func, select, text, update

from dicomprep.database.annotation_schema import annotation_events
from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.page_schema import models, skips
from dicomprep.database.picture_matching import Shown, Waiting, match
from dicomprep.database.picture_schema import waiting
from dicomprep.database.schema import files, frames, labels, predictions, releases
from dicomprep.database.writes.catalogue import refresh_labels
from dicomprep.database.writes.predictions import compare_with_labels
from dicomprep.models import Outcome

__all__ = ["KINDS", "Pictures", "count_waiting"]

KINDS: Mapping[str, Table] = {
    "label": labels,
    "prediction": predictions,
    "release": releases,
    "annotation": annotation_events,
}

_FILES = select(files.c.id, files.c.path, files.c.digest).where(files.c.root == bindparam("root"), any_of(files.c.path))


class _Frame(NamedTuple):
    id: int
    file_id: int
    frame_number: int
    source_digest: bytes | None
    stream_digest: bytes | None
    since_run: int | None


_CONTENTS = select(files.c.id, files.c.digest).where(any_of(files.c.id))
_FRAMES = select(*(frames.c[name] for name in _Frame._fields)).where(any_of(frames.c.file_id))
_HAVING = {kind: select(table.c.frame_id).where(any_of(table.c.frame_id)).distinct() for kind, table in KINDS.items()}
_FORGET_SKIPS = delete(skips).where(skips.c.frame_id == bindparam("changed_id"))

_WAITING = select(*(waiting.c[name] for name in Waiting._fields))
_WAITING_BY = [
    _WAITING.where(any_of(column))
    for column in (waiting.c.source_digest, waiting.c.stream_digest, waiting.c.file_digest)
]
_SHOWN = (
    select(*(frames.c[name] for name in Shown._fields[:-2]), files.c.digest)
    .select_from(frames.join(files))
    .where(files.c.duplicate_of.is_(None))
)
_SHOWN_BY = [
    _SHOWN.where(any_of(column)) for column in (frames.c.source_digest, frames.c.stream_digest, files.c.digest)
]
_HAND_OVER = {
    kind: update(table).where(table.c.frame_id == bindparam("waiting_id")).values(frame_id=bindparam("shown_id"))
    for kind, table in KINDS.items()
}
_MODELS_OF = select(predictions.c.model).where(any_of(predictions.c.frame_id)).distinct()
_RESTORE_CURRENT_LABELS = text("""
INSERT INTO standing (frame_id, annotator, label, event_id, adjudicated)
SELECT frame_id, annotator, label, id, adjudicated FROM labels WHERE label IS NOT NULL AND id IN (
    SELECT max(id) FROM labels WHERE frame_id = :frame_id GROUP BY annotator
)
""")
_FULFILLED = delete(waiting).where(
    waiting.c.id == bindparam("waiting_id"),
    *(~select(table.c.id).where(table.c.frame_id == -waiting.c.id).exists() for table in KINDS.values()),
)


@dataclass(slots=True)
class Pictures:
    """The pictures of a batch that is being recorded.

    Made before the batch's files are written; `set_aside` comes before its frames are, `hand_over` after.
    """

    connection: Connection
    run_id: int
    moved: Counter[str] = field(default_factory=Counter)
    """Images whose events went to another frame with their picture, by kind of event."""
    returned: Counter[str] = field(default_factory=Counter)
    """Images whose events waited since an earlier run and have their picture again."""
    since: dict[tuple[int, int], int | None] = field(default_factory=dict)
    """The run in which frames (file id, number) that show the same picture as before began to."""
    _digests: dict[int, bytes] = field(default_factory=dict)
    _parted: list[int] = field(default_factory=list)

    def note_known(self, root: str, paths: Sequence[str]) -> None:
        """Note which files of the batch are known, and what their content was."""
        self._digests = {file_id: digest for file_id, _, digest in look_up(self.connection, _FILES, paths, root)}

    def set_aside(self, recorded: Iterable[tuple[int, Outcome]]) -> None:
        """Set aside the events of all frames that are about to show another picture, or none."""
        if not self._digests:
            return
        now = {file_id: outcome for file_id, outcome in recorded if file_id in self._digests}
        shown = {(i, w.frame_number): {w.source_digest, w.stream_digest} for i, o in now.items() for w in o.written}
        changed: dict[int, dict[str, Any]] = {}
        for row in (_Frame(*row) for row in look_up(self.connection, _FRAMES, list(now))):
            place, before = (row.file_id, row.frame_number), self._digests[row.file_id]
            digests = shown.get(place)
            same_file = before and before == now[row.file_id].digest
            if digests is not None and (same_file or (digests - {b""}) & {row.source_digest, row.stream_digest}):
                self.since[place] = row.since_run
                continue
            changed[row.id] = _waits(row, before, self.run_id)
        if changed:
            self._move_to_waiting(changed)

    def set_aside_all(self, file_ids: Sequence[int]) -> None:
        """Set aside the events of all frames of files that are about to be forgotten; `hand_over` comes after."""
        contents = dict(look_up(self.connection, _CONTENTS, file_ids))
        frames_of = [_Frame(*row) for row in look_up(self.connection, _FRAMES, file_ids)]
        gone = {frame.id: _waits(frame, contents[frame.file_id], self.run_id) for frame in frames_of}
        if gone:
            self._move_to_waiting(gone)

    def _move_to_waiting(self, changed: Mapping[int, dict[str, Any]]) -> None:
        self.connection.execute(_FORGET_SKIPS, [{"changed_id": frame_id} for frame_id in changed])
        having = {row[0] for query in _HAVING.values() for row in look_up(self.connection, query, list(changed))}
        for frame_id in sorted(having):
            inserted = self.connection.execute(waiting.insert().values(changed[frame_id]).returning(waiting.c.id))
            self._parted.append(int(inserted.scalar_one()))

    def hand_over(self, recorded: Iterable[tuple[int, Outcome]], surfaced: Collection[int]) -> None:
        """Give events that wait to the frames that show their pictures now.

        `surfaced` are files that were hidden as duplicates of others until now.
        """
        if self.connection.execute(select(waiting.c.id).limit(1)).first() is None:
            return
        waits = {wait.id: wait for wait in self._find_waiting(recorded)}
        if not waits:
            return
        shown = self._find_shown(list(waits.values()), surfaced)
        if not shown:
            return
        for kind in KINDS:
            self._hand_over_events(kind, waits, shown)
        self.connection.execute(_FULFILLED, [{"waiting_id": number} for number in waits])

    def _find_waiting(self, recorded: Iterable[tuple[int, Outcome]]) -> list[Waiting]:
        """What this batch set aside, and all that its frames may be the pictures of."""
        outcomes = [outcome for _, outcome in recorded if outcome.written]
        digests = list({d for o in outcomes for w in o.written for d in (w.source_digest, w.stream_digest) if d})
        contents = list({o.digest for o in outcomes if o.digest})
        rows = [
            row
            for query, values in zip(_WAITING_BY, (digests, digests, contents), strict=True)
            for row in look_up(self.connection, query, values)
        ]
        rows += list(look_up(self.connection, _WAITING.where(any_of(waiting.c.id)), self._parted))
        return [Waiting(*row) for row in rows]

    def _find_shown(self, waits: Sequence[Waiting], surfaced: Collection[int]) -> list[Shown]:
        """The frames that may show what is waited for; those of hidden duplicates are no images."""
        digests = list({d for wait in waits for d in wait.digests})
        contents = list({wait.file_digest for wait in waits if wait.file_digest})
        found = {
            row[0]: _shown(row, surfaced)
            for query, values in zip(_SHOWN_BY, (digests, digests, contents), strict=True)
            for row in look_up(self.connection, query, values)
        }
        return [found[frame_id] for frame_id in sorted(found)]

    def _hand_over_events(self, kind: str, waits: Mapping[int, Waiting], shown: Sequence[Shown]) -> None:
        """Events of one kind; a frame that has some of its own gets none."""
        having = {row[0] for row in look_up(self.connection, _HAVING[kind], [-number for number in waits])}
        taken = {row[0] for row in look_up(self.connection, _HAVING[kind], [frame.id for frame in shown])}
        pairs = match(
            [wait for number, wait in waits.items() if -number in having],
            [frame for frame in shown if frame.id not in taken],
        )
        if not pairs:
            return
        rows = [{"waiting_id": -wait.id, "shown_id": frame.id} for wait, frame in pairs]
        self.connection.execute(_HAND_OVER[kind], rows)
        frame_ids = [frame.id for _, frame in pairs]
        if kind == "label":
            self.connection.execute(_RESTORE_CURRENT_LABELS, [{"frame_id": frame_id} for frame_id in frame_ids])
            refresh_labels(self.connection, frame_ids)
            compare_with_labels(self.connection, frame_ids)
        elif kind == "prediction":
            self._summarize_again(frame_ids)
        for wait, _ in pairs:
            (self.moved if wait.run_id == self.run_id else self.returned)[kind] += 1

    def _summarize_again(self, frame_ids: Sequence[int]) -> None:
        """Let the pages make their rows of the models' scores anew."""
        names = {row[0] for row in look_up(self.connection, _MODELS_OF, frame_ids)}
        self.connection.execute(delete(models).where(models.c.name.in_(names)))


def _shown(row: Sequence[Any], surfaced: Collection[int]) -> Shown:
    shown = Shown(*row)
    return shown._replace(has_surfaced=shown.file_id in surfaced)


def _waits(frame: _Frame, file_digest: bytes, run_id: int) -> dict[str, Any]:
    """A row of `waiting` for the events of a frame, of which its file had this content."""
    return {
        "frame_id": frame.id,
        "source_digest": frame.source_digest,
        "stream_digest": frame.stream_digest,
        "file_digest": file_digest or None,
        "file_id": frame.file_id,
        "frame_number": frame.frame_number,
        "since_run": frame.since_run,
        "run_id": run_id,
    }


def count_waiting(connection: Connection, *, run_id: int | None = None) -> Counter[str]:
    """How many images' events wait for their pictures, by kind: all, or those that one run set aside.

    Labels and annotations count only where one stands: not all taken back.
    """
    counts: Counter[str] = Counter()
    for kind, table in KINDS.items():
        gone: ColumnElement[bool] = table.c.frame_id < 0
        if run_id is not None:
            gone &= table.c.frame_id.in_(select(-waiting.c.id).where(waiting.c.run_id == run_id))
        query = select(func.count(table.c.frame_id.distinct())).where(gone)
        if table is labels:
            newest = select(func.max(labels.c.id)).where(gone).group_by(labels.c.frame_id, labels.c.annotator)
            query = query.where(labels.c.label.is_not(None), labels.c.id.in_(newest))
        elif table is annotation_events:
            newest = select(func.max(table.c.id)).where(gone).group_by(table.c.key)
            query = query.where(table.c.kind.is_not(None), table.c.id.in_(newest))
        counts[kind] = int(connection.execute(query).scalar_one())
    return counts

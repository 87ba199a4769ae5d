"""In the background: new images come into the catalogue, counts are kept, reservations run out."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from dicomprep.database.connection import reading
from dicomprep.database.queries.frames import Choice
from dicomprep.database.queries.labeling import any_new, count_catalogue, count_labels
from dicomprep.database.writes.catalogue import TRAINABLE, add_images, reconcile
from dicomprep.database.writes.labels import release
from dicomprep.database.writes.store import Store
from dicomprep.errors import EnvironmentFault

__all__ = ["CatalogueUpdater", "LabelCounts"]

UPDATE_SECONDS = 1.0
PAUSE_SECONDS = 0.15
"""Between the parts of the catalogue, in which a run that waits gets to record; SQLite looks every 0.1 s."""

RECOUNT_ROUNDS = 30
"""Rounds after which all labels are counted again: other programs may have added some."""


@dataclass(slots=True)
class LabelCounts:
    """How many images there are and how they are labeled, without asking the database each time."""

    total: int = 0
    by_label: Counter[str] = field(default_factory=Counter)
    changes: int = 0

    def change(self, before: str | None, after: str | None) -> None:
        """An image's label changed."""
        self.changes += 1
        self.by_label[before or ""] -= before is not None
        self.by_label[after or ""] += after is not None

    @property
    def labeled(self) -> int:
        """Images that have a label."""
        return sum(self.by_label.values())

    def by_class(self, names: Sequence[str]) -> dict[str, int]:
        """How many images have each class, also beside others."""
        counts = dict.fromkeys(names, 0)
        for label, count in self.by_label.items():
            for name in label.split(","):
                if name in counts:
                    counts[name] += count
        return counts


class CatalogueUpdater:
    """A thread that looks every second whether there is something to do."""

    def __init__(self, store: Store, reader: Engine, wanted: Choice = TRAINABLE) -> None:
        self._store, self._reader, self._wanted = store, reader, wanted
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._counts = LabelCounts()
        self._thread = threading.Thread(target=self._run, name="dicomprep catalogue", daemon=True)

    def start(self) -> None:
        """Enrol the first images, so that the first page has some; go on in the background."""
        self._revise()
        self._enrol()
        self._count()
        self._thread.start()

    def catch_up(self) -> None:
        """Enrol all images, in short transactions."""
        self._revise()
        while self._enrol():
            self._pause()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def change(self, before: str | None, after: str | None) -> None:
        """Count a label that was just recorded."""
        with self._lock:
            self._counts.change(before, after)

    def recount(self) -> None:
        """Count anew: many labels were changed at once."""
        with self._lock:
            self._counts.changes += 1
        self._count()

    @property
    def changes(self) -> int:
        """Differs once labels have changed."""
        with self._lock:
            return self._counts.changes

    def counts(self, names: Sequence[str]) -> dict[str, Any]:
        """Progress as a page shows it."""
        with self._lock:
            counts = self._counts
            return {"total": counts.total, "labelled": counts.labeled, "classes": counts.by_class(names)}

    def _run(self) -> None:
        rounds = 0
        while not self._ended.wait(UPDATE_SECONDS):
            rounds += 1
            try:
                added = self._enrol()
                while added and not self._pause():
                    added = self._enrol()
                if rounds % RECOUNT_ROUNDS == 0:
                    self._count()
                    with self._store.transaction() as connection:
                        release(connection)
            except EnvironmentFault:
                continue  # a run holds the database for long; the next round tries again

    def _pause(self) -> bool:
        """Leave the database to others for a moment; whether the end has come."""
        return self._ended.wait(PAUSE_SECONDS)

    def _revise(self) -> None:
        with self._store.transaction() as connection:
            reconcile(connection, self._wanted)

    def _enrol(self) -> int:
        with reading(self._reader) as connection:
            if not any_new(connection, self._wanted):  # no need to keep a run from recording
                return 0
        with self._store.transaction() as connection:
            added = add_images(connection, self._wanted)
        with self._lock:
            self._counts.total += added
        return added

    def _count(self) -> None:
        """Count anew; labels that come meanwhile are counted the next time."""
        changes = self._counts.changes
        with reading(self._reader) as connection:
            total, by_label = count_catalogue(connection), Counter(count_labels(connection))
        with self._lock:
            if self._counts.changes == changes:
                self._counts = LabelCounts(total, by_label, changes)

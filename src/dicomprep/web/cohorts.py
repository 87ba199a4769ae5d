"""The cohort table of the pages: counted in the background, and again when images or labels change."""

import threading
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from dicomprep.database.queries.cohort import count_subjects
from dicomprep.database.queries.gallery import next_image
from dicomprep.exchange.cohort import Cohort, Subject
from dicomprep.web.site import PageContext

__all__ = ["CohortCounter", "count_cohort"]

BLOCK_IDS = 20_000
"""Ids of images that are counted in one transaction; bounds how long a run waits."""

PATIENCE_SECONDS = 1.0
"""That a page waits for the count; a small data set is counted by then."""


def count_cohort(context: PageContext, ended: threading.Event | None = None) -> Cohort:
    """Count all images of the catalogue, in short transactions; as far as it is when `ended` is set."""
    cohort, place = Cohort(), 0
    while not (ended and ended.is_set()):
        start = context.ask(next_image, place)
        if start is None:
            break
        place = start + BLOCK_IDS
        with context.reading() as connection:
            for said, images in count_subjects(connection, start=start, end=place):
                cohort.add(Subject(*said), images)
    return cohort


class CohortCounter:
    """The newest whole count; a thread makes the next one."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._newest: Cohort | None = None
        self._state: tuple[int, ...] = ()

    def newest(self) -> Cohort | None:
        """The last whole count; None where the first one takes longer than a page waits."""
        counts = self._context.catalogue.counts([])
        state = (counts["total"], counts["labelled"], self._context.catalogue.changes)
        with self._lock:
            if state != self._state and (self._thread is None or not self._thread.is_alive()):
                self._state = state
                self._thread = threading.Thread(target=self._count, name="dicomprep cohort", daemon=True)
                self._thread.start()
            thread = self._thread
        if thread is not None:
            thread.join(PATIENCE_SECONDS)
        return self._newest

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _count(self) -> None:
        with suppress(DBAPIError):  # the next page asks again
            cohort = count_cohort(self._context, self._ended)
            if not self._ended.is_set():
                self._newest = cohort

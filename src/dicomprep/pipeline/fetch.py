"""Studies of a PACS → spool: what is there already is not asked for again, and what a server cannot give now is left.

Hospital networks are slow and shared: a few associations at a time, and where that is asked for at night alone.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple, TypeVar

from dicomprep.dicom.query_retrieve import (
    MAX_OFFERED_CLASSES,
    Listed,
    Remote,
    find_instances,
    find_studies,
    get_instances,
    move_instances,
)
from dicomprep.engines.interrupts import Stop
from dicomprep.errors import EnvironmentFault
from dicomprep.pipeline.hours import Hours
from dicomprep.pipeline.intake import Intake

__all__ = ["Fetcher", "Row", "State"]

T = TypeVar("T")

BATCH_INSTANCES = 100
"""Asked for in one request."""

PAUSES_SECONDS = (1.0, 5.0, 15.0)
"""Before something is asked for again."""

MAX_FAILED_STUDIES = 5
"""Of which nothing could be had, one after the other; after them the server is taken to be down."""


class State(StrEnum):
    """How an instance came."""

    HERE = "here already"
    DONE = "preprocessed before"
    """It is no longer in the spool, and nothing needs it there."""
    AS_STORED = "as stored"
    TRANSCODED = "transcoded"
    NOT_SAID = "not said by the server"
    """In which transfer syntax it keeps it: nobody can tell whether it was transcoded."""
    MISSING = "not fetched"


class Row(NamedTuple):
    """What became of an instance."""

    study_instance_uid: str
    sop_instance_uid: str
    state: State
    transfer_syntax: str = ""
    """In which it came."""
    stored_as: str = ""
    """In which the server says that it keeps it."""


@dataclass(slots=True)
class Fetcher:
    """Fetches studies until all is there, or was tried in vain, or `stopped` is set."""

    remote: Remote
    intake: Intake
    moves: bool = False
    """By C-MOVE; a Storage SCP of this program is running. By C-GET otherwise."""
    modalities: Sequence[str] = ()
    associations: int = 1
    hours: Hours | None = None
    refetches: bool = False
    """What is here already is asked for all the same: it may have been corrected."""
    done: Callable[[str, Sequence[str]], Collection[str]] = lambda _study, _instances: ()
    """Of instances of a study those of which images were made, wherever their files are."""
    tell: Callable[[str], None] = lambda _line: None
    note: Callable[[Row], None] = lambda _row: None
    stopped: Stop = field(default_factory=Stop)
    states: Counter[State] = field(default_factory=Counter)
    syntaxes: Counter[str] = field(default_factory=Counter)
    """Of what came."""
    faults: Counter[str] = field(default_factory=Counter)
    """Why something did not come."""
    given_up: bool = False
    """The server does not answer any more, or the disk is full."""
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self, queries: Sequence[dict[str, str]]) -> None:
        """All studies that match one of the queries; EnvironmentFault where the server, or the disk, fails for good."""
        studies: dict[str, None] = {}
        for keys in queries:
            if self._may_ask():
                studies |= dict.fromkeys(self._persist(lambda keys=keys: find_studies(self.remote, keys)))  # type: ignore[misc]
        self.tell(f"{len(studies):,} studies match")
        failed = 0
        with ThreadPoolExecutor(self.associations) as pool:
            futures = {pool.submit(self._fetch_study, study): study for study in studies}
            for count, future in enumerate(as_completed(futures), 1):
                try:
                    line = future.result()
                    failed = 0
                except EnvironmentFault as fault:
                    line, failed = str(fault), failed + 1
                    self.faults[line] += 1
                if self.stopped.is_set() or self.given_up:
                    continue
                self.tell(f"study {count:,} of {len(studies):,}: {line}")
                if failed >= MAX_FAILED_STUDIES or self.intake.fault:
                    self.given_up = True
                    raise EnvironmentFault(self.intake.fault or f"{line} The same command goes on from here.")

    def _fetch_study(self, study: str) -> str:
        """Fetch what is missing of a study; what became of it, in a few words."""
        if not self._may_ask():
            return "not begun"
        listed = self._persist(lambda: find_instances(self.remote, study, self.modalities))
        known = {} if self.refetches else self._known(study, listed)
        self._count(Row(study, instance, state) for instance, state in known.items())
        missing = [one for one in listed if one.instance not in known]
        failed = sum(self._fetch_batch(batch) for batch in _batches(missing))
        said = f"{len(missing) - failed:,} instances fetched, {len(known):,} here already"
        return f"{said}, {failed:,} not fetched" if failed else said

    def _known(self, study: str, listed: Sequence[Listed]) -> dict[str, State]:
        """What need not be asked for, and why."""
        here = {one.instance: State.HERE for one in listed if self.intake.spool.holds(study, one.instance)}
        others = [one.instance for one in listed if one.instance not in here]
        return here | dict.fromkeys(self.done(study, others), State.DONE)

    def _fetch_batch(self, batch: Sequence[Listed]) -> int:
        """Fetch some instances of one series; how many are missing in the end."""
        missing, said = list(batch), ""
        for number, pause in enumerate((*PAUSES_SECONDS, None)):
            said = self._ask_for(missing, one_by_one=number > 0) or said
            missing = [one for one in missing if not self._has_come(one)]
            if not missing or pause is None or self._is_over or self.stopped.wait(pause):
                break
        if missing:
            with self._counting:
                self.faults[f"{self.remote} {said or 'did not send what it lists'}."] += len(missing)
        self._count(Row(one.study, one.instance, State.MISSING) for one in missing)
        return len(missing)

    def _ask_for(self, missing: Sequence[Listed], *, one_by_one: bool) -> str:
        """Ask for instances; what the server said where it did not send them all.

        One that a server cannot send keeps it from sending those that come after it: so they are asked for alone.
        """
        said = ""
        for part in ([one] for one in missing) if one_by_one else [missing]:
            if not self._may_ask() or self._is_over:
                break
            try:
                if self.moves:
                    said = move_instances(self.remote, part) or said
                else:
                    said = get_instances(self.remote, part, self.intake.keep) or said
            except EnvironmentFault as fault:
                return str(fault).removeprefix(f"{self.remote} ").rstrip(".")
        return said

    def _has_come(self, listed: Listed) -> bool:
        """Whether an instance is here; if so, how it came is counted."""
        syntax = self.intake.syntaxes.pop(listed.instance, "")
        if not syntax and (self.refetches or not self.intake.spool.holds(listed.study, listed.instance)):
            return False
        state = State.NOT_SAID
        if listed.syntaxes and syntax:
            state = State.AS_STORED if syntax in listed.syntaxes else State.TRANSCODED
        self._count([Row(listed.study, listed.instance, state, syntax, " ".join(listed.syntaxes))])
        return True

    def _count(self, rows: Iterator[Row] | Sequence[Row]) -> None:
        with self._counting:
            for row in rows:
                self.states[row.state] += 1
                if row.transfer_syntax:
                    self.syntaxes[row.transfer_syntax] += 1
                self.note(row)

    def _persist(self, ask: Callable[[], T]) -> T:
        """What a server answers, asked again where it does not; EnvironmentFault in the end."""
        for pause in PAUSES_SECONDS:
            try:
                return ask()
            except EnvironmentFault:
                if self.stopped.wait(pause):
                    raise
        return ask()

    @property
    def _is_over(self) -> bool:
        return bool(self.given_up or self.intake.fault)

    def _may_ask(self) -> bool:
        """Wait for the hours in which this is allowed; False where all is to end."""
        told = False
        while self.hours is not None and not self.hours.are_at(time.time()) and not self._is_over:
            if not told:
                self.tell(f"waiting: only between {self.hours}")
                told = True
            if self.stopped.wait(1.0):
                return False
        return not self.stopped.is_set() and not self._is_over


def _batches(missing: Sequence[Listed]) -> Iterator[Sequence[Listed]]:
    """Those of a series, of as many SOP classes as one association has room for."""
    for _, series in groupby(missing, key=lambda one: one.series):
        those = list(series)
        classes = sorted({one.sop_class for one in those})
        for first in range(0, len(classes), MAX_OFFERED_CLASSES):
            offered = classes[first : first + MAX_OFFERED_CLASSES]
            group = [one for one in those if one.sop_class in offered]
            yield from (group[at : at + BATCH_INSTANCES] for at in range(0, len(group), BATCH_INSTANCES))

"""A long file's frames, divided among workers and merged again: an Outcome of each range in, one of the file out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from dicomprep.errors import ErrorCode
from dicomprep.models import FrameFailure, FrameRange, Outcome, Status, Task

__all__ = ["FrameRangeMerger", "judge"]


def judge(outcome: Outcome) -> Outcome:
    """The outcome with the state that its frames have earned: done, partial or failed, with the first reason."""
    first = outcome.first_failure
    if first is None:
        return _judge_whole(outcome)
    detail = first.detail
    if outcome.frame_count > 1:
        tried = outcome.failures + len(outcome.written)
        detail += f" (frame {first.index}; {outcome.failures:,} of {tried:,} frames failed)"
    status = Status.PARTIAL if outcome.written else Status.FAILED
    return replace(outcome, status=status, error_code=first.code, error_detail=detail)


def _judge_whole(outcome: Outcome) -> Outcome:
    """The outcome where all frames were drawn; partial where not all could be read that the file says of others."""
    found = outcome.references
    if found.error_code is not None:
        return replace(outcome, status=Status.PARTIAL, error_code=found.error_code, error_detail=found.explain())
    return outcome if outcome.status is Status.DONE else replace(outcome, status=Status.DONE)


@dataclass(slots=True)
class FrameRangeMerger:
    """Keeps what came back of each long file until all of it is there."""

    workers: int
    _finished: dict[str, list[Outcome]] = field(default_factory=dict)
    _outstanding: dict[str, int] = field(default_factory=dict)

    def divide(self, opened: Outcome) -> list[Task]:
        """The tasks of what the first worker left to others; `opened` is what it did itself."""
        path, remaining = opened.task.source.path, opened.remaining
        if remaining is None:
            return []
        bounds = [len(remaining.indices) * number // self.workers for number in range(self.workers + 1)]
        indices, value_range = remaining.indices, remaining.value_range
        ranges = [FrameRange(indices[a:b], value_range) for a, b in pairwise(bounds) if a < b]
        self._finished[path], self._outstanding[path] = [opened], len(ranges)
        return [replace(opened.task, frame_range=frame_range) for frame_range in ranges]

    def merge(self, part: Outcome) -> Outcome | None:
        """Take what came of one range; the outcome of the file once all of them are there, else None."""
        path = part.task.source.path
        self._finished[path].append(part)
        self._outstanding[path] -= 1
        if self._outstanding[path]:
            return None
        del self._outstanding[path]
        return _merge(self._finished.pop(path))


def _merge(parts: Sequence[Outcome]) -> Outcome:
    """One outcome of parts; where one of them failed as a whole, the file did."""
    opened = parts[0]
    written = tuple(sorted((w for part in parts for w in part.written), key=lambda w: w.frame_number))
    instance = next((part.instance for part in parts if part.instance.group_key), opened.instance)
    counts = {name: sum(getattr(part, name) for part in parts) for name in ("without_preset", "without_window")}
    facts = sum((part.facts for part in parts), Counter())
    whole = replace(opened, remaining=None, written=written, instance=instance, facts=facts, **counts)
    broken = next((part for part in parts if part.error_code and part.first_failure is None), None)
    if broken is not None:
        code, detail = broken.error_code, broken.error_detail
        return replace(whole, status=broken.status, error_code=code, error_detail=detail, first_failure=None)
    failures: list[FrameFailure] = [part.first_failure for part in parts if part.first_failure]
    first = min(failures, key=lambda failure: (failure.code is not ErrorCode.TIMEOUT, failure.index), default=None)
    return judge(replace(whole, failures=sum(part.failures for part in parts), first_failure=first))

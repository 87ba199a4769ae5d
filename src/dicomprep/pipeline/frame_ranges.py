"""A long file's frames, divided among workers and put together again: parts in, one Outcome out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from dicomprep.errors import ErrorCode
from dicomprep.models import FrameFailure, Outcome, Share, Status, Task

__all__ = ["Parts", "judged"]


def judged(outcome: Outcome) -> Outcome:
    """The outcome with the state that its frames have earned: done, partial or failed, with the first reason."""
    first = outcome.first_failure
    if first is None:
        return outcome if outcome.status is Status.DONE else replace(outcome, status=Status.DONE)
    detail = first.detail
    if outcome.frame_count > 1:
        tried = outcome.failures + len(outcome.written)
        detail += f" (frame {first.index}; {outcome.failures:,} of {tried:,} frames failed)"
    status = Status.PARTIAL if outcome.written else Status.FAILED
    return replace(outcome, status=status, error_code=first.code, error_detail=detail)


@dataclass(slots=True)
class Parts:
    """Keeps what came back of each long file until all of it is there."""

    workers: int
    _parts: dict[str, list[Outcome]] = field(default_factory=dict)
    _missing: dict[str, int] = field(default_factory=dict)

    def divide(self, opened: Outcome) -> list[Task]:
        """The tasks of what the first worker left to others; `opened` is what it did itself."""
        path, rest = opened.task.source.path, opened.rest
        if rest is None:
            return []
        bounds = [len(rest.indices) * number // self.workers for number in range(self.workers + 1)]
        shares = [Share(rest.indices[a:b], rest.range) for a, b in pairwise(bounds) if a < b]
        self._parts[path], self._missing[path] = [opened], len(shares)
        return [replace(opened.task, share=share) for share in shares]

    def join(self, part: Outcome) -> Outcome | None:
        """Take one part; the outcome of the file once all of them are there, else None."""
        path = part.task.source.path
        self._parts[path].append(part)
        self._missing[path] -= 1
        if self._missing[path]:
            return None
        del self._missing[path]
        return _joined(self._parts.pop(path))


def _joined(parts: Sequence[Outcome]) -> Outcome:
    """One outcome of parts; where one of them failed as a whole, the file did."""
    opened = parts[0]
    written = tuple(sorted((w for part in parts for w in part.written), key=lambda w: w.frame_number))
    instance = next((part.instance for part in parts if part.instance.group_key), opened.instance)
    without_preset = sum(part.without_preset for part in parts)
    whole = replace(opened, rest=None, written=written, instance=instance, without_preset=without_preset)
    broken = next((part for part in parts if part.error_code and part.first_failure is None), None)
    if broken is not None:
        code, detail = broken.error_code, broken.error_detail
        return replace(whole, status=broken.status, error_code=code, error_detail=detail, first_failure=None)
    failures: list[FrameFailure] = [part.first_failure for part in parts if part.first_failure]
    first = min(failures, key=lambda failure: (failure.code is not ErrorCode.TIMEOUT, failure.index), default=None)
    return judged(replace(whole, failures=sum(part.failures for part in parts), first_failure=first))

"""Which frame gets the events that wait for a picture, where several show it or several wait: the nearest to before."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

__all__ = ["Shown", "Waiting", "match"]


class Waiting(NamedTuple):
    """A row of `waiting`."""

    id: int
    source_digest: bytes | None
    stream_digest: bytes | None
    file_digest: bytes | None
    file_id: int | None
    frame_number: int | None
    since_run: int | None
    run_id: int | None

    @property
    def digests(self) -> set[bytes]:
        """Of the picture, by any of which it is known again."""
        return {digest for digest in (self.source_digest, self.stream_digest) if digest}


class Shown(NamedTuple):
    """A frame, and the content of its file."""

    id: int
    source_digest: bytes | None
    stream_digest: bytes | None
    file_id: int
    frame_number: int
    since_run: int | None
    file_digest: bytes
    has_surfaced: bool = False
    """Whether it was hidden behind another image until now, of which it was a duplicate."""


def match(waits: Sequence[Waiting], shown: Sequence[Shown]) -> list[tuple[Waiting, Shown]]:
    """Pairs of what waits and a frame that shows its picture, each in one pair at most.

    First the same frame of the same file, then the nearest of the same file, then the same number in another, then any.
    A frame that showed the picture as long as the one that lost it is no place for its events: it is another image
    that looks the same. One that was hidden as its duplicate takes its place.
    """
    table = _Table(shown)
    pairs: list[tuple[Waiting, Shown]] = []
    left = list(waits)
    for choose in (table.same_frame, table.same_file, table.same_number, table.any):
        rest: list[Waiting] = []
        for wait in left:
            frame = next((f for f in choose(wait) if f.id in table.free and _may_take(f, wait)), None)
            if frame is None:
                rest.append(wait)
                continue
            del table.free[frame.id]
            pairs.append((wait, frame))
        left = rest
    return pairs


class _Table:
    """Frames by all that they are looked for by."""

    def __init__(self, shown: Sequence[Shown]) -> None:
        self.free = {frame.id: frame for frame in shown}
        self._by_picture: dict[bytes, dict[int, Shown]] = defaultdict(dict)
        self._by_file: dict[tuple[bytes, int], list[Shown]] = defaultdict(list)
        self._by_number: dict[tuple[bytes, int], list[Shown]] = defaultdict(list)
        self._by_content: dict[tuple[bytes, int], list[Shown]] = defaultdict(list)
        for frame in shown:
            for digest in {frame.source_digest, frame.stream_digest} - {None, b""}:
                self._by_picture[digest or b""][frame.id] = frame
                self._by_file[digest or b"", frame.file_id].append(frame)
                self._by_number[digest or b"", frame.frame_number].append(frame)
            self._by_content[frame.file_digest, frame.frame_number].append(frame)

    def same_frame(self, wait: Waiting) -> Iterator[Shown]:
        """The very frame."""
        number = wait.frame_number or 0
        found = [f for digest in wait.digests for f in self._by_file.get((digest, wait.file_id or 0), ())]
        place = wait.file_id, number
        yield from (f for f in (*self._same_content(wait), *found) if (f.file_id, f.frame_number) == place)

    def same_file(self, wait: Waiting) -> Iterable[Shown]:
        """Other frames of its file, the nearest first."""
        number = wait.frame_number or 0
        found = [f for digest in wait.digests for f in self._by_file.get((digest, wait.file_id or 0), ())]
        return sorted(found, key=lambda f: (abs(f.frame_number - number), f.frame_number))

    def same_number(self, wait: Waiting) -> Iterator[Shown]:
        """Frames of the same number."""
        yield from self._same_content(wait)
        for digest in wait.digests:
            yield from self._by_number.get((digest, wait.frame_number or 0), ())

    def any(self, wait: Waiting) -> Iterator[Shown]:
        """All others; those that are taken are not looked at again."""
        for digest in wait.digests:
            frames = self._by_picture.get(digest, {})
            for frame_id in [i for i in frames if i not in self.free]:
                del frames[frame_id]
            yield from list(frames.values())

    def _same_content(self, wait: Waiting) -> Sequence[Shown]:
        return self._by_content.get((wait.file_digest or b"", wait.frame_number or 0), ()) if wait.file_digest else ()


def _may_take(frame: Shown, wait: Waiting) -> bool:
    return frame.has_surfaced or (frame.since_run or 0) > (wait.since_run or 0)

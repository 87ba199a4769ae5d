"""Which recorded file was moved to a new path: one with the same content that is no longer at its own."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from dicomprep.database.queries.inputs import RecordedPlace, find_recorded
from dicomprep.storage.archives.places import is_gone
from dicomprep.storage.paths import actual_path, readable_path

__all__ = ["Moves"]

MIN_CACHED_FILES = 64
"""Files with one digest above which the unmatched ones are cached: the digest will be asked for again."""

MAX_CACHED_DIGESTS = 1000
"""Digests in the cache; bounds memory."""


@dataclass(slots=True)
class Moves:
    """Matches files by their digests: each recorded file is looked for once and given once."""

    _left: dict[bytes, "_Missing"] = field(default_factory=dict)

    def look_up(self, connection: Connection, digests: Sequence[bytes]) -> None:
        """Find out what is recorded of files with these digests, unless it is known."""
        kept = {digest: missing for digest, missing in self._left.items() if missing.recorded > MIN_CACHED_FILES}
        self._left = kept if len(kept) <= MAX_CACHED_DIGESTS else {}
        new = list(dict.fromkeys(digest for digest in digests if digest not in self._left))
        recorded = find_recorded(connection, new)
        self._left |= {digest: _Missing.among(recorded.get(digest, ())) for digest in new}

    def take(self, digest: bytes, path: str) -> int | None:
        """The id of the file whose path is most like this one at its end; None where there is none left."""
        missing = self._left.get(digest)
        return missing.take(path) if missing is not None else None


@dataclass(slots=True)
class _Missing:
    """Recorded files with one content that are not in their places: (path from its end, id), in order."""

    entries: list[tuple[str, int]]
    recorded: int
    """How many are recorded, those in their places included."""

    @classmethod
    def among(cls, files: Sequence[RecordedPlace]) -> "_Missing":
        entries = sorted((file.path[::-1], file.id) for file in files if _is_gone(file.root, file.path))
        return cls(entries, len(files))

    def take(self, path: str) -> int | None:
        if not self.entries:
            return None
        wanted = readable_path(path)[::-1]
        place = bisect_left(self.entries, (wanted, 0))
        beside = [number for number in (place - 1, place) if 0 <= number < len(self.entries)]
        best = max(beside, key=lambda number: _common_length(wanted, self.entries[number][0]))
        return self.entries.pop(best)[1]


def _is_gone(root: str, path: str) -> bool:
    return is_gone(actual_path(root), actual_path(path))


def _common_length(one: str, other: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))

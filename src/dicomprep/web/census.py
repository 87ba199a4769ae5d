"""How many images a filter of the gallery leaves, and where each of them is: counted a little with every request.

The catalogue of a large data set takes longer to read than a person waits. So images are counted in blocks of ids, and
a request goes on with that for some milliseconds only. A page shows what is counted so far.
"""

import time
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from sqlalchemy import Connection

from dicomprep.database.queries.filters import Filter
from dicomprep.database.queries.gallery import Sort, Tile, count_images, find_tiles, list_tiles, next_image, sort_keys
from dicomprep.errors import LabelError

__all__ = ["Censuses"]

BLOCK_IDS = 5000
"""Ids of a block; bounds what one query reads."""

STEP_SECONDS, STEP_BLOCKS = 0.02, 4
"""Of counting in one request, which counts so many blocks at the least: a small data set is counted at once."""

MAX_SORTED_IMAGES = 20_000
"""Images that are sorted by what no index gives in this order; bounds time and memory."""

MAX_REMEMBERED_FILTERS = 32
"""Filters whose counts are kept; bounds memory."""


@dataclass(slots=True)
class _Census:
    """Images by blocks of ids, as far as they are counted."""

    starts: list[int] = field(default_factory=list)
    """The first id of each block with images of the filter."""
    before: list[int] = field(default_factory=list)
    """How many of them there are before each."""
    count: int = 0
    steps: int = 0
    counted_to: int = 0
    """The id to go on from."""
    is_complete: bool = False
    orders: dict[Sort, list[int]] = field(default_factory=dict)
    """The ids in the orders that were asked for."""

    def go_on(self, connection: Connection, wanted: Filter) -> None:
        """Count some blocks more."""
        self.steps += 1
        end, blocks = time.monotonic() + STEP_SECONDS, 0
        while not self.is_complete and (blocks < STEP_BLOCKS or time.monotonic() < end):
            self._count_block(connection, wanted)
            blocks += 1

    def _count_block(self, connection: Connection, wanted: Filter) -> None:
        start = next_image(connection, self.counted_to)
        if start is None:
            self.is_complete = True
            return
        self.counted_to = start + BLOCK_IDS
        found = count_images(connection, wanted, start=start, end=self.counted_to)
        if found:
            self.starts.append(start)
            self.before.append(self.count)
            self.count += found

    def tiles(self, connection: Connection, wanted: Filter, *, start: int, limit: int) -> list[Tile]:
        """The images from the `start`th on, from blocks that have some."""
        first = max(0, bisect_right(self.before, start) - 1)
        found: list[Tile] = []
        for block in range(first, len(self.starts)):
            if len(found) == limit:
                break
            place, skip = self.starts[block], max(0, start - self.before[block])
            missing = limit - len(found)
            found += list_tiles(connection, wanted, start=place, end=place + BLOCK_IDS, skip=skip, limit=missing)
        return found

    def sorted_tiles(self, connection: Connection, wanted: Filter, sort: Sort, *, start: int, limit: int) -> list[Tile]:
        """The images from the `start`th on in another order. LabelError where there are too many to sort them."""
        if sort is Sort.NEWEST:
            first = max(0, self.count - start - limit)
            return self.tiles(connection, wanted, start=first, limit=self.count - start - first)[::-1]
        if self.count > MAX_SORTED_IMAGES:
            raise LabelError(f"Up to {MAX_SORTED_IMAGES:,} images can be sorted in this order: filter further.")
        if sort not in self.orders:
            self.orders[sort] = self._sort(connection, wanted, sort)
        return find_tiles(connection, self.orders[sort][start : start + limit])

    def _sort(self, connection: Connection, wanted: Filter, sort: Sort) -> list[int]:
        keys = [
            pair
            for start in self.starts
            for pair in sort_keys(connection, wanted, sort, start=start, end=start + BLOCK_IDS)
        ]
        return [frame_id for frame_id, _ in sorted(keys, key=lambda pair: (pair[1] is None, pair[1] or 0, pair[0]))]


@dataclass(slots=True)
class _Counted:
    """The newest whole count of a filter, and the one under way."""

    lock: Lock = field(default_factory=Lock)
    whole: _Census | None = None
    under_way: _Census | None = None

    @property
    def shown(self) -> _Census:
        return self.whole or self.under_way or _Census()

    def go_on(self, connection: Connection, wanted: Filter) -> None:
        """Count on, or anew."""
        census = self.under_way = self.under_way or _Census()
        census.go_on(connection, wanted)
        if census.is_complete:
            self.whole, self.under_way = census, None

    @property
    def is_quick(self) -> bool:
        """Whether counting it anew takes no longer than one request may."""
        return self.whole is None or self.whole.steps == 1


class Censuses:
    """Those of the filters that were asked for last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counted: OrderedDict[Filter, _Counted] = OrderedDict()

    def count(self, connection: Connection, wanted: Filter) -> tuple[int, bool]:
        """How many images there are by now, and whether that is all of them."""
        counted = self._of(wanted)
        with counted.lock:
            counted.go_on(connection, wanted)
            return counted.shown.count, counted.under_way is None

    def tiles(
        self, connection: Connection, wanted: Filter, *, start: int, limit: int, sort: Sort = Sort.OLDEST
    ) -> list[Tile]:
        """The images from the `start`th on, as far as they are counted; in another order than by ids, when all are."""
        counted = self._of(wanted)
        with counted.lock:
            if counted.is_quick:
                counted.go_on(connection, wanted)
            if sort is Sort.OLDEST:
                return counted.shown.tiles(connection, wanted, start=start, limit=limit)
            if counted.whole is None:
                return []
            return counted.whole.sorted_tiles(connection, wanted, sort, start=start, limit=limit)

    def _of(self, wanted: Filter) -> _Counted:
        with self._lock:
            counted = self._counted.setdefault(wanted, _Counted())
            self._counted.move_to_end(wanted)
            while len(self._counted) > MAX_REMEMBERED_FILTERS:
                self._counted.popitem(last=False)
        return counted

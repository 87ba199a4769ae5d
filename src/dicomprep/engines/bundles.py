"""Tasks in bundles of about two seconds: one by one, handing them out over a network would cost more than they do."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Bundle", "Bundler"]

TARGET_SECONDS = 2.0
"""What a bundle is to take: handing it out costs some 10 ms."""

FIRST_TASKS = 16
"""In a bundle while nothing is known of how long tasks take."""

MAX_TASKS, MAX_BYTES = 512, 256 * 2**20
"""In a bundle, however quick they seem to be: a lost one is done again, and its input is read by one machine."""

PATIENCE_SECONDS = 0.1
"""How long a bundle that is not full waits for more tasks while slots are free."""

SUSPECT_PARTS = 8
"""Bundles that one is taken apart into when one of its tasks is suspected."""

MAX_LOSSES = 2
"""Lost workers after which a bundle is run alone on its worker; if it was already alone, it is the cause."""

OVERHEAD_BYTES = 64 * 1024
"""What a task takes besides reading, in bytes that take as long."""


@dataclass(slots=True, eq=False)
class Bundle:
    """Tasks, each with the bytes of its input, that one worker does together."""

    tasks: list[tuple[Any, int]] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)
    losses: int = 0
    """Workers that died while this was with them, alone or not as `is_alone` says."""
    is_alone: bool = False

    @property
    def weight(self) -> int:
        """Its cost in bytes."""
        return sum(input_bytes + OVERHEAD_BYTES for _, input_bytes in self.tasks)

    @property
    def is_guilty(self) -> bool:
        """Whether this is one task, which killed its worker again and again while nothing else was at work there."""
        return self.is_alone and len(self.tasks) == 1 and self.losses >= MAX_LOSSES

    def without(self, done: set[int]) -> "Bundle":
        """What is left of it when the tasks at these places are done."""
        left = [task for place, task in enumerate(self.tasks) if place not in done]
        return Bundle(left, losses=self.losses, is_alone=self.is_alone)

    def after_loss(self, workers: int) -> Iterator["Bundle"]:
        """What to do again when `workers` died with it: the same, then that alone, then its parts alone."""
        losses = self.losses + workers
        if self.is_alone and len(self.tasks) > 1:
            size = -(-len(self.tasks) // SUSPECT_PARTS)
            for start in range(0, len(self.tasks), size):
                yield Bundle(self.tasks[start : start + size], is_alone=True)
        elif self.is_alone or losses < MAX_LOSSES:
            yield Bundle(self.tasks, losses=losses, is_alone=self.is_alone)
        else:
            yield Bundle(self.tasks, is_alone=True)


@dataclass(slots=True)
class Bundler:
    """Puts tasks together as they come, and learns from each bundle that is done how large the next is to be."""

    current: Bundle = field(default_factory=Bundle)
    _weight: int = 0
    _seconds_per_byte: float | None = None

    @property
    def is_full(self) -> bool:
        """Whether the current bundle is to have no more tasks."""
        count = len(self.current.tasks)
        if self._seconds_per_byte is None:
            return count >= FIRST_TASKS or self._weight >= MAX_BYTES
        enough = self._weight * self._seconds_per_byte >= TARGET_SECONDS
        return count > 0 and (enough or count >= MAX_TASKS or self._weight >= MAX_BYTES)

    @property
    def has_waited(self) -> bool:
        """Whether there are tasks, and they have waited long enough for others."""
        return len(self.current.tasks) > 0 and time.monotonic() - self.current.begun >= PATIENCE_SECONDS

    def add(self, task: object, input_bytes: int) -> None:
        """Take a task into the current bundle."""
        if not self.current.tasks:
            self.current.begun = time.monotonic()
        self.current.tasks.append((task, input_bytes))
        self._weight += input_bytes + OVERHEAD_BYTES

    def take(self) -> Bundle:
        """The current bundle; another is begun."""
        bundle, self.current, self._weight = self.current, Bundle(), 0
        return bundle

    def learn(self, bundle: Bundle, seconds: float) -> None:
        """Note what a bundle took, the last ones counting most; 0 where that is not known."""
        if seconds <= 0:
            return
        measured = seconds / bundle.weight
        known = self._seconds_per_byte
        self._seconds_per_byte = measured if known is None else known + (measured - known) / 4

"""The progress bar of a terminal and, where there is none, a line of progress now and then."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from dicomprep.errors import count_of
from dicomprep.pipeline.result import Result

__all__ = ["LogLines", "make_bar"]

LINE_SECONDS = 10.0
"""Between two lines of progress in a log."""


def make_bar(console: Console, *more: ProgressColumn) -> Progress:
    """A bar with its counts, `more` columns and the time that is left; it is gone at the end."""
    return Progress(
        TextColumn(" {task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        *more,
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        expand=True,
        disable=not console.is_terminal,
    )


class LogLines:
    """How a run goes, for logs of jobs and cells of notebooks: they have no terminal."""

    def __init__(self) -> None:
        self._begun = self._told_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether the last line was a while ago; the next one is due a while after that."""
        now = time.monotonic()
        if now - self._told_at < LINE_SECONDS:
            return False
        self._told_at = now
        return True

    def describe(self, result: Result, total: int | None) -> str:
        """How many of `total` files are done, how fast, and how long the others will take at that rate."""
        done, seconds = result.found + result.other_files, time.monotonic() - self._begun
        line = f"{count_of(done, 'file')}{f' of {total:,}' if total else ''}, {count_of(result.frames, 'image')}"
        left = f", {_in_words((total - done) * seconds / done)} left" if total and total > done > 0 else ""
        return f"{line} in {_in_words(seconds)} ({result.frames / seconds:,.0f} images/s{left})"


def _in_words(seconds: float) -> str:
    """A duration as a person says it.

    >>> _in_words(42), _in_words(600), _in_words(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

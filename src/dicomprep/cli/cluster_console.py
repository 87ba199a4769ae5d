"""What a person sees of a run on a cluster: also who comes and goes and, where there is no bar, a line now and then."""

import time

from dicomprep.cli.console import ConsoleListener, printable
from dicomprep.errors import count_of
from dicomprep.pipeline.result import Result

__all__ = ["ClusterListener"]

LINE_SECONDS = 30.0
"""Between two lines of progress in a log."""


class ClusterListener(ConsoleListener):
    """Jobs of a cluster have no terminal: their logs tell how a run goes."""

    def __init__(self, count: int | None = None) -> None:
        super().__init__(count)
        self._begun = self._told_at = time.monotonic()
        self._is_log = not self._console.is_terminal

    def on_start(self, result: Result, workers: int) -> None:
        """Say what is done; how many workers there will be is not known yet."""
        self._result = result
        self._say_what(result)
        print("Processing on a Dask cluster...", flush=True)
        self._start_bar(result, count_ahead=True)

    def on_cluster(self, sentence: str) -> None:
        """Say it at once, above the bar."""
        self._print(f"Cluster: {printable(sentence)}")

    def on_progress(self, result: Result) -> None:
        """Move the bar, or write a line."""
        super().on_progress(result)
        now = time.monotonic()
        if self._is_log and now - self._told_at >= LINE_SECONDS:
            self._told_at = now
            self._print(self._describe(result, now - self._begun))

    def _describe(self, result: Result, seconds: float) -> str:
        done = result.found + result.other_files
        total = self._total
        line = f"{count_of(done, 'file')}{f' of {total:,}' if total else ''}, {count_of(result.frames, 'image')}"
        rate = done / seconds
        left = f", {_in_words((total - done) / rate)} left" if total and rate and total > done else ""
        return f"{line} in {_in_words(seconds)} ({result.frames / seconds:,.0f} images/s{left})"


def _in_words(seconds: float) -> str:
    """A duration as a person says it.

    >>> _in_words(42), _in_words(600), _in_words(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

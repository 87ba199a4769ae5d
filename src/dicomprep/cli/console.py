"""What a person sees: the progress of a run, a line for each bad file; tables and sentences of commands."""

import os
import shutil
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from textwrap import wrap

from rich.console import Console
from rich.progress import TaskID, TextColumn
from rich.text import Text

from dicomprep.cli.bar import LogLines, make_bar
from dicomprep.errors import ErrorCode, count_of
from dicomprep.models import Outcome, Status
from dicomprep.pipeline.result import ProgressListener, Result
from dicomprep.storage.archives.kinds import is_archive
from dicomprep.storage.archives.places import find_archive
from dicomprep.storage.paths import readable_path
from dicomprep.storage.place import is_url

__all__ = [
    "ConsoleListener",
    "print_notes",
    "print_section",
    "print_table",
    "printable",
    "wrap_line",
]

MAX_LISTED_FILES = 1000
"""Bad files listed on standard error; bounds the output. The others are only counted: the database has them all."""

HEADER_CODES = (ErrorCode.NOT_DICOM, ErrorCode.CORRUPT_HEADER, ErrorCode.UNREADABLE)


class ConsoleListener(ProgressListener):
    """Prints a run as it goes: bad files on standard error and a progress bar below them; without a terminal, lines."""

    def __init__(self, count: int | None = None) -> None:
        """`count` recorded files are retried; None: whole folders are searched."""
        self._count = count
        self._result: Result | None = None
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress = make_bar(self._console, TextColumn("{task.fields[rate]}"))
        self._task: TaskID | None = None
        self._lines = 0
        self._total = count
        self._log = LogLines()
        self._counting = False
        self._leaving = threading.Event()

    def on_start(self, result: Result, workers: int) -> None:
        """Say what is done, and count the files ahead for the bar where that is not known."""
        self._result = result
        self._say_what(result)
        print(f"Processing with {workers} worker{'s' * (workers > 1)}...", flush=True)
        self._start_bar(result)

    def _say_what(self, result: Result) -> None:
        folder = _shown_folders(result)
        if self._count is None:
            print(f"Scanning {folder} for DICOM files...\n")
        else:
            print(f"Retrying {count_of(self._count, 'failed file')} in {folder}...\n")

    def _start_bar(self, result: Result) -> None:
        self._task = self._progress.add_task("Files", total=self._count, rate="")
        self._progress.start()
        if not self._progress.disable:
            self._begin_to_count(result)

    def _begin_to_count(self, result: Result) -> None:
        """Find out in the background how many files there are, where that is not known."""
        if self._total is None and not self._counting:
            self._counting = True
            threading.Thread(target=self._count_ahead, args=(result.folders,), daemon=True).start()

    def on_warning(self, sentence: str) -> None:
        """Say it at once, where errors are said."""
        print(f"Warning: {printable(sentence)}", file=sys.stderr, flush=True)

    def on_progress(self, result: Result) -> None:
        """Move the bar, or write a line; a run that is over before the first one counts no files for it."""
        if self._task is None:
            return
        if self._progress.disable:
            if self._log.is_due():
                self._print(self._log.describe(result, self._total))
                self._begin_to_count(result)
            return
        elapsed = self._progress.tasks[0].elapsed or 0
        rate = f"{result.frames / elapsed:,.0f} images/s" if elapsed > 1 else ""
        self._progress.update(self._task, completed=result.found + result.other_files, rate=rate)

    def on_outcome(self, outcome: Outcome) -> None:
        """Print what is wrong with a file, in one line."""
        if outcome.status in (Status.DONE, Status.SKIPPED) or outcome.error_code is None:
            return
        self._lines += 1
        if self._lines == MAX_LISTED_FILES + 1:
            self._print("Further failed files are not listed here; `dicomprep status --failures` lists all of them.")
        if self._lines > MAX_LISTED_FILES:
            return
        verb = "Cannot read" if outcome.error_code in HEADER_CODES else "Warning:"
        source = outcome.task.source
        path = readable_path(self._as_given(os.path.join(source.root, source.path)))
        remedy = outcome.error_code.remedy
        reason = printable((outcome.error_detail or "").strip().rpartition("\n")[2])
        self._print(f"{verb} {path}: {reason} [{outcome.error_code}]{f' {remedy}' if remedy else ''}")

    def on_end(self, result: Result) -> None:
        """Take the bar away."""
        self._leaving.set()
        self._progress.stop()
        if result.interrupted:
            self._print("Interrupted. Finished files are recorded; run the same command again to continue.")

    def _as_given(self, path: str) -> str:
        return path if self._result is None else self._result.as_given(path)

    def _print(self, line: str) -> None:
        self._console.print(Text(line))

    def _count_ahead(self, folders: Iterable[str]) -> None:
        count = count_files(folders, self._leaving)
        if count is None:
            return
        self._total = count
        if self._task is not None:
            self._progress.update(self._task, total=count)


def count_files(folders: Iterable[str], leaving: threading.Event) -> int | None:
    """How many files lie in folders; None where that is not known ahead: of buckets and archives, or when leaving."""
    if any(is_url(folder) or find_archive(folder) for folder in folders):  # a bucket is listed once
        return None
    count = 0
    for _, _, names in chain.from_iterable(map(os.walk, folders)):
        count += len(names)
        if leaving.is_set() or any(map(is_archive, names)):
            return None
    return count


def _shown_folders(result: Result) -> str:
    return ", ".join(readable_path(given.removesuffix("!")) for given in result.given)


def wrap_line(line: str, *, indent: int) -> list[str]:
    """A line in the width of the terminal; as it is where a program or a file takes it."""
    if not sys.stdout.isatty():
        return [line]
    columns = shutil.get_terminal_size().columns
    return wrap(line, columns, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def print_table(title: str, counts: Mapping[str, int]) -> None:
    """A heading, then a line for each name with its count."""
    print(title)
    for name, count in counts.items():
        print(f"  {printable(str(name)):<28} {count:>12,}")
    if not counts:
        print("  none")


def print_section(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], notes: Sequence[str] = ()
) -> None:
    """A heading, a table in columns, and sentences below it."""
    texts = [list(columns), *([f"{c:,}" if isinstance(c, int) else printable(str(c)) for c in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    print(title)
    for cells in texts if rows else []:
        first, *others = (
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
        )
        print("  " + "  ".join([first, *others]))
    _print_sentences(notes or (() if rows else ("none",)))


def print_notes(title: str, sentences: Sequence[str]) -> None:
    """A heading and sentences below it; nothing where there are none."""
    if sentences:
        print(title)
    _print_sentences(sentences)


def _print_sentences(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        print("\n".join(wrap_line(f"  {printable(sentence)}", indent=2)))


def printable(text: str) -> str:
    r"""Text from a file, with its control characters made visible.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)

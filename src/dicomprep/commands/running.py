"""A run as a command: what the console shows of it, and the exit code."""

import gc
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dicomprep.commands.options import DEFAULTS
from dicomprep.config import Config

__all__ = ["run_and_report"]

IN_CHECKOUT = (Path(__file__).parents[3] / "scripts" / "02_label_server.py").is_file()
"""Whether the scripts are there, as they are where this package is not installed from a wheel."""


def run_and_report(config: Config, sources: Any = None, count: int | None = None) -> int:  # noqa: ANN401
    """Process everything, or `count` recorded `sources`; print the summary, and return the exit code of DESIGN §2."""
    from dicomprep.preloading import preload

    preload()
    from dicomprep.console import ConsoleWatcher, print_nothing_found, print_summary
    from dicomprep.database.connect import displayed_database
    from dicomprep.pipeline import run

    gc.freeze()  # modules stay: looking through them for garbage again and again takes time
    with _interrupts_heard():
        result = run(config, watcher=ConsoleWatcher(config.dicom_dir, count), sources=sources)
    if result.found == 0 and not result.interrupted:
        print_nothing_found(result)
        return 0
    given = "" if config.db == DEFAULTS.db else f" --db {shlex.quote(displayed_database(config.db))}"
    label = "python scripts/02_label_server.py" if IN_CHECKOUT else f"dicomprep label{given}"
    print_summary(result, label=label, given=given)
    return result.exit_code


@contextmanager
def _interrupts_heard() -> Iterator[None]:
    """An interrupt that falls where no exception can be raised, as in a finalizer, ends the process all the same.

    The interpreter would print its traceback and go on. What this leaves behind is tidied up by the next run, and
    workers end with their lifeline.
    """
    before = sys.unraisablehook

    def end(unraisable: Any) -> None:  # noqa: ANN401
        if unraisable.exc_type is not KeyboardInterrupt:
            before(unraisable)
            return
        cursor = b"\x1b[?25h" if sys.stderr.isatty() else b""  # which the progress bar hides
        os.write(2, cursor + b"Error: Interrupted.\n")
        os._exit(130)

    sys.unraisablehook = end
    try:
        yield
    finally:
        sys.unraisablehook = before

"""Start and end of the command-line process: before heavy imports, and after all output."""

import os
import sys
from collections.abc import Callable, Iterable

from dicomprep.engines.interrupts import end_silently, ignore_at_end
from dicomprep.engines.resource_limits import require_resources
from dicomprep.errors import EnvironmentFault

__all__ = ["main"]


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the command line as this process: Ctrl-C while it is being loaded, or is ending, is no traceback."""
    try:
        with end_silently():
            run = _load()
        run(arguments)
    finally:
        ignore_at_end()


def _load() -> Callable[[Iterable[str] | None], None]:
    _open_closed_streams()
    try:
        require_resources()
    except EnvironmentFault as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(3)
    from dicomprep.cli.app import main as run

    return run


def _open_closed_streams() -> None:
    """Started with a standard stream closed, as some schedulers do, the next file opened would take its place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115, PTH123  (for as long as this runs)

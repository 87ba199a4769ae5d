"""`dicomprep` and `python -m dicomprep`."""

import os
import signal
import sys
from collections.abc import Iterable

from dicomprep.engines.allowance import claim
from dicomprep.errors import EnvironmentFault

__all__ = ["main"]


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the command line as this process: Ctrl-C while it is being loaded, or is ending, is no traceback."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    _open_closed_streams()
    try:
        claim()
    except EnvironmentFault as error:
        sys.exit(_refuse(error))
    from dicomprep.cli.app import main as run

    signal.signal(signal.SIGINT, before)
    try:
        run(arguments)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _refuse(error: EnvironmentFault) -> int:
    print(f"Error: {error}", file=sys.stderr)
    return 3


def _open_closed_streams() -> None:
    """Started with a standard stream closed, as some schedulers do, the next file opened would take its place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115, PTH123  (for as long as this runs)


if __name__ == "__main__":
    main()

"""`dicomprep` and `python -m dicomprep`."""

import signal
from collections.abc import Iterable

__all__ = ["main"]


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the command line as this process: Ctrl-C while it is being loaded, or is ending, is no traceback."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from dicomprep.cli import main as run

    signal.signal(signal.SIGINT, before)
    try:
        run(arguments)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main()

"""A run as a command: what the console shows of it, and the exit code."""

from typing import Any

from dicomprep.config import Config

__all__ = ["run_and_report"]


def run_and_report(config: Config, sources: Any = None) -> int:  # noqa: ANN401
    """Process, print the summary, and return the exit code of DESIGN §2."""
    from dicomprep.preloading import preload

    preload()
    from dicomprep.console import ConsoleWatcher, print_nothing_found, print_summary
    from dicomprep.pipeline import run

    result = run(config, watcher=ConsoleWatcher(config.dicom_dir), sources=sources)
    if result.found == 0 and not result.interrupted:
        print_nothing_found(result)
        return 0
    print_summary(result)
    return result.exit_code

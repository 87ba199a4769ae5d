"""A run as a command: what the console shows of it, and the exit code."""

import gc
import shlex
from pathlib import Path
from typing import Any

from dicomprep.cli.options import DEFAULTS
from dicomprep.config import Config
from dicomprep.engines.interrupts import end_at_once

__all__ = ["run_and_report"]

LABEL_SCRIPT = Path("scripts", "02_label_server.py")
IN_CHECKOUT = (Path(__file__).parents[3] / LABEL_SCRIPT).is_file()
"""Whether the scripts are there, as they are where this package is not installed from a wheel."""


def run_and_report(config: Config, sources: Any = None, count: int | None = None) -> int:  # noqa: ANN401
    """Process everything, or `count` recorded `sources`; print the summary, and return the exit code of DESIGN §2."""
    with end_at_once("Error: Interrupted. The same command goes on from here."):
        from dicomprep.pipeline.preload import preload

        preload()
        from dicomprep.cli.console import ConsoleListener, print_nothing_found, print_summary
        from dicomprep.database.connection import displayed_database
        from dicomprep.pipeline.run import run

        gc.freeze()  # modules stay: looking through them for garbage again and again takes time
        result = run(config, listener=ConsoleListener(config.dicom_dir, count), sources=sources)
        if result.found == 0 and not result.interrupted:
            print_nothing_found(result)
            return result.exit_code
        given = "" if config.db == DEFAULTS.db else f" {_option('--db', displayed_database(config.db))}"
        label = f"python {_label_script()}" if IN_CHECKOUT else "dicomprep label"
        print_summary(result, label=label + given, given=given)
        return result.exit_code


def _option(name: str, value: str) -> str:
    """An option as a shell takes it."""
    return shlex.join([f"{name}={value}"]) if value.startswith("-") else shlex.join([name, value])


def _label_script() -> str:
    """The script as it is found from the current folder."""
    script = Path(__file__).parents[3] / LABEL_SCRIPT
    return str(LABEL_SCRIPT) if LABEL_SCRIPT.absolute() == script else shlex.quote(str(script))

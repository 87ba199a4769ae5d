"""A run as a command: what the console shows of it, and the exit code."""

import gc
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dicomprep.config import DEFAULT_DB, Config
from dicomprep.engines.interrupts import end_at_once

if TYPE_CHECKING:
    from dicomprep.pipeline.result import Result
    from dicomprep.pipeline.run import Find
    from dicomprep.workspace import Workspace

__all__ = ["loading_workers", "run_and_report"]

LABEL_SCRIPT = Path("scripts", "02_label_server.py")
IN_CHECKOUT = (Path(__file__).parents[3] / LABEL_SCRIPT).is_file()
"""Whether the scripts are there, as they are where this package is not installed from a wheel."""


@contextmanager
def loading_workers(*, here: bool = True) -> Iterator[None]:
    """What a run needs from its first moment on: workers load decoders already, and Ctrl-C leaves no traceback.

    Where the workers are not of this machine, nobody needs decoders `here`.
    """
    with end_at_once("Error: Interrupted. Run the same command again to continue."):
        from dicomprep.pipeline.preload import preload

        if here:
            preload()
        yield


def run_and_report(
    workspace: "Workspace",
    config: Config,
    sources: "Find | None" = None,
    count: int | None = None,
    as_json: bool = False,
) -> int:
    """Process everything, or `count` recorded `sources`; print the summary, and return the exit code of DESIGN §2."""
    from dicomprep.cli.as_json import describe_result, print_json, sentences_apart

    with sentences_apart(apart=as_json):
        result = _run_and_tell(workspace, config, sources, count)
    if as_json:
        print_json(describe_result(result))
    return result.exit_code


def _run_and_tell(workspace: "Workspace", config: Config, sources: "Find | None", count: int | None) -> "Result":
    from dicomprep.cli.cluster_console import ClusterListener
    from dicomprep.cli.console import ConsoleListener
    from dicomprep.cli.summary import print_nothing_found, print_summary
    from dicomprep.pipeline.run import run

    gc.freeze()  # modules stay: looking through them for garbage again and again takes time
    listener = (ConsoleListener if config.where.is_local else ClusterListener)(count)
    result = run(workspace, config, listener=listener, sources=sources)
    if result.found == 0 and not result.interrupted:
        print_nothing_found(result)
        return result
    given = "" if workspace.address.text == DEFAULT_DB else f" {_option('--db', result.db)}"
    label, program = [f"{_program()} label{given}"], _program()
    if IN_CHECKOUT:
        label = [f"python {_label_script()}{given}", *([] if _is_ours("python") else label)]
    print_summary(result, label="\n".join(label), program=program, given=given)
    return result


def _option(name: str, value: str) -> str:
    """An option as a shell takes it."""
    return shlex.join([f"{name}={value}"]) if value.startswith("-") else shlex.join([name, value])


def _program() -> str:
    """The program as a shell finds it: by its name, else by this interpreter."""
    return "dicomprep" if _is_ours("dicomprep") else f"{shlex.quote(sys.executable)} -m dicomprep"


def _is_ours(command: str) -> bool:
    """Whether a shell would find what lies beside this interpreter under that name."""
    found = shutil.which(command)
    return found is not None and Path(found).parent == Path(sys.executable).parent


def _label_script() -> str:
    """The script as it is found from the current folder."""
    script = Path(__file__).parents[3] / LABEL_SCRIPT
    return str(LABEL_SCRIPT) if LABEL_SCRIPT.absolute() == script else shlex.quote(str(script))

"""The command line: which commands there are, where their defaults come from, and how they end."""

import os
import signal
import sys
import tomllib
from collections.abc import Iterable
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from cyclopts import App
from cyclopts.argument import ArgumentCollection
from cyclopts.token import Token

from dicomprep.commands.audit import audit
from dicomprep.commands.export import export
from dicomprep.commands.inspect import inspect
from dicomprep.commands.label import label
from dicomprep.commands.labels import labels
from dicomprep.commands.predictions import predictions
from dicomprep.commands.preprocess import preprocess
from dicomprep.commands.release import release
from dicomprep.commands.report import report
from dicomprep.commands.retry import retry
from dicomprep.commands.status import status
from dicomprep.commands.verify import verify
from dicomprep.errors import ConfigError, EnvironmentFault, ExportError, InputError, LabelError, disk_fault
from dicomprep.version import VERSION

__all__ = ["app", "main"]

COMMANDS = (preprocess, status, retry, verify, audit, release, inspect, label, report, export)

app = App(
    name="dicomprep",
    version=VERSION,
    help_format="plaintext",
    help="Raw DICOM files in; training-ready images out.",
    suppress_keyboard_interrupt=False,
)
for command in (*COMMANDS, labels, predictions):
    app.command(command)


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the command line and leave with the exit code of DESIGN §2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(arguments, exit_on_error=True, result_action="return_value")
        sys.stdout.flush()  # at the end of the interpreter it would be too late to say why it fails
    except (ConfigError, InputError, LabelError) as error:
        _leave(2, error)
    except (EnvironmentFault, ExportError) as error:
        _leave(3, error)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is ending already
        # An interrupt within exec(), as dataclasses use it when a module is loaded, makes the interpreter end itself
        # by SIGINT in place of the code given to sys.exit(), until another exec() succeeds.
        exec("")  # noqa: S102
        _leave(130, "Interrupted.")
    except BrokenPipeError:  # whoever read the output has seen enough
        _discard_output()
        code = 0
    except OSError as error:
        _leave(3, disk_fault(f"{error.filename or 'A file'} cannot be read or written", error))
    sys.exit(code)


def _leave(code: int, reason: object) -> None:
    from dicomprep.console import printable

    try:
        sys.stdout.flush()
    except OSError:
        _discard_output()
    print(f"Error: {printable(str(reason))}", file=sys.stderr)
    sys.exit(code)


def _discard_output() -> None:
    """What is buffered cannot be written: nor can it when the interpreter ends, which would say so and end with 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _read_defaults(_app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Options that were not given come from `dicomprep.toml` beside the data or here, else from pyproject.toml.

    Those of `preprocess` stand at its top, those of `label` in a table of that name.
    """
    if commands not in (("preprocess",), ("label",)):
        return
    by_name = {name: argument for argument in arguments for name in argument.names if name.startswith("--")}
    data = by_name.get("--dicom-dir")
    path, options = _find_defaults(Path(data.tokens[0].value if data and data.tokens else "."))
    if commands == ("label",):
        path, options = Path(f"{path} [label]"), options.get("label", {})
    for key, value in options.items():
        if key == "label" and isinstance(value, dict):
            continue
        argument = by_name.get(f"--{key.replace('_', '-')}")
        if argument is None:
            raise ConfigError(f"{path}: there is no option {key}.")
        if not argument.tokens:
            for one in _values(value, joined=commands == ("label",)):
                argument.append(Token(keyword=f"--{key}", value=one, source=str(path)))


def _values(value: Any, *, joined: bool) -> list[str]:  # noqa: ANN401
    """A default as the command line would have it: several values, or one in which commas join them."""
    values = [str(one) for one in value] if isinstance(value, list) else [str(value)]
    if joined and any("," in one for one in values if isinstance(value, list)):
        raise ConfigError("A name in a list of dicomprep.toml holds a comma, which separates names: leave it out.")
    return [",".join(values)] if joined else values


def _find_defaults(dicom_dir: Path) -> tuple[Path, dict[str, Any]]:
    for path in (dicom_dir / "dicomprep.toml", Path("dicomprep.toml"), Path("pyproject.toml")):
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        if path.name == "dicomprep.toml":
            return path, content
        return path, content.get("tool", {}).get("dicomprep", {})
    return dicom_dir, {}


app.config = [_read_defaults]

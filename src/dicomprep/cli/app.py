"""The command line: which commands there are, where their defaults come from, and how they end."""

import os
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path

from cyclopts import App
from cyclopts.argument import Argument, ArgumentCollection
from cyclopts.token import Token

from dicomprep.cli.defaults import data_options, default_options, is_shared
from dicomprep.config import DEFAULT_DB
from dicomprep.engines.interrupts import ignore_at_end
from dicomprep.errors import (
    ConfigError,
    DicomprepError,
    EnvironmentFault,
    ExportError,
    InputError,
    LabelError,
    disk_fault,
)
from dicomprep.storage.paths import readable_path
from dicomprep.storage.place import is_url
from dicomprep.version import VERSION

__all__ = ["app", "main"]

COMMANDS = (
    *("preprocess", "status", "retry", "verify", "audit", "release", "inspect", "label", "report", "export"),
    *("labels", "predictions", "annotations", "splits", "freeze", "versions", "diff", "forget"),
    *("receive", "fetch", "series", "classes"),
)
"""Each is loaded when it is called: its file imports all that it needs."""

app = App(
    name="dicomprep",
    version=VERSION,
    help_format="plaintext",
    help="Turn raw DICOM files into training-ready images and database records.",
    suppress_keyboard_interrupt=False,
)
for command in COMMANDS:
    app.command(f"dicomprep.cli.{command}:{command}", name=command)


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the command line and leave with the exit code of DESIGN §2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _call(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()  # at the end of the interpreter it would be too late to say why it fails
    except (ConfigError, InputError, LabelError) as error:
        _leave(2, error)
    except (EnvironmentFault, ExportError) as error:
        _leave(3, error)
    except KeyboardInterrupt:
        ignore_at_end()
        _leave(130, "Interrupted.")
    except BrokenPipeError:  # whoever read the output has seen enough
        _discard_output()
        code = 0
    except OSError as error:
        _leave(3, disk_fault(f"{error.filename or 'A file'} cannot be read or written", error))
    sys.exit(code)


def _call(arguments: Iterable[str]) -> int:
    """What a command returns. Where it fails in a way that is not foreseen, a damaged database may be why."""
    words = _join_values(arguments)
    if not words or words[0] in app.help_flags:
        _load_all()
    command, bound, _ = app.parse_args(words, exit_on_error=True)
    try:
        return int(command(*bound.args, **bound.kwargs) or 0)
    except (DicomprepError, OSError):
        raise
    except MemoryError as error:
        remedy = "Allow more (ulimit -v), or close other programs, and run this again."
        raise EnvironmentFault(f"Out of memory. {remedy}") from error
    except Exception as error:
        from dicomprep.database.address import DatabaseAddress
        from dicomprep.database.soundness import damage_fault

        fault = damage_fault(DatabaseAddress.parse(bound.arguments.get("db", DEFAULT_DB)), error)
        if fault is None:
            raise
        raise fault from error


def _load_all() -> None:
    """The list of commands says of each what it does."""
    for command in COMMANDS:
        app[command]


def _leave(code: int, reason: object) -> None:
    from dicomprep.cli.console import printable

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
    """Options that were not given come from a file: `defaults` says which."""
    by_name = {name: argument for argument in arguments for name in argument.names if name.startswith("--")}
    _refuse_empty_paths(by_name)
    given = [name for name, argument in by_name.items() if argument.tokens]
    data = by_name.get("--dicom-dir")
    places = [token.value for token in data.tokens] if data else []
    folders = [Path(place) for place in places if not is_url(place)]
    for folder in folders:
        _take_from_data(folder, by_name)
    _take_from_own(default_options(commands, folders), by_name)
    if {"--db", "--size", "--output-dir"} <= by_name.keys():
        _go_on(by_name, given, places)


def _go_on(by_name: Mapping[str, Argument], given: Collection[str], places: Sequence[str]) -> None:
    """Make more of a data set that exists as it was made so far."""
    from dicomprep.database.address import DatabaseAddress

    tokens = by_name["--db"].tokens
    address = DatabaseAddress.parse(tokens[-1].value if tokens else DEFAULT_DB)
    if not address.may_hold_data:
        return
    from dicomprep.cli.remembering import go_on

    go_on(address.text, by_name, given=given, places=places)


def _take_from_own(options: Iterable[tuple[str, str, list[str]]], by_name: Mapping[str, Argument]) -> None:
    """Use the options of the user's own file, and name that file."""
    taken: dict[str, list[str]] = {}
    for source, key, values in options:
        argument = by_name.get(f"--{key.replace('_', '-')}")
        if argument is None and is_shared(key):
            continue
        if argument is None:
            raise ConfigError(f"{source}: unknown option {key}.")
        if not argument.tokens:
            taken.setdefault(source, []).append(key)
            for value in values:
                argument.append(Token(keyword=f"--{key}", value=value, source=source))
    for source, keys in taken.items():
        print(f"Options from {readable_path(source)}: {', '.join(keys)}", file=sys.stderr)


def _refuse_empty_paths(by_name: Mapping[str, Argument]) -> None:
    """An empty path is a variable of a shell that is not set; pathlib takes it for the current folder."""
    for name, argument in by_name.items():
        is_path = argument.hint in (Path, Path | None) or name in ("--dicom-dir", "--output-dir", "--file")
        if is_path and any(token.value == "" for token in argument.tokens):
            raise ConfigError(f"{name}: the path is empty. Is a shell variable unset?")


def _take_from_data(folder: Path, by_name: Mapping[str, Argument]) -> None:
    """Use the image options of a file beside the data, and name that file."""
    path, options = data_options(folder)
    taken = [key for key in options if not by_name[f"--{key}"].tokens]
    for key in options:
        given = by_name[f"--{key}"].tokens[:1]
        if given and Path(given[0].source or "").name == path.name and [given[0].value] != options[key]:
            raise ConfigError(f"{given[0].source} and {path} ask for different images: give --{key}.")
    for key in taken:
        by_name[f"--{key}"].append(Token(keyword=f"--{key}", value=options[key][0], source=str(path)))
    if taken:
        print(f"Options from {readable_path(str(path))}: {', '.join(taken)}", file=sys.stderr)


def _join_values(arguments: Iterable[str]) -> list[str]:
    """`--window -600/1500` as `--window=-600/1500`: a value that begins with a minus is no other option.

    There are no short options but -h. Behind `--` all stands for itself.
    """
    joined: list[str] = []
    for argument in arguments:
        before = joined[-1] if joined and "--" not in joined else ""
        is_value = re.fullmatch(r"-(?!-|h$).+", argument, re.DOTALL) is not None
        if is_value and before.startswith("--") and "=" not in before:
            joined[-1] = f"{before}={argument}"
        else:
            joined.append(argument)
    return joined


app.config = [_read_defaults]

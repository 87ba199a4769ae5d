"""Default options: those of images from `dicomprep.toml` beside the data, others from the user's own files."""

import codecs
import errno
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dicomprep.config import Config
from dicomprep.engines.options import JobOptions
from dicomprep.errors import ConfigError
from dicomprep.storage.source import read_small_file

__all__ = ["data_options", "default_options", "is_shared", "read_jobs"]

FILE_NAME = "dicomprep.toml"

MAX_DATA_FILE_BYTES = 2**16
"""Size of an options file beside the data; bounds memory."""

MAX_USER_FILE_BYTES = 2**22
"""Size of one in the current folder, where pyproject.toml has other things as well; bounds memory."""

IMAGE_OPTIONS = (
    "size", "spacing", "fit", "depth", "window", "frames", "format", "crop", "crop_margin", "orient", "blank_text",
)  # fmt: skip
"""Options that a file beside the data may set: such a folder may be anybody's."""

COMMAND_LINE_ONLY = ("host", "token", "allow_host")
"""Options of the command line only: who may open the page must not be set by a file of somebody else."""

SHARED = ("db", "output_dir", "workers")
"""Options at the top of the file that apply to every command that has them."""

RECEIVING = (("receive",), ("fetch",))
"""Commands that take options of images and of a run from there as well, but nothing of networks."""

_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""By byte order mark; that of UTF-32 begins with that of UTF-16."""


def data_options(dicom_dir: Path) -> tuple[Path, dict[str, list[str]]]:
    """The file of options beside the data, and the values of each that it has: of images alone.

    Raises ConfigError where it says anything else, or cannot be read; links are not followed, pipes not waited for.
    """
    path = dicom_dir / FILE_NAME
    options = _read_toml(path, follow_links=False) or {}
    for key, value in options.items():
        if key not in IMAGE_OPTIONS:
            only = f"Beside the data, only {', '.join(IMAGE_OPTIONS)} may be set"
            raise ConfigError(f"{path}: {only}. Give {key} on the command line or in {FILE_NAME} of your own folder.")
        if isinstance(value, dict | list):
            raise ConfigError(f"{path}: `{key}` must be a single value.")
    return path, {key: _values(value) for key, value in options.items()}


def default_options(command: Sequence[str], folders: Sequence[Path]) -> Iterator[tuple[str, str, list[str]]]:
    """(where it stands, option, values) for a command, from the files of the current folder.

    Those of `preprocess` stand at the top, those of `label` in a table of that name; some count for every command, and
    what shapes images for each that makes some.
    A current folder that lies in the folder of data is not the user's own: nothing is taken from it.
    Raises ConfigError where a file cannot be read.
    """
    if _lies_in(folders):
        return
    path, options = _find_options()
    own, shared = options.get("label"), {key: value for key, value in options.items() if key in SHARED}
    if own is not None and not isinstance(own, dict):
        raise ConfigError(f"{path}: `label` must be a table, [label].")
    if tuple(command) == ("preprocess",):
        shared = {key: value for key, value in options.items() if key != "label" and not _is_jobs(key, value)}
    if tuple(command) == ("label",):
        for key, value in (own or {}).items():
            if key in COMMAND_LINE_ONLY:
                raise ConfigError(f"{path} [label]: `{key}` can only be given on the command line, as --{key}.")
            yield f"{path} [label]", key, [_joined(value)]
    if tuple(command) in RECEIVING:
        names = Config.option_names() | {*SHARED}
        shared = {key: value for key, value in options.items() if key.replace("-", "_") in names}
    yield from ((str(path), key, _values(value)) for key, value in shared.items())


def read_jobs(folders: Sequence[Path]) -> JobOptions | None:
    """The table [cluster] of the file of the current folder; None where it has none, or is not the user's own.

    It says which commands a cluster runs, so that what lies with the data has no say in it.
    Raises ConfigError where the table says what no jobs can be.
    """
    if _lies_in(folders):
        return None
    path, options = _find_options()
    table = options.get("cluster")
    try:
        return JobOptions.of(table) if isinstance(table, dict) else None
    except ConfigError as error:
        raise ConfigError(f"{path} {error}") from error


def _is_jobs(key: str, value: object) -> bool:
    """Whether this is the table of jobs, and not the option of that name."""
    return key == "cluster" and isinstance(value, dict)


def _lies_in(folders: Sequence[Path]) -> bool:
    """Whether the current folder lies in a folder of data, and so may be anybody's."""
    here = Path.cwd().resolve()
    return any(here.is_relative_to(folder.resolve()) for folder in folders)


def is_shared(option: str) -> bool:
    """Whether a command may leave the option out that it does not have."""
    return option in SHARED or option.replace("-", "_") in Config.option_names()


def _values(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _joined(value: object) -> str:
    if isinstance(value, list) and any("," in str(one) for one in value):
        raise ConfigError("A name in a list of dicomprep.toml contains a comma, which separates names: remove it.")
    return ",".join(_values(value))


def _find_options() -> tuple[Path, Mapping[str, Any]]:
    for path in (Path(FILE_NAME), Path("pyproject.toml")):
        content = _read_toml(path, follow_links=True)
        if content is None:
            continue
        if path.name == FILE_NAME:
            return path, content
        tool = content.get("tool", {})
        own = tool.get("dicomprep", {}) if isinstance(tool, dict) else {}
        if not isinstance(own, dict):
            raise ConfigError(f"{path}: `tool.dicomprep` must be a table, [tool.dicomprep].")
        return path, own
    return Path(FILE_NAME), {}


def _read_toml(path: Path, *, follow_links: bool) -> dict[str, Any] | None:
    """What a file says; None where there is none."""
    try:
        raw = read_small_file(
            path, most=MAX_USER_FILE_BYTES if follow_links else MAX_DATA_FILE_BYTES, follow_links=follow_links
        )
        return tomllib.loads(_decode(raw).replace("\r\n", "\n"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except RecursionError as error:
        raise ConfigError(f"{path} cannot be read: it is nested too deeply.") from error
    except OSError as error:
        is_link = error.errno == errno.ELOOP
        reason = "it is a symbolic link, and beside the data links are not followed" if is_link else error.strerror
        raise ConfigError(f"{path} cannot be read: {reason}.") from error
    except ValueError as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _decode(raw: bytes) -> str:
    """UTF-8, with a byte order mark or without, as editors of Windows write it."""
    for mark, encoding in _OTHER_ENCODINGS.items():
        if raw.startswith(mark):
            raise ValueError(f"its byte order mark says {encoding}. Save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8. Save it as UTF-8") from error

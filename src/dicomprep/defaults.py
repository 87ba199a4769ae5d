"""Options that were not given: from `dicomprep.toml` beside the data or here, else from pyproject.toml."""

import codecs
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dicomprep.errors import ConfigError

__all__ = ["default_options", "is_shared"]

SHARED = ("db", "output_dir", "workers")
"""What stands at the top of the file and counts for every command that has such an option."""

_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""By byte order mark; that of UTF-32 begins with that of UTF-16."""


def default_options(command: Sequence[str], dicom_dir: Path) -> Iterator[tuple[str, str, list[str]]]:
    """(where it stands, option, values) for a command.

    Those of `preprocess` stand at the top, those of `label` in a table of that name; some count for every command.
    Raises ConfigError where a file cannot be read.
    """
    path, options = _find_options(dicom_dir)
    own, shared = options.get("label"), {key: value for key, value in options.items() if key in SHARED}
    if own is not None and not isinstance(own, dict):
        raise ConfigError(f"{path}: `label` is a table, [label].")
    if tuple(command) == ("preprocess",):
        shared = {key: value for key, value in options.items() if key != "label"}
    if tuple(command) == ("label",):
        yield from ((f"{path} [label]", key, [_joined(value)]) for key, value in (own or {}).items())
    yield from ((str(path), key, _values(value)) for key, value in shared.items())


def is_shared(option: str) -> bool:
    """Whether a command may leave the option out that it does not have."""
    return option in SHARED


def _values(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _joined(value: object) -> str:
    if isinstance(value, list) and any("," in str(one) for one in value):
        raise ConfigError("A name in a list of dicomprep.toml holds a comma, which separates names: leave it out.")
    return ",".join(_values(value))


def _find_options(dicom_dir: Path) -> tuple[Path, Mapping[str, Any]]:
    for path in (dicom_dir / "dicomprep.toml", Path("dicomprep.toml"), Path("pyproject.toml")):
        content = _read_toml(path)
        if content is None:
            continue
        if path.name == "dicomprep.toml":
            return path, content
        tool = content.get("tool", {})
        own = tool.get("dicomprep", {}) if isinstance(tool, dict) else {}
        if not isinstance(own, dict):
            raise ConfigError(f"{path}: `tool.dicomprep` is a table, [tool.dicomprep].")
        return path, own
    return dicom_dir, {}


def _read_toml(path: Path) -> dict[str, Any] | None:
    """What a file says; None where there is none."""
    try:
        raw = path.read_bytes()
        return tomllib.loads(_decode(raw).replace("\r\n", "\n"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _decode(raw: bytes) -> str:
    """UTF-8, with a byte order mark or without, as editors of Windows write it."""
    for mark, encoding in _OTHER_ENCODINGS.items():
        if raw.startswith(mark):
            raise ValueError(f"by its byte order mark it is {encoding}. Save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8. Save it as UTF-8") from error

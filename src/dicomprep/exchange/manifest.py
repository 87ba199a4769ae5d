"""What an export folder holds: `manifest.jsonl`, its first line the options, then a line for each shard."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dicomprep.errors import ConfigError
from dicomprep.exchange.pseudonyms import KEY_LENGTH
from dicomprep.storage.access import ANYONE, OWNER, access_like
from dicomprep.storage.sync import replace_file

__all__ = [
    "MANIFEST",
    "Manifest",
    "Shard",
    "append_line",
    "load_header",
    "load_manifest",
    "manifest_line",
    "read_lines",
]

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of an export, and which frames are in it."""

    file: str
    """Below the export's folder, with forward slashes."""
    split: str
    """The split of all its frames; empty where they are mixed."""
    fingerprint: str
    """Of what the database said when it was written."""
    keys: str
    """End to end, each of `KEY_LENGTH` digits: in a list, ten million of them would fill a gigabyte."""
    bytes: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of one folder."""

    folder: Path
    header: dict[str, Any]
    shards: tuple[Shard, ...] = ()
    access: int = OWNER
    """Whom the files of the export are for."""

    def write(self) -> None:
        """Put the whole manifest in the place of the one that was there."""
        lines = [manifest_line(self.header), *map(_shard_line, self.shards)]
        replace_file(self.folder / MANIFEST, "".join(lines).encode(), mode=0o666 & self.access, durable=True)

    def append(self, shard: Shard) -> "Manifest":
        """Add the line of a shard that is whole and in its place."""
        append_line(self.folder, _shard_line(shard))
        return replace(self, shards=(*self.shards, shard))


def load_header(folder: Path) -> dict[str, Any] | None:
    """The options of the export in a folder, of any format; None where there is none."""
    lines = read_lines(folder)
    return lines[0] if lines else None


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of the manifest in a folder, the header first; none where there is none.

    Raises ConfigError where it is damaged.
    """
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    try:
        lines = [dict(json.loads(line)) for line in text.split("\n")[:-1]]  # a killed export may leave part of one
    except (ValueError, TypeError) as error:
        raise _damaged(folder) from error
    if not lines:
        raise _damaged(folder)
    return lines


def load_manifest(folder: Path) -> Manifest | None:
    """The manifest in a folder of an export of images, as far as its lines are whole; None where there is none."""
    lines = read_lines(folder)
    if not lines:
        return None
    try:
        return Manifest(folder, lines[0], tuple(_shards(lines[1:])), access_like(folder / MANIFEST) or ANYONE)
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(folder) from error


def _damaged(folder: Path) -> ConfigError:
    return ConfigError(f"{folder / MANIFEST} is damaged. Export to another folder.")


def _shards(lines: Iterable[dict[str, Any]]) -> Iterable[Shard]:
    for line in lines:
        if any(len(key) != KEY_LENGTH for key in line["keys"]):
            raise ValueError(line["file"])
        yield Shard(**line | {"keys": "".join(line["keys"])})


def _shard_line(shard: Shard) -> str:
    starts = range(0, len(shard.keys), KEY_LENGTH)
    return manifest_line(asdict(shard) | {"keys": [shard.keys[start : start + KEY_LENGTH] for start in starts]})


def append_line(folder: Path, line: str) -> None:
    """Add a line to the manifest in a folder; it is on the disk when this returns."""
    with (folder / MANIFEST).open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def manifest_line(content: dict[str, Any]) -> str:
    """What the manifest has of something, as a line."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"

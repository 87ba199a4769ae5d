"""The folder of an export: whether one may go there, what one that is there was made with, and who writes to it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dicomprep.errors import ConfigError, EnvironmentFault, place_fault
from dicomprep.exchange.manifest import MANIFEST, load_header
from dicomprep.exchange.pseudonyms import new_salt
from dicomprep.storage.access import make_folder
from dicomprep.storage.paths import OWN_PREFIX
from dicomprep.storage.sync import DRAFT

__all__ = ["CARD", "SCRATCH", "alone", "find_salt", "plain", "require_folder", "require_same"]

SCRATCH = f"{OWN_PREFIX}-tmp"
CARD = "README.md"
DRAFTS = (f"{MANIFEST}{DRAFT}", ".manifest.jsonl.tmp")
"""What an export leaves that is killed as it begins, this release's and an earlier one's."""


_FREE = ("classes", "segments", "layout", "split_seed")
"""What may become more as an export goes on."""


def _comparable(header: dict[str, Any]) -> dict[str, Any]:
    """What an export that goes on must have in common with the one that is there."""
    return {name: value for name, value in header.items() if name not in _FREE}


def require_folder(out: Path) -> None:
    """Tell before anything is read that an export cannot go there."""
    if out.suffix in (".csv", ".parquet", ".tar") or out.is_file():
        raise ConfigError(f"{out} is a file: give a folder for the data, its {CARD} and its {MANIFEST}.")
    there = [entry.name for entry in out.iterdir() if entry.name not in DRAFTS] if out.is_dir() else []
    if not all(name.startswith(OWN_PREFIX) for name in there) and load_header(out) is None:
        raise ConfigError(f"The folder {out} contains other files. Export to a new one.")


def find_salt(out: Path) -> str:
    """That of the export which the folder holds, so that it can be gone on with; else a new one."""
    known = load_header(out)
    recorded = known.get("options", {}).get("fresh_pseudonyms") if known is not None else None
    return str(recorded or new_salt())


def require_same(out: Path, known: dict[str, Any], header: dict[str, Any]) -> None:
    """ConfigError where the folder holds an export with another `header` than this one, so that none can go on."""
    if _comparable(known) != _comparable(header):
        raise ConfigError(f"The folder {out} contains {_difference(known, header)}. Export to a new one.")


def plain(header: dict[str, Any]) -> dict[str, Any]:
    """The header as it will be read again."""
    return dict(json.loads(json.dumps(header)))


def _difference(known: dict[str, Any], asked: dict[str, Any]) -> str:
    if known.get("format") != asked["format"]:
        return f"an export in another format, {known.get('format')}"
    if known.get("data_set") != asked["data_set"]:
        return "an export of another data set"
    before, now = known.get("options", {}), asked["options"]
    other = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    return f"an export with another --{', --'.join(other).replace('_', '-')}"


@contextmanager
def alone(out: Path, access: int) -> Iterator[bool]:
    """Make the folder and keep other exports out of it; whether one broke off there."""
    scratch = out / SCRATCH
    try:
        unfinished = scratch.exists()
        make_folder(out, access)
        make_folder(scratch, access)
        with FileLock(scratch / "lock", timeout=0):
            yield unfinished
            shutil.rmtree(scratch, ignore_errors=True)
    except ConfigError:
        if not unfinished:
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    except Timeout as error:
        raise EnvironmentFault(f"Another export is writing to {out}.") from error
    except OSError as error:
        raise place_fault(out, error) from error

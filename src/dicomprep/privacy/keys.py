"""What may be known and what may leave: the key of a data set, what hides behind it, and what an export may hold."""

import hmac
import os
import secrets
import stat
from functools import lru_cache
from pathlib import Path

import xxhash

from dicomprep.errors import ConfigError, disk_fault
from dicomprep.storage.source import read_small_file
from dicomprep.storage.sync import replace_file

__all__ = [
    "KEY_BYTES",
    "PATH_COLUMNS",
    "UID_COLUMNS",
    "explain_exposure",
    "find_key",
    "fingerprint_key",
    "is_uid",
    "keyed_hash",
    "load_key",
    "make_key",
    "save_key",
    "uid_key",
    "valid_uid",
    "withheld_columns",
]

KEY_BYTES = 32
KEY_FILE_BYTES = 1024
"""Far more than a key file has; what is larger is none, and is not read."""

UID_COLUMNS = frozenset({
    "sop_instance_uid", "study_instance_uid", "series_instance_uid",
    "target_sop_instance_uid", "target_series_instance_uid",
})  # fmt: skip
"""What joins the data with its sources, and identifies them: leaves the database by `--with-uids` alone."""

PATH_COLUMNS = frozenset(
    {"root", "path", "name", "folded_name", "frame_stem", "filename", "study_id", "thumbnail_path", "output_dir"}
    | {"group_folder"}
)
"""What is made of source paths, which often hold names: leaves the database by `--with-paths` alone."""


def withheld_columns(*, with_uids: bool = False, with_paths: bool = False) -> frozenset[str]:
    """Columns that an export must not hold, by the options given. The key file is never exported.

    >>> "sop_instance_uid" in withheld_columns(with_paths=True), "path" in withheld_columns(with_paths=True)
    (True, False)
    """
    return (frozenset() if with_uids else UID_COLUMNS) | (frozenset() if with_paths else PATH_COLUMNS)


def is_uid(text: str) -> bool:
    """Whether text has the form of a UID (PS3.5 9.1), and so says no more than one does."""
    return len(text) <= 64 and text.isascii() and text.replace(".", "").isdigit()


@lru_cache(maxsize=1024)
def valid_uid(text: str | None) -> str | None:
    """A UID as it is; None where it has not the form of one, for it might say anything."""
    return text if text is not None and is_uid(text) else None


def uid_key(text: str | None) -> int | None:
    """A hash of a UID that is only compared, in place of it; None where there is none."""
    return xxhash.xxh3_64_intdigest(text.encode()) - 2**63 if text is not None and valid_uid(text) else None


def explain_exposure(path: Path) -> str | None:
    """A sentence where others may read the key file; None where only its owner may, or there is none."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    if os.name == "nt" or not mode & 0o077:
        return None
    return f"The key file {path} is readable by others (mode {mode:04o}) and can re-identify patients: chmod 600 it."


@lru_cache(maxsize=1024)
def keyed_hash(key: bytes, kind: str, identity: str) -> str:
    """HMAC-SHA256 of an identity, 32 hexadecimal digits; `kind` keeps a patient apart from a folder of that name."""
    return hmac.digest(key, f"{kind}\0{identity}".encode("utf-8", "surrogateescape"), "sha256").hex()[:32]


def fingerprint_key(key: bytes) -> str:
    """What the database keeps to recognize its key by, without holding it."""
    return hmac.digest(key, b"dicomprep key check", "sha256").hex()[:16]


def make_key(path: Path) -> bytes:
    """Make a random key in a new file."""
    key = secrets.token_bytes(KEY_BYTES)
    save_key(path, key)
    return key


def save_key(path: Path, key: bytes) -> None:
    """Write a key to a file that only its owner may read; it is on the disk, whole, or not there at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, f"{key.hex()}\n".encode(), mode=0o600, durable=True)
    except OSError as error:
        raise disk_fault(f"The key file {path} cannot be created", error) from error


def find_key(path: Path, former: Path | None, *, check: str) -> bytes:
    """The key with this fingerprint, from the file where it lies or, if that is not there, from where it lay before.

    Raises ConfigError where it is missing or another's.
    """
    key = load_key(path)
    if key is None and former is not None:
        earlier = load_key(former)
        key = earlier if earlier is not None and fingerprint_key(earlier) == check else None
    if key is None:
        message = f"The key file {path} is missing: splits and pseudonyms depend on it."
        raise ConfigError(f"{message} Restore it from a backup; labels can be exported without it.")
    if fingerprint_key(key) != check:
        raise ConfigError(f"The key file {path} belongs to another data set. Restore the right one.")
    return key


def load_key(path: Path) -> bytes | None:
    """The key in `path`; None where there is no such file, ConfigError where it is not a dicomprep key."""
    try:
        key = bytes.fromhex(read_small_file(path, most=KEY_FILE_BYTES).decode("ascii"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_fault(f"The key file {path} cannot be read", error) from error
    except ValueError as error:
        raise ConfigError(f"The key file {path} is not a dicomprep key.") from error
    if len(key) != KEY_BYTES:
        raise ConfigError(f"The key file {path} is not a key of {KEY_BYTES} bytes.")
    return key

"""The secret of a data set: what turns a patient's identity into a key that no one can turn back."""

import hmac
import os
import secrets
from pathlib import Path

from dicomprep.errors import ConfigError, disk_fault

__all__ = ["DRAFT", "KEY_BYTES", "fingerprint_key", "keyed_hash", "load_key", "make_key"]

KEY_BYTES = 32
DRAFT = ".new"
"""Ending of the file in which a key is written before it gets its name."""


def keyed_hash(key: bytes, kind: str, identity: str) -> str:
    """HMAC-SHA256 of an identity, 32 hexadecimal digits; `kind` keeps a patient apart from a folder of that name."""
    return hmac.digest(key, f"{kind}\0{identity}".encode("utf-8", "surrogateescape"), "sha256").hex()[:32]


def fingerprint_key(key: bytes) -> str:
    """What the database keeps to recognise its key by, without holding it."""
    return hmac.digest(key, b"dicomprep key check", "sha256").hex()[:16]


def make_key(path: Path) -> bytes:
    """Make a random key in a new file that only its owner may read; it is on the disk, whole, or not there at all."""
    key = secrets.token_bytes(KEY_BYTES)
    draft = path.with_name(path.name + DRAFT)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(descriptor)
        draft.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise disk_fault(f"The key file {path} cannot be made", error) from error
    return key


def load_key(path: Path) -> bytes | None:
    """The key in `path`; None where there is no such file, ConfigError where it holds no key."""
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_fault(f"The key file {path} cannot be read", error) from error
    except ValueError as error:
        raise ConfigError(f"The key file {path} holds no key.") from error
    if len(key) != KEY_BYTES:
        raise ConfigError(f"The key file {path} holds no key of {KEY_BYTES} bytes.")
    return key


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder written to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The token of a data set that other machines may label: kept, so that a browser that waits for a restart is let in."""

import errno
import hmac
import os
import re
import secrets
import socket
import stat
from pathlib import Path

from dicomprep.storage.source import read_small_file
from dicomprep.storage.sync import replace_file

__all__ = ["load_token"]

MACHINE_ID = Path("/etc/machine-id")
MAX_BYTES = 256
"""Bytes of a token file; bounds what is read of it."""

_TOKEN = re.compile(r"[\w-]{32,128}", re.ASCII)


def load_token(path: Path) -> tuple[str, str | None]:
    """The token in `path`, or a new one that is put there; and a sentence where something else was there, or it fails.

    A file counts that only this user can have written and read, on this machine and at this place: one that came along
    with a data set is known to whoever sent it.
    """
    try:
        return _read(path), None
    except FileNotFoundError:
        said = None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        said = f"Ignored the token in {path} ({reason}); created a new one."
    token = secrets.token_urlsafe(24)
    try:
        replace_file(path, f"{token} {_seal(path, token)}\n".encode(), mode=0o600)
    except OSError as error:
        return token, f"Cannot save the token in {path} ({error.strerror}); it changes at the next start."
    return token, said


def _read(path: Path) -> str:
    """Raises OSError or ValueError where there is none that can be trusted."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise OSError(errno.EPERM, "other users can read it")
    token, _, seal = read_small_file(path, most=MAX_BYTES, follow_links=False).decode("ascii").strip().partition(" ")
    if not _TOKEN.fullmatch(token):
        raise ValueError("no valid token")
    if not hmac.compare_digest(seal, _seal(path, token)):
        raise ValueError("created on another machine or in another folder")
    return token


def _seal(path: Path, token: str) -> str:
    """What only this machine makes of a token at this place: who sends a file does not know the machine's id."""
    try:
        machine = read_small_file(MACHINE_ID, most=MAX_BYTES)
    except OSError:
        machine = b""
    here = os.fsencode(os.path.realpath(path.parent) + os.sep + path.name)
    return hmac.digest(machine or socket.gethostname().encode(), here + b"\0" + token.encode(), "sha256").hex()

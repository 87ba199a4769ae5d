"""Names and paths: those that are this program's own, and any path as text that can be shown and kept."""

import re

__all__ = ["INCOMING", "MARK", "OWN_PREFIX", "SCRATCH", "actual_path", "readable_path"]


OWN_PREFIX = ".dicomprep"
"""Names below the output folder that begin so are this program's, not images'."""


SCRATCH = f"{OWN_PREFIX}-tmp"
"""Folder below the output, or a spool, in which a file is written before it is moved to its place."""


INCOMING = f"{OWN_PREFIX}-incoming"
"""Folder of a spool in which an instance is written before it is moved to its place; no run searches it."""

MARK = f"{OWN_PREFIX}.owner"
"""In the output folder: its database, and the fingerprint of that data set's key. Images are for whom it is."""


def readable_path(path: str) -> str:
    r"""A path as text that any terminal, database or report can take; `actual_path` turns it back.

    A byte that is no UTF-8 becomes `\xff`, a control character `\x0a` or `\u2028`, a backslash `\\`.

    >>> readable_path("scan\n1")
    'scan\\x0a1'
    """
    if path.isprintable() and "\\" not in path:
        return path
    return "".join(_escape(character) for character in path)


def actual_path(readable: str) -> str:
    """The path that `readable_path` made readable."""
    if "\\" not in readable:
        return readable
    return re.sub(r"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))", _unescape, readable)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _unescape(match: re.Match[str]) -> str:
    byte, *wide = match.groups()
    if byte:
        return chr(int(byte, 16)) if int(byte, 16) < 0x80 else chr(0xDC00 + int(byte, 16))
    digits = next((digits for digits in wide if digits), None)
    return chr(int(digits, 16)) if digits else "\\"

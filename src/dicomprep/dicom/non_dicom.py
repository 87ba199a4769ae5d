"""What lies where a DICOM file should be: pointers of Git LFS and git-annex, pages of errors, nothing at all."""

import re
from collections.abc import Callable

from dicomprep.dicom.sniff import DICOM_SUFFIXES
from dicomprep.storage.source import MemoryFile, SourceFile

__all__ = ["explain_not_dicom", "is_apple_double", "is_pointer_to_dicom"]

APPLE_DOUBLE = b"\0\5\x16\7"
_LFS = re.compile(rb"version https?://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/")
_ANNEX = re.compile(rb"(?:\.\./)*(?:\.git)?[/\\]annex[/\\]objects[/\\][^\n]*?([^/\\\n]+)\n?")
_PAGE = re.compile(
    rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|\?xml|error)\b", re.IGNORECASE | re.DOTALL
)
_MESSAGE = re.compile(rb"\s*[\[{]\s*[\"\[{]")

POINTER_BYTES = 2**15
"""Pointers are no longer than that."""


def explain_not_dicom(file: SourceFile | MemoryFile) -> str:
    """Why an open file that should be DICOM is none, with the remedy where there is one."""
    head = file.head()
    if head and not head.strip(b"\0") and _holds_only_zeros(file):
        return "contains only zeros (interrupted download or copy): copy it again"
    return next((reason for test, reason in _STAND_INS if test(head)), _UNKNOWN)


def is_apple_double(head: bytes) -> bool:
    """Whether bytes begin a file in which macOS keeps what another file system has no place for."""
    return head.startswith(APPLE_DOUBLE)


def is_pointer_to_dicom(head: bytes, name: str) -> bool:
    """Whether bytes are a pointer to a file that is called as DICOM files are: with their endings, or with none."""
    if len(head) > POINTER_BYTES or not (_LFS.match(head) or _is_annex_pointer(head)):
        return False
    stem, dot, ending = name.lower().rpartition(".")
    return not dot or not stem or ending.isdigit() or f".{ending}" in DICOM_SUFFIXES


def _is_annex_pointer(head: bytes) -> bool:
    return len(head) <= POINTER_BYTES and _ANNEX.match(head) is not None


def _holds_only_zeros(file: SourceFile | MemoryFile) -> bool:
    """Read to the end, or to the first byte that is none."""
    return not any(file.read_at(offset, 2**20).strip(b"\0") for offset in range(0, file.size, 2**20))


_UNKNOWN = "not a DICOM file (no DICM prefix, no readable data set)"
_STAND_INS: tuple[tuple[Callable[[bytes], object], str], ...] = (
    (lambda head: not head, "empty file (0 bytes): copy it again"),
    (_LFS.match, "Git LFS pointer instead of the file: run `git lfs pull`, then again"),
    (_is_annex_pointer, "git-annex pointer instead of the file: run `datalad get` or `git annex get`, then again"),
    (is_apple_double, "AppleDouble file (macOS metadata of another file): remove it"),
    (_PAGE.match, "web page or XML instead of the file, perhaps a server's error: download it again"),
    (
        lambda head: _MESSAGE.match(head) and head.isascii(),
        "JSON instead of the file, perhaps a server's error: download it again",
    ),
)

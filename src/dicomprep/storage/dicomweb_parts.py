"""Where an instance stands in what a DICOMweb server sends: in one part of a multipart answer, or alone (PS3.18)."""

import os
import re
from typing import BinaryIO

__all__ = ["find_part"]

MAX_PART_HEADER_BYTES = 2**14
SEARCHED_BYTES = 2**22
"""Of an answer that are in memory at one time."""

MAX_IDENTITY_BYTES = 2**20
"""Of an instance, in which its UID stands."""

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))')


def find_part(content: BinaryIO, kind: str, instance: str) -> tuple[int, int] | None:
    """Where an instance begins and ends; None where another one is there, several are, or not all of one."""
    content.seek(0)
    head = content.read(MAX_PART_HEADER_BYTES)
    if kind.lower().lstrip().startswith("multipart/related"):
        found = _find_only_part(content, head, kind)
    else:
        found = (0, content.seek(0, os.SEEK_END)) if head[128:132] == b"DICM" else None
    return found if found is not None and _is_instance(content, found[0], instance) else None


def _find_only_part(content: BinaryIO, head: bytes, kind: str) -> tuple[int, int] | None:
    """The part between the first boundary and the last, which has to follow it."""
    match = _BOUNDARY.search(kind)
    if match is None:
        return None
    mark = b"--" + (match[1] or match[2]).encode("ascii", "replace")
    at = head.find(mark)
    begin = head.find(b"\r\n\r\n", at) + 4
    if at < 0 or begin < 4:
        return None
    end = _find(content, b"\r\n" + mark, begin)
    content.seek(max(0, end) + 2 + len(mark))
    return (begin, end) if end >= 0 and content.read(2) == b"--" else None


def _find(content: BinaryIO, mark: bytes, begin: int) -> int:
    """Where a mark stands first from a place on; -1 where it does not."""
    at, before = begin, b""
    content.seek(begin)
    while piece := content.read(SEARCHED_BYTES):
        found = (before + piece).find(mark)
        if found >= 0:
            return at - len(before) + found
        at += len(piece)
        before = (before + piece)[-len(mark) + 1 :]
    return -1


def _is_instance(content: BinaryIO, begin: int, instance: str) -> bool:
    """Whether its UID stands where an instance has it: some caches answer with what somebody else asked for."""
    content.seek(begin)
    return (
        re.search(rb"(?<![0-9.])" + re.escape(instance.encode()) + rb"(?![0-9.])", content.read(MAX_IDENTITY_BYTES))
        is not None
    )

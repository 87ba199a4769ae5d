"""A folder's entries in a fixed order, however many there are: what does not fit a bounded memory waits on disk."""

import heapq
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO, Any, TypeVar

__all__ = ["FOLDER", "NAMED_DCM", "OTHER", "Entry", "folder_order", "list_sorted", "sort_all"]

T = TypeVar("T", bound=tuple[Any, ...])

NAMED_DCM, OTHER, FOLDER = range(3)
"""The order within a folder, so that `scan.dcm` is named before `scan`, which may be no image at all."""

Entry = tuple[int, str, int]
"""(rank, name, anything that was noted of it): entries come by rank, then by name."""

MAX_HELD_ENTRIES = 10_000
"""Entries of one folder sorted in memory; bounds it. More of them are sorted in pieces, in a temporary file."""

BLOCK_ENTRIES = 128
"""Entries of each piece that are read at a time while pieces are merged."""


def list_sorted(folder: str, judge: Callable[["os.DirEntry[str]"], Entry | None]) -> Iterator[Entry]:
    """The entries of a folder as `judge` sees them, in order; those that it passes over are left out.

    The folder is read to its end before this returns. OSError where it cannot be listed.
    """
    with os.scandir(folder) as listing:
        return sort_all(entry for entry in map(judge, listing) if entry is not None)


def folder_order(path: str) -> tuple[tuple[int, str], ...]:
    """A key by which paths come as a folder's files do: `.dcm` first, then others, then what lies in its folders."""
    *folders, name = path.split("/")
    rank = NAMED_DCM if name.lower().endswith(".dcm") else OTHER
    return (*((FOLDER, folder) for folder in folders), (rank, name))


def sort_all(entries: Iterator[T]) -> Iterator[T]:
    """All of them, in order; they are read to their end before this returns."""
    held = sorted(islice(entries, MAX_HELD_ENTRIES))
    if len(held) < MAX_HELD_ENTRIES:
        return iter(held)
    spool = tempfile.TemporaryFile()  # noqa: SIM115  (`_merge` closes it)
    pieces = [_put_away(spool, held)]
    while held := sorted(islice(entries, MAX_HELD_ENTRIES)):
        pieces.append(_put_away(spool, held))
    return _merge(spool, pieces)


def _merge(spool: IO[bytes], pieces: list[list[int]]) -> Iterator[T]:
    with spool:
        yield from heapq.merge(*(_take_back(spool, blocks) for blocks in pieces))


def _put_away(spool: IO[bytes], held: list[T]) -> list[int]:
    """Write a sorted piece; where each of its blocks begins."""
    blocks = []
    for start in range(0, len(held), BLOCK_ENTRIES):
        blocks.append(spool.tell())
        pickle.dump(held[start : start + BLOCK_ENTRIES], spool)
    return blocks


def _take_back(spool: IO[bytes], blocks: list[int]) -> Iterator[Any]:
    for block in blocks:
        spool.seek(block)
        yield from pickle.load(spool)  # noqa: S301  (this process wrote it, into a file that has no name)

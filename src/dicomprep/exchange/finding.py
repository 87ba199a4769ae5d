"""The images that a cell of a table can mean, in any spelling: all of them, as only a unique one is a match.

A name of an image, a path of its source or of its thumbnail, absolute or below any of their folders, with and without
endings, with slashes of either kind, a key of an export (`….png`), a SOP Instance UID. What is hidden as a duplicate is
found under its names, too, and means its original.

Spellings are compared by 64-bit hashes in arrays: a million cells and a million images take some 100 MB.
"""

import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from unicodedata import normalize
from urllib.parse import unquote

import numpy as np
import xxhash
from numpy.typing import NDArray
from sqlalchemy import Connection

from dicomprep.database.queries.exchange import NamedFrame, named_frames
from dicomprep.exchange.kinds import Kind
from dicomprep.exchange.pseudonyms import KEY_LENGTH, Pseudonyms
from dicomprep.storage.naming import folded_name
from dicomprep.workspace import Workspace

__all__ = ["ANY_FRAME", "FoundImages", "bare_name", "find_images"]

ANY_FRAME = -1
"""The frame number of a cell in whose row none is stated."""

EXACT, WHOLE, END = range(3)
"""How well a name matches: as dicomprep writes it; a whole path; the end of a path. Only the best counts."""

BATCH_NAMES = 50_000

_ENDING = re.compile(r"\.(dcm|dicom|ima|dic|png|jpe?g|tiff?|bmp|webp|npy)\Z", re.IGNORECASE)
_KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")
_FLOAT = re.compile(r"([0-9]+)\.0+")
"""What pandas makes of whole numbers where a column has gaps."""


@dataclass(frozen=True, slots=True)
class FoundImages:
    """What cells mean."""

    counts: NDArray[np.int32]
    """How many images each cell can mean."""
    ids: NDArray[np.int64]
    """One of them, the smallest; 0 where there is none."""


def bare_name(text: str) -> str:
    """The last part of a path, without an ending of an image."""
    return _ENDING.sub("", text.replace("\\", "/").rstrip("/").rpartition("/")[2])


def find_images(
    connection: Connection, workspace: Workspace, kind: Kind, cells: Sequence[str], numbers: Sequence[int]
) -> FoundImages:
    """Find what cells mean by themselves; `numbers` has the frame number of each row, or ANY_FRAME."""
    search = _Search(cells, np.fromiter(numbers, np.int64, len(cells)))
    if kind is Kind.FILENAME:
        _find_names(connection, workspace, search)
        return search.result()
    pseudonyms = Pseudonyms(workspace.key) if kind is Kind.KEY else None
    search.spell(_bare_spellings, range(len(cells)))
    offered = _Offers(search)
    for frame in named_frames(connection):
        if pseudonyms is not None:
            offered.add(pseudonyms.of_image(frame.filename).decode(), frame, EXACT)
        elif kind is Kind.ID:
            offered.add(str(frame.id), frame, EXACT)
        elif frame.sop_instance_uid:
            offered.add(frame.sop_instance_uid, frame, EXACT, is_file=True)
    offered.flush()
    return search.result()


def _find_names(connection: Connection, workspace: Workspace, search: "_Search") -> None:
    """By exact names first; then cells without a match by names that differ only in case."""
    left: Sequence[int] = range(len(search.cells))
    for spell in (_as_name, _as_folded):
        search.spell(partial(_spellings, spell=spell), left)
        _offer_names(connection, workspace, search, spell)
        left = search.unmatched()
        if not left:
            return


def _offer_names(connection: Connection, workspace: Workspace, search: "_Search", spell: Callable[[str], str]) -> None:
    pseudonyms = Pseudonyms(workspace.key) if search.has_keys else None
    offered, folder, roots = _Offers(search), spell(str(workspace.output)), _Spelled(spell)
    for frame in named_frames(connection):
        filename, source = spell(frame.filename), spell(frame.path)
        offered.add(filename, frame, EXACT)
        offered.add_path(filename, frame)
        offered.add_path(spell(frame.thumbnail_path), frame, root=folder)
        offered.add_path(source, frame, root=roots[frame.root], is_file=True)
        if _ENDING.search(source):
            offered.add_path(_ENDING.sub("", source), frame, root=roots[frame.root], is_file=True)
        if frame.sop_instance_uid:
            offered.add(spell(frame.sop_instance_uid), frame, WHOLE, is_file=True)
        if pseudonyms is not None:
            offered.add(pseudonyms.of_image(frame.filename).decode(), frame, WHOLE)
    offered.flush()


class _Spelled(dict[str, str]):
    """Texts that occur often, spelled once."""

    def __init__(self, spell: Callable[[str], str]) -> None:
        super().__init__()
        self._spell = spell

    def __missing__(self, text: str) -> str:
        self[text] = spelled = self._spell(text)
        return spelled


class _Search:
    """Cells by the hashes of their spellings, and what was found of each."""

    def __init__(self, cells: Sequence[str], numbers: NDArray[np.int64]) -> None:
        self.cells, self.numbers = cells, numbers
        self.depths: list[int] = []
        """How many parts the spellings have that are no absolute paths."""
        self.has_absolute = self.has_keys = False
        self._hashes, self._places = np.zeros(0, np.uint64), np.zeros(0, np.int32)
        self._best = np.full(len(cells), END + 1, np.int8)
        self._found: list[tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]] = []

    def spell(self, spellings: Callable[[str], Iterable[str]], places: Sequence[int]) -> None:
        """Look for these cells by these spellings from now on."""
        hashes, owners, depths = array("Q"), array("i"), set[int]()
        for place in places:
            for text in dict.fromkeys(spellings(self.cells[place])):
                hashes.append(_hash(text))
                owners.append(place)
                if _ABSOLUTE.match(text):
                    self.has_absolute = True
                else:
                    depths.add(text.count("/") + 1)
                tail = text.rpartition("/")[2]
                if len(tail) == KEY_LENGTH and _KEY.fullmatch(tail):
                    self.has_keys = True
                    hashes.append(_hash(tail))
                    owners.append(place)
        found = np.frombuffer(hashes, np.uint64)
        order = np.argsort(found, kind="stable")
        self._hashes, self._places = found[order], np.frombuffer(owners, np.int32)[order]
        self.depths = sorted(depths)

    def meet(
        self, hashes: NDArray[np.uint64], images: NDArray[np.int64], numbers: NDArray[np.int64], fits: NDArray[np.int8]
    ) -> None:
        """Record which cells names can mean; `numbers` are those of frames of a file, ANY_FRAME else."""
        first = np.searchsorted(self._hashes, hashes, "left")
        many = np.searchsorted(self._hashes, hashes, "right") - first
        hit = np.flatnonzero(many)
        if not len(hit):
            return
        names = np.repeat(hit, many[hit])
        steps = np.arange(len(names)) - np.repeat(np.cumsum(many[hit]) - many[hit], many[hit])
        places = self._places[np.repeat(first[hit], many[hit]) + steps]
        wanted = self.numbers[places]
        fitting = (wanted == ANY_FRAME) | (numbers[names] == ANY_FRAME) | (wanted == numbers[names])
        places, names = places[fitting], names[fitting]
        self._note(places, fits[names], images[names])

    def _note(self, places: NDArray[np.int32], fits: NDArray[np.int8], images: NDArray[np.int64]) -> None:
        """Keep what matches no worse than anything before."""
        np.minimum.at(self._best, places, fits)
        best = np.flatnonzero(fits <= self._best[places])
        distinct = best[_distinct(places[best], images[best])]
        self._found.append((places[distinct], fits[distinct], images[distinct]))

    def unmatched(self) -> list[int]:
        """Cells that mean nothing so far, but for empty ones."""
        return [place for place in np.flatnonzero(self._best > END).tolist() if self.cells[place]]

    def result(self) -> FoundImages:
        """What was found."""
        counts, ids = np.zeros(len(self.cells), np.int32), np.zeros(len(self.cells), np.int64)
        if self._found:
            places, fits, images = map(np.concatenate, zip(*self._found, strict=True))
            best = np.flatnonzero(fits == self._best[places])
            best = best[_distinct(places[best], images[best])]
            counts += np.bincount(places[best], minlength=len(counts)).astype(np.int32)
            ids[places[best[::-1]]] = images[best[::-1]]
        return FoundImages(counts, ids)


def _distinct(places: NDArray[np.int32], images: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each pair stands first, in their order."""
    order = np.lexsort((images, places))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(places[order]) != 0) | (np.diff(images[order]) != 0)
    return order[new]


class _Offers:
    """Names of frames on their way to a search, many at a time."""

    def __init__(self, search: _Search) -> None:
        self._search = search
        self._clear()

    def add(self, name: str, frame: NamedFrame, fit: int, *, is_file: bool = False) -> None:
        """A name of a frame; `is_file` where it names a file with all its frames."""
        self._hashes.append(_hash(name))
        self._images.append(frame.image_id)
        self._numbers.append(frame.frame_number if is_file else ANY_FRAME)
        self._fits.append(fit)
        if len(self._hashes) >= BATCH_NAMES:
            self.flush()

    def add_path(self, name: str, frame: NamedFrame, *, root: str = "", is_file: bool = False) -> None:
        """A name below `root`, and its ends of as many parts as cells have."""
        search = self._search
        self.add(name, frame, WHOLE, is_file=is_file)
        deepest = search.depths[-1] if search.depths else 0
        whole = f"{root}/{name}" if search.has_absolute or name.count("/") < deepest else f"/{name}"
        if search.has_absolute:
            self.add(whole, frame, WHOLE, is_file=is_file)
        for depth in search.depths:
            parts = whole.rsplit("/", depth)
            if len(parts) > depth:
                self.add("/".join(parts[1:]), frame, END, is_file=is_file)

    def flush(self) -> None:
        """Give the names to the search."""
        self._search.meet(
            np.frombuffer(self._hashes, np.uint64),
            np.frombuffer(self._images, np.int64),
            np.frombuffer(self._numbers, np.int64),
            np.frombuffer(self._fits, np.int8),
        )
        self._clear()

    def _clear(self) -> None:
        self._hashes, self._images, self._numbers, self._fits = array("Q"), array("q"), array("q"), array("b")


def _hash(text: str) -> int:
    return int(xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")))


def _as_name(text: str) -> str:
    """NFC, in which tables and file systems of different origin are compared."""
    return (text if text.isascii() else normalize("NFC", text)).strip()


def _as_folded(text: str) -> str:
    """The form in which names are compared: no two images differ only in case."""
    return folded_name(_as_name(text))


def _bare_spellings(text: str) -> Iterator[str]:
    if text:
        yield bare_name(text)


def _spellings(text: str, spell: Callable[[str], str]) -> Iterator[str]:
    """A cell as a path, and without an ending of an image; as a whole number, where it is one."""
    if not text:
        return
    yield spell(text)
    whole = _FLOAT.fullmatch(text)
    if whole is not None:
        yield whole[1]
    if text.lower().startswith("file://"):
        text = unquote(text[7:])
    text = text.replace("\\", "/")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    while parts and parts[0] == "..":
        parts = parts[1:]
    path = "/" * text.startswith("/") + "/".join(parts)
    variants = [path]
    if _ABSOLUTE.match(path):
        parent, _, name = path.rpartition("/")
        variants.append(f"{_real(parent)}/{name}")
    for variant in dict.fromkeys(map(spell, variants)):
        yield variant
        if _ENDING.search(variant):
            yield _ENDING.sub("", variant)


@lru_cache(maxsize=1024)
def _real(folder: str) -> str:
    """A folder without symbolic links: runs record data under the real one."""
    return os.path.realpath(folder or "/")

"""The images that a cell of a table can mean, in any spelling: all of them, as only a unique one is a match.

A name of an image, a path of its source or of its thumbnail, absolute or below any of their folders, with and without
endings, with slashes of either kind, a key of an export (`….png`), a SOP Instance UID. What is hidden as a duplicate is
found under its names, too, and means its original.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from unicodedata import normalize
from urllib.parse import unquote

from sqlalchemy import Connection

from dicomprep.database.queries.exchange import NamedFrame, named_frames
from dicomprep.exchange.pseudonyms import KEY_LENGTH, Pseudonyms
from dicomprep.storage.naming import folded_name
from dicomprep.workspace import Workspace

__all__ = ["Found", "Sought", "find_images"]

Sought = tuple[str, int | None]
"""A cell, and the frame number of its row."""
Found = dict[Sought, set[int]]
"""The images that each cell can mean."""

EXACT, WHOLE, END = range(3)
"""How well a name matches: as dicomprep writes it; a whole path; the end of a path. Only the best counts."""

_ENDING = re.compile(r"\.(dcm|dicom|ima|dic|png)\Z", re.IGNORECASE)
_KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")


def _as_name(text: str) -> str:
    """NFC, in which tables and file systems of different origin are compared."""
    return (text if text.isascii() else normalize("NFC", text)).strip()


def _as_folded(text: str) -> str:
    """The form in which names are compared: no two images differ only in case."""
    return folded_name(_as_name(text))


def find_images(connection: Connection, workspace: Workspace, by: str, cells: Iterable[Sought]) -> Found:
    """Find what cells mean; `by` is id, filename, key or sop_instance_uid."""
    if by == "filename":
        return _find_names(connection, workspace, set(cells))
    sought: dict[str, list[Sought]] = {}
    for cell in set(cells):
        sought.setdefault(_ENDING.sub("", cell[0].replace("\\", "/").rpartition("/")[2]), []).append(cell)
    pseudonyms = Pseudonyms(workspace.key) if by == "key" else None
    found: Found = {}
    for frame in named_frames(connection):
        text = {"id": str(frame.id), "sop_instance_uid": frame.sop_instance_uid}.get(by)
        if pseudonyms is not None:
            text = pseudonyms.of_image(frame.filename).decode()
        for cell in sought.get(text or "", ()):
            if by != "sop_instance_uid" or cell[1] in (None, frame.frame_number):
                found.setdefault(cell, set()).add(frame.image_id)
    return found


def _find_names(connection: Connection, workspace: Workspace, cells: set[Sought]) -> Found:
    """By exact names first; cells without a match by names that differ only in case."""
    search = _Search(cells)
    pseudonyms = Pseudonyms(workspace.key) if search.keys else None
    folder = str(workspace.output)
    for frame in named_frames(connection):
        search.meet(frame, folder)
        if pseudonyms is not None:
            search.meet_key(frame, pseudonyms.of_image(frame.filename).decode())
    left = cells - search.found.keys()
    if left:
        folded = _Search(left, spell=_as_folded)
        for frame in named_frames(connection):
            folded.meet(frame, folder)
        search.found.update(folded.found)
    return search.found


class _Search:
    """Cells by their spellings: each image is looked up a few times, whatever the number of cells."""

    def __init__(self, cells: Iterable[Sought], *, spell: Callable[[str], str] = _as_name) -> None:
        self.found: Found = {}
        self._spell = spell
        self._best: dict[Sought, int] = {}
        self._exact: dict[str, list[Sought]] = {}
        self._written: dict[str, list[Sought]] = {}
        for cell in cells:
            self._exact.setdefault(spell(cell[0]), []).append(cell)
            for text in dict.fromkeys(spell(spelling) for spelling in _spellings(cell[0])):
                self._written.setdefault(text, []).append(cell)
        self.keys: dict[str, list[Sought]] = {}
        """Cells that name a file as exports do, in any folder."""
        for text, those in self._written.items():
            if _KEY.fullmatch(text.rpartition("/")[2]):
                self.keys.setdefault(text.rpartition("/")[2], []).extend(those)
        self._depths = sorted({text.count("/") + 1 for text in self._written if not _ABSOLUTE.match(text)})

    def meet(self, frame: NamedFrame, folder: str) -> None:
        """Record the cells that can mean a frame whose thumbnail is below `folder`."""
        filename, source = self._spell(frame.filename), self._spell(frame.path)
        for cell in self._exact.get(filename, ()):
            self._note(cell, EXACT, frame)
        self.offer(frame, filename, is_file=False, root="")
        self.offer(frame, self._spell(frame.thumbnail_path), is_file=False, root=folder)
        self.offer(frame, source, is_file=True, root=frame.root)
        if _ENDING.search(source):
            self.offer(frame, _ENDING.sub("", source), is_file=True, root=frame.root)
        if frame.sop_instance_uid:
            self.offer(frame, self._spell(frame.sop_instance_uid), is_file=True, root="")

    def meet_key(self, frame: NamedFrame, key: str) -> None:
        """Record the cells with the key of a frame."""
        for cell in self.keys.get(key, ()):
            self._note(cell, WHOLE, frame)

    def offer(self, frame: NamedFrame, name: str, *, is_file: bool, root: str) -> None:
        """Record the cells that are a name below `root`, or its end; `is_file` names a file with all its frames."""
        whole = f"{self._spell(root)}/{name}"
        for text in (name, whole):
            for cell in self._written.get(text, ()):
                self._note_of(cell, WHOLE, frame, is_file=is_file)
        for depth in self._depths:
            parts = whole.rsplit("/", depth)
            for cell in self._written.get("/".join(parts[1:]), ()) if len(parts) > depth else ():
                self._note_of(cell, END, frame, is_file=is_file)

    def _note_of(self, cell: Sought, fit: int, frame: NamedFrame, *, is_file: bool) -> None:
        if not is_file or cell[1] in (None, frame.frame_number):
            self._note(cell, fit, frame)

    def _note(self, cell: Sought, fit: int, frame: NamedFrame) -> None:
        best = self._best.get(cell, END + 1)
        if fit < best:
            self._best[cell], self.found[cell] = fit, set()
        if fit <= best:
            self.found[cell].add(frame.image_id)


def _spellings(text: str) -> Iterator[str]:
    """A cell as a path, and without an ending of DICOM or PNG."""
    yield _as_name(text)
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
    for variant in dict.fromkeys(_as_name(v) for v in variants):
        yield variant
        if _ENDING.search(variant):
            yield _ENDING.sub("", variant)


@lru_cache(maxsize=1024)
def _real(folder: str) -> str:
    """A folder without symbolic links: runs record data under the real one."""
    return os.path.realpath(folder or "/")

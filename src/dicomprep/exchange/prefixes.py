"""Paths of another machine: the folders with which all of them begin say nothing here."""

from dataclasses import dataclass
from itertools import takewhile

from dicomprep.exchange.columns import Cells

__all__ = ["Stripped", "without_common_folder"]


@dataclass(frozen=True, slots=True)
class Stripped:
    """Paths without their first folders."""

    folder: str
    cells: Cells


def without_common_folder(cells: Cells) -> Stripped | None:
    """Paths without the folders with which all of them begin; None where there are none, or only one path.

    >>> stripped = without_common_folder(Cells(["/data/x/p1/a.dcm", "/data/x/p2/b.dcm"]))
    >>> stripped.folder, list(stripped.cells)
    ('/data/x/', ['p1/a.dcm', 'p2/b.dcm'])
    """
    paths = {value.replace("\\", "/") for value in cells.values if value}
    ends = zip(min(paths), max(paths), strict=False) if len(paths) > 1 else ()
    folder = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    folder = folder[: folder.rfind("/") + 1]
    if not folder.strip("/"):
        return None
    return Stripped(folder, cells.mapped(lambda text: text.replace("\\", "/").removeprefix(folder)))

"""Views of mammograms that no code states: labels such as `RCC` or `RMCC ID` in View Position or a description.

They are those of the American College of Radiology (BI-RADS), which Fuji, Hologic, GE and others write in Series
Description. Only whole words count, and only where they name one view.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["MammogramView", "read_view"]


class MammogramView(NamedTuple):
    """What a label says; empty where it does not."""

    position: str = ""
    laterality: str = ""
    modifiers: str = ""
    """In alphabetical order, with commas between."""


_POSITIONS = ("CC", "MLO", "ML", "LM", "LMO", "SIO", "ISO", "XCCL", "XCCM", "FB")
_SIDES = {"L": "L", "R": "R", "LEFT": "L", "RIGHT": "R"}
_MODIFIERS = {
    "ID": "IMPLANT_DISPLACED", "RL": "ROLLED_LATERAL", "RM": "ROLLED_MEDIAL", "MAG": "MAGNIFICATION",
    "MAGNIFICATION": "MAGNIFICATION", "MAGNIFIED": "MAGNIFICATION", "SPOT": "SPOT_COMPRESSION",
}  # fmt: skip
_WORD = re.compile(rb"[A-Za-z0-9]+")


def _labels() -> dict[str, MammogramView]:
    """Positions with a side before, an M for magnification, and ID, RL or RM behind; the plainest reading first."""
    suffixes = {"": "", **{name: _MODIFIERS[name] for name in ("ID", "RL", "RM")}}
    found: dict[str, MammogramView] = {}
    for magnified in ("", "M"):
        for suffix, modifier in suffixes.items():
            modifiers = ",".join(sorted(filter(None, (modifier, "MAGNIFICATION" if magnified else ""))))
            for side in ("", "L", "R"):
                for position in _POSITIONS:
                    label = f"{side}{magnified}{position}{suffix}"
                    found.setdefault(label, MammogramView(position, side, modifiers))
    return found


_LABELS = MappingProxyType(_labels())


def read_view(texts: Iterable[bytes]) -> MammogramView:
    """What the first of these texts says that names one position."""
    return next((view for text in texts if (view := _read(text)).position), MammogramView())


@lru_cache(maxsize=1024)
def _read(text: bytes) -> MammogramView:
    """What one text says.

    >>> _read(b"R-CC spot mag")
    MammogramView(position='CC', laterality='R', modifiers='MAGNIFICATION,SPOT_COMPRESSION')
    >>> _read(b"CC and MLO").position
    ''
    """
    words = [word.decode("ascii").upper() for word in _WORD.findall(text)]
    labels = [_LABELS[word] for word in words if word in _LABELS]
    if len({label.position for label in labels}) != 1:
        return MammogramView()
    sides = {_SIDES[word] for word in words if word in _SIDES} | {label.laterality for label in labels} - {""}
    modifiers = {_MODIFIERS[word] for word in words if word in _MODIFIERS}
    modifiers.update(name for label in labels for name in label.modifiers.split(",") if name)
    side = sides.pop() if len(sides) == 1 else ""
    return MammogramView(labels[0].position, side, ",".join(sorted(modifiers)))

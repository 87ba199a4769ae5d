"""Which windows a person asks for: in numbers, by a preset, or by what files call theirs."""

import re
from dataclasses import dataclass

from dicomprep.errors import ConfigError

__all__ = ["SETS", "WINDOW_PRESETS", "AskedWindow", "parse_windows", "plain_name"]

WINDOW_PRESETS = {
    "abdomen": (40.0, 400.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
    "liver": (60.0, 160.0),
    "lung": (-600.0, 1500.0),
    "mediastinum": (50.0, 350.0),
    "stroke": (40.0, 40.0),
    "subdural": (75.0, 215.0),
}
"""Window center and width in Hounsfield units."""

SETS = {
    "medgemma": ((0.0, 2048.0), (40.0, 350.0), (40.0, 80.0)),
    "rsna-hemorrhage": ((40.0, 80.0), (80.0, 200.0), (600.0, 2800.0)),
}
"""Three such windows each, for red, green and blue, as models were trained on them (docs/models.md has the sources)."""

MAX_WINDOWS = 1000
"""Windows of one file that can be counted."""

_NUMBERS = re.compile(r"(-?\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)")
_OWN = re.compile(r"explanation=(.+)|index=([1-9]\d{0,3})", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class AskedWindow:
    """One window, by numbers or by one of its names in files."""

    center: float = 0.0
    width: float = 0.0
    """In modality units; 0 where it is one of the file's own."""
    is_preset: bool = False
    """The numbers are in Hounsfield units."""
    explanation: str = ""
    """What the file calls it (0028,1055), as `plain_name` gives it."""
    index: int = 0
    """Which of the file's windows it is, from 1."""

    @property
    def is_of_file(self) -> bool:
        """It is one of the file's own."""
        return bool(self.explanation or self.index)

    @property
    def text(self) -> str:
        """As a person would ask for it."""
        if self.explanation:
            return f"explanation={self.explanation}"
        return f"index={self.index}" if self.index else f"{self.center:g}/{self.width:g}"


def parse_windows(text: str) -> tuple[AskedWindow, ...]:
    """One window or three; none for `auto`. Raises ConfigError for anything else.

    >>> parse_windows("lung")
    (AskedWindow(center=-600.0, width=1500.0, is_preset=True, explanation='', index=0),)
    >>> [window.text for window in parse_windows("explanation=Soft Tissue, index=2, -50/400")]
    ['explanation=softtissue', 'index=2', '-50/400']
    """
    if text == "auto":
        return ()
    if text.strip() in SETS:
        return tuple(AskedWindow(*window, is_preset=True) for window in SETS[text.strip()])
    windows = tuple(_parse_window(part.strip()) for part in text.split(","))
    if len(windows) not in (1, 3):
        raise ConfigError(f"--window {text}: give one window, or three for an RGB image.")
    return windows


def plain_name(text: str) -> str:
    """A name as it is compared: neither capitals nor spaces count."""
    return "".join(text.replace("\0", "").split()).casefold()


def _parse_window(text: str) -> AskedWindow:
    if text in WINDOW_PRESETS:
        return AskedWindow(*WINDOW_PRESETS[text], is_preset=True)
    own = _OWN.fullmatch(text)
    if own is not None and own[2] is not None and int(own[2]) <= MAX_WINDOWS:
        return AskedWindow(index=int(own[2]))
    if own is not None and own[1] is not None and plain_name(own[1]):
        return AskedWindow(explanation=plain_name(own[1]))
    numbers = _NUMBERS.fullmatch(text)
    if numbers is None or float(numbers[2]) < 1:
        presets = ", ".join((*WINDOW_PRESETS, *SETS))
        raise ConfigError(
            f"--window {text}: give auto, CENTER/WIDTH (width 1 or more), a preset ({presets}), or one of the files'"
            " own: explanation=NAME or index=N (from 1)."
        )
    return AskedWindow(float(numbers[1]), float(numbers[2]))

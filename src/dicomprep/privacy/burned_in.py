"""Text in the pixels: how likely it is, and why. A header says what it is suspected by, the pixels what is seen."""

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

__all__ = ["Reason", "Risk", "assess_risk", "describe_risk", "needs_pixel_check"]


class Risk(StrEnum):
    """That a frame shows text that tells who it is of."""

    NONE = "none"
    LOW = "low"
    HIGH = "high"
    """Held back by `--hold-burned-in` until a person has released it."""


class Reason(StrEnum):
    """Why there may be text; the first seven make the risk high."""

    STATED = "stated"
    """Burned In Annotation (0028,0301) says so."""
    TEXT = "text"
    """Lines of text were found in the pixels."""
    SCREEN = "screen"
    """A picture of a screen, a dose page or a report: Image Type or Conversion Type says so."""
    SCANNED = "scanned"
    """Digitized film, paper or video."""
    BANNER = "banner"
    """The ultrasound regions leave a strip of the image free."""
    SLIDE_LABEL = "slide_label"
    """The label of a glass slide: Specimen Label in Image (0048,0010) or the kind of image says so."""
    RECOGNIZABLE = "recognizable"
    """Recognizable Visual Features (0028,0302) says that the picture shows who it is of."""
    SECONDARY_CAPTURE = "secondary_capture"
    MODALITY = "modality"
    """Devices of this modality write into their pictures, or none is stated."""
    EIGHT_BITS = "eight_bits"
    """Eight bits or colors of a modality that has more: something was made of its images."""
    OVERLAY = "overlay"
    """There are overlays (60xx,3000). They are not drawn; who has them often has writing in the image too."""


_GRAVE = frozenset(
    [Reason.STATED, Reason.TEXT, Reason.SCREEN, Reason.SCANNED, Reason.BANNER, Reason.SLIDE_LABEL, Reason.RECOGNIZABLE]
)


def assess_risk(reasons: Iterable[Reason]) -> Risk:
    """The risk that reasons make.

    >>> assess_risk([Reason.MODALITY]).value, assess_risk([Reason.MODALITY, Reason.TEXT]).value, assess_risk([]).value
    ('low', 'high', 'none')
    """
    found = frozenset(reasons)
    return Risk.HIGH if found & _GRAVE else Risk.LOW if found else Risk.NONE


@lru_cache(maxsize=256)
def describe_risk(reasons: tuple[Reason, ...], *, text: bool) -> tuple[str, str | None]:
    """What is recorded of every frame of a file: risk and reasons; what one frame shows, the others may show, too."""
    found = (Reason.TEXT, *reasons) if text else reasons
    return assess_risk(found).value, ",".join(found) or None


def needs_pixel_check(reasons: Iterable[Reason]) -> bool:
    """Whether the pixels decide: text is plausible by the header, and the risk is not high without it."""
    found = frozenset(reasons)
    return not found & _GRAVE and bool(found - {Reason.OVERLAY})

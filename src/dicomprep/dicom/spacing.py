"""How far apart pixels lie: one answer for the image that is drawn, for `inspect` and for the view `tags`."""

from dataclasses import dataclass

from dicomprep.dicom.attributes import label
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.numbers import format_number
from dicomprep.dicom.tables import Notes
from dicomprep.errors import InputError

__all__ = ["Spacing", "read_aspect", "read_spacing"]

MAX_ASPECT = 20.0
"""Height over width of a pixel, or width over height; what claims more is a mistake."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """From the center of one pixel to that of the next, and the attribute that says so."""

    rows: float
    """Between rows: the height of a pixel, in mm unless only the ratio is stated."""
    columns: float
    """Between columns: the width of a pixel."""
    keyword: str
    place: str
    """Where the attribute stands: this frame, all frames (of the functional groups), or the file."""

    @property
    def is_in_mm(self) -> bool:
        """Pixel Aspect Ratio (0028,0034) is a ratio only."""
        return self.keyword != "PixelAspectRatio"


def read_spacing(frame: FrameAttributes) -> tuple[Spacing | None, Notes]:
    """The spacing of a frame, and what had to be corrected (PS3.3 10.7.1.1, 10.7.1.3).

    Pixel Spacing of the frame, of all frames, of the file; else Imager Pixel Spacing, Nominal Scanned Pixel Spacing,
    Pixel Aspect Ratio. None where none is stated, or the first that is stated cannot be one.
    """
    measures, place = frame.trace("PixelMeasuresSequence", "PixelSpacing")
    for attributes, keyword, where in (
        (measures, "PixelSpacing", place),
        (frame.root, "ImagerPixelSpacing", "the file, at the detector"),
        (frame.root, "NominalScannedPixelSpacing", "the file"),
        (frame.root, "PixelAspectRatio", "the file"),
    ):
        try:
            values = attributes.numbers(keyword)
        except InputError as error:
            return None, (f"{error.detail}; square pixels assumed",)
        if len(values) < 2:
            continue
        notes = tuple(note for note in attributes.corrections if note.startswith(label(keyword)))
        if min(values) > 0 and 1 / MAX_ASPECT <= values[0] / values[1] <= MAX_ASPECT:
            return Spacing(values[0], values[1], keyword, where), notes
        stated = "\\".join(map(format_number, values[:2]))
        return None, (f"{label(keyword)} {stated} is invalid; square pixels assumed",)
    return None, ()


def read_aspect(frame: FrameAttributes) -> tuple[float, Notes]:
    """Height of a pixel over its width, and what had to be corrected."""
    spacing, notes = read_spacing(frame)
    return (1.0 if spacing is None else spacing.rows / spacing.columns), notes

"""How far apart pixels lie: one answer for the image that is drawn, for `inspect` and for the view `tags`."""

from dataclasses import dataclass

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.numbers import format_number
from dicomprep.dicom.tables import Notes
from dicomprep.errors import InputError

__all__ = ["Spacing", "read_aspect", "read_column_mm", "read_spacing"]

MAX_ASPECT = 20.0
"""Height over width of a pixel, or width over height; what claims more is a mistake."""


MIN_MM, MAX_MM = 1e-6, 1e4
"""Of a pixel, from which a size can be made; what claims less or more is a mistake."""

TISSUE, CENTIMETERS = 1, 3
"""Region Spatial Format of an ultrasound region of tissue in two dimensions, and the unit of its deltas (PS3.3
C.8.5.5.1.1, C.8.5.5.1.15)."""

DELTA_TOLERANCE = 0.01
"""By how much deltas of ultrasound regions may differ, as a share, that are one spacing."""


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
        if min(values[:2]) > 0 and 1 / MAX_ASPECT <= values[0] / values[1] <= MAX_ASPECT:
            return Spacing(values[0], values[1], keyword, where), notes
        stated = "\\".join(map(format_number, values[:2]))
        return None, (f"{label(keyword)} {stated} is invalid; square pixels assumed",)
    return None, ()


def read_aspect(frame: FrameAttributes) -> tuple[float, Notes]:
    """Height of a pixel over its width, and what had to be corrected."""
    spacing, notes = read_spacing(frame)
    return (1.0 if spacing is None else spacing.rows / spacing.columns), notes


def read_column_mm(frame: FrameAttributes) -> float | None:
    """From one column to the next in mm: by the frame's spacing, else by ultrasound regions that all agree (C.8.5.5).

    Of a projection it is that at the detector unless Pixel Spacing says more (PS3.3 10.7.1.3). None where nothing says,
    or what cannot be.
    """
    spacing, _ = read_spacing(frame)
    column_mm = spacing.columns if spacing is not None and spacing.is_in_mm else _read_ultrasound_mm(frame, spacing)
    return column_mm if column_mm is not None and MIN_MM <= column_mm <= MAX_MM else None


def _read_ultrasound_mm(frame: FrameAttributes, spacing: Spacing | None) -> float | None:
    """The width of a pixel by all regions of tissue, if they agree, with pixels of the shape that is stated."""
    height = 1.0 if spacing is None else spacing.rows / spacing.columns
    widths = [width for region in frame.root.items("SequenceOfUltrasoundRegions") for width in _widths(region, height)]
    if not widths or max(widths) > min(widths) * (1 + DELTA_TOLERANCE):
        return None
    return 10 * widths[0]


def _widths(region: Attributes, aspect: float) -> tuple[float, ...]:
    """The width of a pixel of a region of tissue in cm, and what its height says of it; nothing of other regions."""
    try:
        if region.numbers("RegionSpatialFormat") != (TISSUE,):
            return ()
        units = region.numbers("PhysicalUnitsXDirection"), region.numbers("PhysicalUnitsYDirection")
        (width,), (height,) = region.numbers("PhysicalDeltaX"), region.numbers("PhysicalDeltaY")
    except (InputError, ValueError):
        return ()
    if units != ((CENTIMETERS,), (CENTIMETERS,)) or 0 in (width, height):
        return ()
    return abs(width), abs(height) / aspect

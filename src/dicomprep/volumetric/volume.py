"""What a volume is, wherever its slices come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Volume"]


@dataclass(frozen=True, slots=True)
class Volume:
    """A series, or a part of one, as an array: of its thumbnails, or of its sources."""

    array: NDArray[Any]
    """(slices, rows, columns). Of thumbnails uint8 or uint16, or (slices, rows, columns, 3) RGB. Of sources values in
    `unit`: int16 or int32 where all of them are whole numbers that fit, exactly; else float32, rounded once."""
    positions_mm: NDArray[np.float64] | None
    """(slices,) along the normal of the image plane, ascending; None where headers do not say."""
    spacing_mm: tuple[float | None, float | None, float | None]
    """From one slice, row and column of `array` to the next; None where headers do not say."""
    orientation: NDArray[np.float64] | None
    """(2, 3): direction cosines, in patient coordinates, of a step along a row of `array` and of one down a column."""
    filenames: tuple[str, ...]
    """The frame that each slice is; of a resampled volume the frames that it was made of."""
    origins_mm: NDArray[np.float64] | None = None
    """(slices, 3): of thumbnails Image Position (Patient) of each slice, where the middle of the first pixel of its
    source lies; of sources where that of `array` does."""
    affine: NDArray[np.float64] | None = None
    """(4, 4): from (slice, row, column, 1) in `array`, whole numbers being middles of pixels, to x, y, z in mm towards
    the patient's left, back and head (LPS). It carries a shear. Of one slice, its first axis is the unit normal, of
    sources times Slice Thickness."""
    shear_mm: tuple[float, float] | None = None
    """How far each slice lies beyond the one before down a column and along a row, as with a tilted gantry; (0, 0)
    where slices lie straight behind each other."""
    part: str = ""
    """Which part of the series it is, such as `b1000`; empty where the series is not divided."""
    values: str = "display"
    """What was asked for: display, auto, hu, suv or rescaled."""
    unit: str | None = None
    """Of values from the sources: `HU`, `SUVbw g/ml`, or as the header calls it; None where it does not say."""
    inputs: Mapping[str, float | str] = field(default_factory=dict)
    """What SUV was computed from, by keyword, in the units of DICOM; `factor` is that from rescaled values."""
    notes: tuple[str, ...] = ()
    """What resampling did."""

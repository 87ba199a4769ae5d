"""Where frames of a reconstructed NM image lie: a slice number a frame, from the place of the first (PS3.3 C.8.4)."""

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.numbers import read_numbers
from dicomprep.dicom.positions import read_plane
from dicomprep.errors import InputError

__all__ = ["NUCLEAR_KEYWORDS", "find_nuclear_place", "read_nuclear_dividers"]

_DIVIDING = {
    "energy_window": "EnergyWindowVector",
    "time_slot": "TimeSlotVector",
    "time_slice": "TimeSliceVector",
    "rr_interval": "RRIntervalVector",
}
NUCLEAR_KEYWORDS = ("DetectorInformationSequence", "SliceVector", "SpacingBetweenSlices", *_DIVIDING.values())

Place = tuple[tuple[float, ...], tuple[float, ...]]


def find_nuclear_place(root: Attributes, index: int) -> Place | None:
    """Direction cosines and position of frame `index`; None where the file is no reconstruction that says it.

    The sign of Spacing Between Slices says on which side of the first slice the others are (PS3.3 C.8.4.15).
    """
    number = _at(root, "SliceVector", index)
    detector = root.item("DetectorInformationSequence") if number is not None else None
    spacing = read_numbers(root.raw("SpacingBetweenSlices"))
    if detector is None or number is None or not spacing or spacing[0] == 0:
        return None
    raw = detector.raw("ImageOrientationPatient")
    normal, corner = read_plane(raw)[1], read_numbers(detector.raw("ImagePositionPatient"))
    if normal is None or len(corner) != 3:
        return None
    beyond = spacing[0] * (number - 1)
    return read_numbers(raw), tuple(part + beyond * step for part, step in zip(corner, normal, strict=True))


def read_nuclear_dividers(root: Attributes, index: int) -> dict[str, object]:
    """Which energy window, gate, time and interval a frame is of; only what the file says."""
    found = {name: _at(root, keyword, index) for name, keyword in _DIVIDING.items()}
    return {name: number for name, number in found.items() if number is not None}


def _at(root: Attributes, keyword: str, index: int) -> int | None:
    """Of a vector with a number for each frame."""
    if "SliceVector" not in root:
        return None
    try:
        numbers = root.integers(keyword)
    except InputError:
        return None
    return numbers[index] if index < len(numbers) else None

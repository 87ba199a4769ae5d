"""Series whose every value says where in the patient it lies: values and affine are right together, or not at all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage, generate_uid

from dicomprep.volumetric.volume import Volume
from tests.building import make_dicom

__all__ = [
    "AXIAL",
    "OBLIQUE",
    "OFFSET",
    "even",
    "make_enhanced",
    "make_nuclear",
    "make_stack",
    "sample",
    "uid_of",
    "worlds",
]


AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
OBLIQUE = (0.8, 0.36, 0.48, -0.6, 0.48, 0.64)
SPACING = (1.5, 2.5)
SHAPE = (10, 8)
OFFSET = 500
"""How much higher the values of the next part of a series are."""


def uid_of(name: str) -> str:
    return str(generate_uid(entropy_srcs=["scene", name]))


def even(count: int, step: Sequence[float], start: Sequence[float] = (-20.0, 30.0, -40.0)) -> NDArray[np.float64]:
    """Origins a step apart."""
    return np.array(start) + np.arange(count)[:, None] * np.array(step)


def sample(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value at points (…, 3) of the patient, in mm (LPS)."""
    return points @ np.array([8.0, 4.0, 2.0]) + 100


def plane(origin: Sequence[float], cosines: Sequence[float]) -> NDArray[np.float64]:
    """Where the pixels of a slice lie, (rows, columns, 3)."""
    row, column = np.reshape(cosines, (2, 3))
    rows, columns = (np.arange(size, dtype=float) for size in SHAPE)
    return np.array(origin) + (rows * SPACING[0])[:, None, None] * column + (columns * SPACING[1])[None, :, None] * row


def stored(origin: Sequence[float], cosines: Sequence[float]) -> NDArray[np.int16]:
    return np.rint(sample(plane(origin, cosines))).astype(np.int16)


def make_stack(
    folder: Path,
    name: str,
    origins: NDArray[np.float64],
    cosines: Sequence[float] = AXIAL,
    each: Sequence[dict[str, Any]] = (),
    *,
    raised: int = 0,
    **attributes: Any,
) -> str:
    """A series of CT, a file a slice; the attributes of `each` slice come last. Its UID.

    With `raised` the values of every further five slices are so much higher, to tell parts from each other.
    """
    for number, origin in enumerate(origins.tolist()):
        own = {
            "SOPClassUID": CTImageStorage,
            "SeriesInstanceUID": uid_of(name),
            "InstanceNumber": number + 1,
            "ImagePositionPatient": [round(part, 6) for part in origin],
            "ImageOrientationPatient": list(cosines),
            "PixelSpacing": list(SPACING),
            "PixelRepresentation": 1,
            "RescaleSlope": 1,
            "RescaleIntercept": 0,
            "WindowCenter": 40,
            "WindowWidth": 400,
            "Manufacturer": "SIEMENS",
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "StudyInstanceUID": uid_of("study"),
            "FrameOfReferenceUID": uid_of("frame of reference"),
            "SOPInstanceUID": uid_of(f"{name} {number}"),
        }
        own |= attributes | (dict(each[number]) if each else {})
        pixels = stored(origin, cosines) + np.int16(number // 5 * raised)
        make_dicom(folder / name / f"slice {number * 7 % 97:02d}.dcm", pixels, **own)
    return uid_of(name)


_CONTENT = 0x00209111
_INDICES = (0x00209056, 0x00209057, 0x00209128)
"""Stack ID, In-Stack Position Number, Temporal Position Index."""


def make_enhanced(
    folder: Path, name: str, origins: NDArray[np.float64], cosines: Sequence[float], each: Sequence[dict[str, Any]] = ()
) -> str:
    """The same as one enhanced multi-frame file; `each` frame has functional groups of its own."""
    groups = [
        {"PlanePositionSequence": [{"ImagePositionPatient": [round(part, 6) for part in origin]}], **own}
        for origin, own in zip(origins.tolist(), each or [{}] * len(origins), strict=True)
    ]
    thickness = round(float(np.linalg.norm(origins[1] - origins[0])), 6)  # dcm2niix takes it for the distance
    shared = {
        "PlaneOrientationSequence": [{"ImageOrientationPatient": list(cosines)}],
        "PixelMeasuresSequence": [{"PixelSpacing": list(SPACING), "SliceThickness": thickness}],
        "PixelValueTransformationSequence": [{"RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "HU"}],
        "FrameVOILUTSequence": [{"WindowCenter": 40, "WindowWidth": 400}],
    }
    make_dicom(
        folder / name / "enhanced.dcm",
        np.stack([stored(origin, cosines) + k // 5 * OFFSET for k, origin in enumerate(origins)]).astype(np.int16),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1",
        SeriesInstanceUID=uid_of(name),
        PixelRepresentation=1,
        Manufacturer="Philips Medical Systems",  # of which dcm2niix knows several times
        DimensionIndexSequence=[{"DimensionIndexPointer": tag, "FunctionalGroupPointer": _CONTENT} for tag in _INDICES],
        ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=groups,
    )
    return uid_of(name)


def make_nuclear(folder: Path, name: str, origins: NDArray[np.float64], cosines: Sequence[float], gates: int) -> str:
    """A reconstruction of NM, its slices against the normal if their step is, with so many gates."""
    step = np.array(origins[1] - origins[0]) @ np.cross(*np.reshape(cosines, (2, 3)))
    count = len(origins)
    detector = {"ImagePositionPatient": origins[0].tolist(), "ImageOrientationPatient": list(cosines)}
    make_dicom(
        folder / name / "recon.dcm",
        np.stack([stored(origin, cosines) + np.int16(gate * OFFSET) for gate in range(gates) for origin in origins]),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.20",
        SeriesInstanceUID=uid_of(name),
        Modality="NM",
        PixelRepresentation=1,
        PixelSpacing=list(SPACING),
        SpacingBetweenSlices=round(float(step), 6),
        SliceVector=list(range(1, count + 1)) * gates,
        TimeSlotVector=np.repeat(np.arange(1, gates + 1), count).tolist(),
        ImageType=["ORIGINAL", "PRIMARY", "RECON GATED TOMO", "EMISSION"],
        DetectorInformationSequence=[detector],
    )
    return uid_of(name)


def worlds(volume: Volume) -> NDArray[np.float64]:
    """Where the affine says that the values of a volume lie, (slices, rows, columns, 3)."""
    assert volume.affine is not None
    indices = np.moveaxis(np.indices(volume.array.shape), 0, -1)
    return np.asarray(indices @ volume.affine[:3, :3].T + volume.affine[:3, 3])

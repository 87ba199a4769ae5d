"""Files to measure on: real DICOM structure, synthetic anatomy with realistic noise, nine classes."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import cv2
import imagecodecs
import numpy as np
import openjpeg
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

__all__ = ["CLASSES", "Each", "Kind", "write_file"]

Pixels = NDArray[Any]


class Each(Protocol):
    """`map`, or one that spreads the work over processes."""

    def __call__(self, function: Callable[[int], bytes], numbers: range, /) -> Iterator[bytes]:
        """Apply `function` to all numbers, in their order."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What all files of a class have in common."""

    what: str
    modality: str
    sop_class: uid.UID
    syntax: uid.UID
    shape: tuple[int, int]
    """(rows, columns)"""
    bits: int = 12
    encode: Callable[[Pixels, int], bytes] | None = None
    """Takes the bits stored, too. None: native pixels."""
    tags: Mapping[str, Any] = field(default_factory=dict)
    series: bool = False
    """All files are slices of one patient's series and lie in one folder; else each is a patient with a folder."""
    distinct: int | None = None
    """So many frames of a file differ, and are repeated; None: all."""

    @property
    def color(self) -> bool:
        """Whether it has three samples a pixel."""
        return self.modality == "US"


def write_file(kind: Kind, name: str, folder: Path, *, number: int, frames: int, each: Each = map) -> None:
    """Write file `number` of class `name`; every number and name has its own pixels and identifiers."""
    study = name if kind.series else f"{name}{number}"
    path = folder / study / (f"im{number:05d}.dcm" if kind.series else "image.dcm")
    distinct = min(frames, kind.distinct or frames)
    content = list(each(partial(_frame, kind, zlib.crc32(name.encode()), number), range(distinct)))
    dataset = _header(kind, patient=study, number=number, frames=frames)
    if kind.encode is None:
        dataset.PixelData = (b"".join(content) * -(-frames // distinct))[: frames * len(content[0])]
    else:
        dataset.PixelData = encapsulate((content * -(-frames // distinct))[:frames])
        dataset["PixelData"].is_undefined_length = True
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def anatomy(shape: tuple[int, int], bits: int, *, seed: list[int], noise: float = 0.006) -> Pixels:
    """A smooth body with texture and noise on a dark background: (rows, columns)."""
    rows, columns = shape
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(rows // 64 + 2, columns // 64 + 2)).astype(np.float32)
    fine = random.normal(size=(rows // 8 + 2, columns // 8 + 2)).astype(np.float32) * 0.25
    image = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)
    image += cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[0:rows, 0:columns]
    body = ((y - rows / 2) / (rows * 0.45)) ** 2 + ((x - columns / 2) / (columns * 0.45)) ** 2 < 1
    image = (image - image.min()) / (image.max() - image.min()) * 0.7 + 0.2
    image[~body] = 0.02
    image += random.normal(size=image.shape).astype(np.float32) * noise
    return np.clip(image * (2**bits - 1), 0, 2**bits - 1).astype(np.uint16)


def _frame(kind: Kind, seed: int, number: int, index: int) -> bytes:
    """The bytes of one frame as the file holds them."""
    pixels: Pixels
    if kind.color:
        grayscale = anatomy(kind.shape, 12, seed=[seed, number, index], noise=0.02) >> 4
        pixels = cv2.merge([grayscale.astype(np.uint8)] * 3)
    else:
        pixels = anatomy(kind.shape, kind.bits, seed=[seed, number, index])
    return pixels.tobytes() if kind.encode is None else kind.encode(pixels, kind.bits)


def _header(kind: Kind, *, patient: str, number: int, frames: int) -> Dataset:
    """All but the pixels, as long as scanners write it."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = kind.syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = kind.sop_class
    instance = _identifier("instance", patient, number)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = instance
    described = {
        **_acquisition(kind, patient, number),
        **_pixel_module(kind),
        **({"NumberOfFrames": frames} if frames > 1 else {}),
        **kind.tags,
    }
    for keyword, value in described.items():
        setattr(dataset, keyword, value)
    dataset.add_new(0x00190010, "LO", "LAB")
    for private in range(1, 60):
        dataset.add_new(0x00191000 + private, "LO", f"private {private}")
    return dataset


def _acquisition(kind: Kind, patient: str, number: int) -> dict[str, Any]:
    return {
        "PatientID": patient,
        "PatientName": f"Family^{patient}",
        "PatientBirthDate": "19500101",
        "StudyInstanceUID": _identifier("study", patient),
        "SeriesInstanceUID": _identifier("series", patient),
        "InstanceNumber": number,
        "Modality": kind.modality,
        "StudyDate": "20200101",
        "SeriesDescription": "series",
        "Manufacturer": "X",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "KVP": "120",
        "BodyPartExamined": "CHEST",
        "PixelSpacing": [0.7, 0.7],
        "SliceThickness": "1.25",
    }


def _pixel_module(kind: Kind) -> dict[str, Any]:
    return {
        "Rows": kind.shape[0],
        "Columns": kind.shape[1],
        "SamplesPerPixel": 3 if kind.color else 1,
        "PhotometricInterpretation": "YBR_FULL_422" if kind.color else "MONOCHROME2",
        **({"PlanarConfiguration": 0} if kind.color else {}),
        "BitsAllocated": 8 if kind.bits <= 8 else 16,
        "BitsStored": kind.bits,
        "HighBit": kind.bits - 1,
        "PixelRepresentation": 0,
    }


def _identifier(*of: object) -> uid.UID:
    return uid.generate_uid(entropy_srcs=[str(part) for part in of])


def _jpegls(pixels: Pixels, _bits: int) -> bytes:
    return bytes(imagecodecs.jpegls_encode(pixels))


def _lossless(pixels: Pixels, _bits: int) -> bytes:
    return bytes(imagecodecs.ljpeg_encode(pixels, bitspersample=16))


def _j2k(pixels: Pixels, bits: int) -> bytes:
    return bytes(openjpeg.encode(pixels, bits_stored=bits, photometric_interpretation=2, use_mct=False))


def _jpeg(pixels: Pixels, _bits: int) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(pixels, level=90, subsampling="422"))


_CT_TAGS = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "WindowCenter": "40", "WindowWidth": "400"}
_WIDE = {"WindowCenter": "2000", "WindowWidth": "3500"}
_CT = partial(Kind, modality="CT", sop_class=uid.CTImageStorage, shape=(512, 512), tags=_CT_TAGS, series=True)
CLASSES = {
    "ct": _CT("raw CT, 512×512, 12 bits", syntax=uid.ExplicitVRLittleEndian),
    "ct_jpegls": _CT("the same in JPEG-LS", syntax=uid.JPEGLSLossless, encode=_jpegls),
    "ct_jpegll": _CT("the same in JPEG Lossless", syntax=uid.JPEGLosslessSV1, encode=_lossless),
    "ct_j2k": _CT("the same in JPEG 2000", syntax=uid.JPEG2000Lossless, encode=_j2k),
    "cr": Kind(
        "raw radiographs, 2500×2048, MONOCHROME1, no window",
        modality="CR",
        sop_class=uid.ComputedRadiographyImageStorage,
        syntax=uid.ImplicitVRLittleEndian,
        shape=(2500, 2048),
        tags={"PhotometricInterpretation": "MONOCHROME1"},
    ),
    "mg": Kind(
        "mammograms in JPEG 2000, 3328×2560",
        modality="MG",
        sop_class=uid.DigitalMammographyXRayImageStorageForPresentation,
        syntax=uid.JPEG2000Lossless,
        shape=(3328, 2560),
        encode=_j2k,
        tags=_WIDE,
    ),
    "us": Kind(
        "ultrasound loops in JPEG, 40 frames of 768×1024",
        modality="US",
        sop_class=uid.UltrasoundMultiFrameImageStorage,
        syntax=uid.JPEGBaseline8Bit,
        shape=(768, 1024),
        bits=8,
        encode=_jpeg,
    ),
    "mr": Kind(
        "enhanced MR, 100 frames of 256×256",
        modality="MR",
        sop_class=uid.EnhancedMRImageStorage,
        syntax=uid.ExplicitVRLittleEndian,
        shape=(256, 256),
        tags=_WIDE,
    ),
    "dbt": Kind(
        "tomosynthesis in JPEG 2000, one file, frames of 2457×1890, no window",
        modality="MG",
        sop_class=uid.BreastTomosynthesisImageStorage,
        syntax=uid.JPEG2000Lossless,
        shape=(2457, 1890),
        bits=10,
        encode=_j2k,
    ),
}

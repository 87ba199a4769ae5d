"""A corpus to measure on: real DICOM structure, synthetic anatomy with realistic noise, nine classes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import openjpeg
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

__all__ = ["CLASSES", "make_class"]

Pixels = NDArray[Any]
Encode = Callable[[Pixels], bytes]

CT = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "WindowCenter": "40", "WindowWidth": "400"}
WIDE = {"WindowCenter": "2000", "WindowWidth": "3500"}
CLASSES = {
    "ct": (1200, "raw CT, 512×512, 12 bits"),
    "ct_jpegls": (400, "the same in JPEG-LS"),
    "ct_jpegll": (400, "the same in JPEG Lossless"),
    "ct_j2k": (120, "the same in JPEG 2000"),
    "cr": (100, "raw radiographs, 2500×2048, MONOCHROME1, no window"),
    "mg": (10, "mammograms in JPEG 2000, 3328×2560"),
    "us": (2, "ultrasound loops in JPEG, 40 frames of 768×1024"),
    "mr": (6, "enhanced MR, 100 frames of 256×256"),
    "dbt": (1, "tomosynthesis in JPEG 2000, 10 frames of 2457×1890, no window"),
}
"""Files at scale 1, enough for start-up to matter little, and what they are."""


def make_class(name: str, folder: Path, *, scale: float, seed: int = 1) -> int:
    """Write the files of one class below `folder`; the number of frames in them."""
    count = max(1, round(CLASSES[name][0] * scale))
    return sum(_write(folder, name, number, seed) for number in range(count))


def anatomy(rows: int, columns: int, bits: int, *, seed: int, noise: float = 0.006) -> Pixels:
    """A smooth body with texture and noise on a dark background: (rows, columns) uint16."""
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


def _write(folder: Path, name: str, number: int, seed: int) -> int:
    """One file of a class; its frames."""
    seeds: Iterator[int] = iter(range(seed * 1_000_003 + number * 1009, 2**62))

    def images(count: int, rows: int, columns: int, bits: int, noise: float = 0.006) -> list[Pixels]:
        return [anatomy(rows, columns, bits, seed=next(seeds), noise=noise) for _ in range(count)]

    def j2k(bits: int) -> Encode:
        return lambda pixels: openjpeg.encode(pixels, bits_stored=bits, photometric_interpretation=2, use_mct=False)

    if name.startswith("ct"):
        syntax, encode = {
            "ct": (uid.ExplicitVRLittleEndian, None),
            "ct_jpegls": (uid.JPEGLSLossless, imagecodecs.jpegls_encode),
            "ct_jpegll": (uid.JPEGLosslessSV1, lambda pixels: imagecodecs.ljpeg_encode(pixels, bitspersample=16)),
            "ct_j2k": (uid.JPEG2000Lossless, j2k(12)),
        }[name]
        return _save(
            folder / "study" / f"im{number:05d}.dcm",
            images(1, 512, 512, 12),
            syntax,
            encode,
            bits=12,
            modality="CT",
            tags=CT,
        )
    path = folder / f"study{number}" / f"{name}.dcm"
    if name == "mg":
        return _save(path, images(1, 3328, 2560, 12), uid.JPEG2000Lossless, j2k(12), bits=12, modality="MG", tags=WIDE)
    if name == "dbt":
        return _save(path, images(10, 2457, 1890, 10), uid.JPEG2000Lossless, j2k(10), bits=10, modality="MG", tags={})
    if name == "cr":
        shape = {"PhotometricInterpretation": "MONOCHROME1"}
        return _save(
            path, images(1, 2500, 2048, 12), uid.ImplicitVRLittleEndian, None, bits=12, modality="CR", tags=shape
        )
    if name == "mr":
        return _save(
            path, images(100, 256, 256, 12), uid.ExplicitVRLittleEndian, None, bits=12, modality="MR", tags=WIDE
        )
    frames = [cv2.merge([(image >> 4).astype(np.uint8)] * 3) for image in images(40, 768, 1024, 12, noise=0.02)]
    color = {"PhotometricInterpretation": "YBR_FULL_422", "SamplesPerPixel": 3, "PlanarConfiguration": 0}
    jpeg: Encode = lambda pixels: imagecodecs.jpeg8_encode(pixels, level=90, subsampling="422")  # noqa: E731
    return _save(path, frames, uid.JPEGBaseline8Bit, jpeg, bits=8, modality="US", tags=color)


def _save(  # noqa: PLR0913
    path: Path,
    frames: list[Pixels],
    syntax: uid.UID,
    encode: Encode | None,
    *,
    bits: int,
    modality: str,
    tags: dict[str, Any],
) -> int:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
    instance = uid.generate_uid(entropy_srcs=[str(path)])
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = instance
    dataset.file_meta.TransferSyntaxUID = syntax
    described = {
        "PatientID": path.parent.name,
        "PatientName": "Family^Given",
        "StudyInstanceUID": uid.generate_uid(entropy_srcs=[str(path.parent)]),
        "SeriesInstanceUID": uid.generate_uid(entropy_srcs=["series", str(path.parent)]),
        "Modality": modality,
        "StudyDate": "20200101",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "PixelSpacing": [0.7, 0.7],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": frames[0].shape[0],
        "Columns": frames[0].shape[1],
        "BitsAllocated": 8 if bits <= 8 else 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "NumberOfFrames": len(frames),
        **tags,
    }
    for keyword, value in described.items():
        setattr(dataset, keyword, value)
    dataset.add_new(0x00190010, "LO", "LAB")
    for number in range(1, 60):  # scanners write long headers
        dataset.add_new(0x00191000 + number, "LO", f"private {number}")
    if encode is None:
        dataset.PixelData = b"".join(frame.tobytes() for frame in frames)
    else:
        dataset.PixelData = encapsulate([encode(frame) for frame in frames])
        dataset["PixelData"].is_undefined_length = True
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return len(frames)

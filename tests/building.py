"""DICOM files made to order."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import config, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

__all__ = ["dataset_of", "gradient", "make_dicom"]

REST_NS = 60 * 10**9
"""Files are made as if so long ago: one that was changed just now would be waited for."""


def gradient(rows: int = 64, columns: int = 48) -> NDArray[np.uint16]:
    """12 significant bits that rise from the first pixel to the last."""
    return np.linspace(0, 4095, rows * columns).round().astype(np.uint16).reshape(rows, columns)


def dataset_of(**keywords: Any) -> Dataset:
    """A data set of keywords; a sequence is a list of dictionaries (or data sets); None leaves an attribute out."""
    dataset = Dataset()
    _assign(dataset, keywords)
    return dataset


def make_dicom(
    path: Path,
    pixels: NDArray[Any] | None = None,
    *,
    patient_id: str | None = "P1",
    transfer_syntax: str = ExplicitVRLittleEndian,
    codestreams: list[bytes] | None = None,
    color: bool = False,
    **attributes: Any,
) -> Path:
    """Write a DICOM file and return its path; missing folders are made.

    `pixels` is (rows, columns), (frames, rows, columns) or either with a last axis of 3 for color; (rows, columns, 3)
    is color only where `color` or a Photometric Interpretation among `attributes` says so. Booleans become packed
    bits, floats (Double) Float Pixel Data. `codestreams` are the frames of an encapsulated transfer syntax. The
    `attributes` come last: they replace what was set before; None takes an attribute away; a sequence is a list of
    dictionaries. A file without pixels: `PixelData=None`.
    """
    pixels = gradient() if pixels is None else pixels
    labeled = str(attributes.get("PhotometricInterpretation", "")).startswith(("RGB", "YBR")) and pixels.shape[-1] == 3
    dataset = _describe_pixels(pixels, color=color or labeled or pixels.ndim == 4)
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["instance", str(path)])
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(patient_id), str(path.parent)])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(patient_id), str(path.parent)])
    dataset.Modality = "CT"
    dataset.InstanceNumber = 1
    if patient_id is not None:
        dataset.PatientID = patient_id
        dataset.PatientName = f"Name^{patient_id}"
    _add_pixels(dataset, pixels, UID(transfer_syntax), codestreams)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    _assign(dataset, attributes)
    path.parent.mkdir(parents=True, exist_ok=True)
    unknown = not UID(transfer_syntax).is_transfer_syntax  # to pydicom: newer than it is
    encoding = {"implicit_vr": False, "little_endian": True, "force_encoding": True} if unknown else {}
    dataset.preamble = bytes(128)
    with config.disable_value_validation():
        dcmwrite(path, dataset, enforce_file_format=not unknown, **encoding)
    rested = time.time_ns() - REST_NS
    os.utime(path, ns=(rested, rested))
    return path


def _assign(dataset: Dataset, keywords: dict[str, Any]) -> None:
    with config.disable_value_validation():
        for keyword, value in keywords.items():
            if value is None:
                if keyword in dataset:
                    delattr(dataset, keyword)
            elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
                setattr(dataset, keyword, [_item(item) for item in value])
            else:
                setattr(dataset, keyword, value)


def _item(item: Dataset | dict[str, Any]) -> Dataset:
    return item if isinstance(item, Dataset) else dataset_of(**item)


def _describe_pixels(pixels: NDArray[Any], *, color: bool) -> Dataset:
    *frames, rows, columns = pixels.shape[:-1] if color else pixels.shape
    bits = 1 if pixels.dtype.kind == "b" else 8 * pixels.dtype.itemsize
    dataset = dataset_of(
        SamplesPerPixel=3 if color else 1,
        PhotometricInterpretation="RGB" if color else "MONOCHROME2",
        PlanarConfiguration=0 if color else None,
        NumberOfFrames=frames[0] if frames else None,
        Rows=rows,
        Columns=columns,
        BitsAllocated=bits,
    )
    if pixels.dtype.kind != "f":
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.PixelRepresentation = 1 if pixels.dtype.kind == "i" else 0
    return dataset


def _add_pixels(dataset: Dataset, pixels: NDArray[Any], syntax: UID, codestreams: list[bytes] | None) -> None:
    if codestreams is not None:
        dataset.PixelData = encapsulate(codestreams)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        return
    bits = int(dataset.BitsAllocated)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    if bits == 1:
        content = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    else:
        content = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    float_keyword = {("f", 4): "FloatPixelData", ("f", 8): "DoubleFloatPixelData"}
    keyword = float_keyword.get((pixels.dtype.kind, pixels.dtype.itemsize), "PixelData")
    setattr(dataset, keyword, content + b"\0" * (len(content) % 2))
    if keyword == "PixelData":
        dataset["PixelData"].VR = "OW" if syntax.is_implicit_VR or bits > 8 else "OB"

"""Very many very small files: a template in which identifiers and pixels are replaced."""

import io
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from benchmarks.cache import keep

__all__ = ["IN_FOLDER", "PATIENTS", "make_small"]

IN_FOLDER = 500
PATIENTS = 100
"""So many files belong to one patient."""

SIDE = 32
INSTANCE, SERIES, STUDY, PATIENT = "1.2.3.1000000000", "1.2.3.2000000000", "1.2.3.3000000000", "4000000000"


def make_small(files: int, *, cache: Path) -> Path:
    """A folder with `files` files of some 1.5 kB, 500 to a folder."""

    def write(folder: Path) -> None:
        with ProcessPoolExecutor() as pool:
            list(pool.map(partial(_write_folder, folder, _template(), files), range(-(-files // IN_FOLDER))))

    return keep(cache / f"small_distinct_{files}", write)


def _write_folder(root: Path, template: bytes, files: int, number: int) -> None:
    folder = root / f"folder{number:05d}"
    folder.mkdir()
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    for index in range(number * IN_FOLDER, min(files, (number + 1) * IN_FOLDER)):
        patient = index // PATIENTS
        content = template[: -SIDE * SIDE]
        for place, value in ((INSTANCE, index), (SERIES, patient), (STUDY, patient), (PATIENT, patient)):
            content = content.replace(place.encode(), f"{place[:-8]}{value:08d}".encode())
        picture = np.uint8(255 * np.hypot(x - index % SIDE, y - index // SIDE % SIDE) / 1.5 / SIDE)
        picture[0, :3] = index % 256, index // 256 % 256, index // 65536  # no image twice
        (folder / f"im{index:07d}.dcm").write_bytes(content + picture.tobytes())


def _template() -> bytes:
    """A file whose last bytes are its pixels."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = INSTANCE
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.PatientID = SERIES, STUDY, PATIENT
    dataset.Modality = "OT"
    dataset.Rows = dataset.Columns = SIDE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = bytes(SIDE * SIDE)
    content = io.BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return content.getvalue()

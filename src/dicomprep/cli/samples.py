"""The DICOM files that pydicom ships in its wheel, as a folder to try things on."""

import shutil
import sys
from importlib.resources import as_file, files
from pathlib import Path

from dicomprep.dicom.sniff import DICOM_SUFFIXES, sniff
from dicomprep.storage.source import HEAD_BYTES

__all__ = ["make_samples"]


def make_samples(folder: Path) -> int:
    """Copy pydicom's sample files, good and bad ones, into `folder`; how many there are."""
    count = 0
    with as_file(files("pydicom.data")) as data:
        for source in sorted((data / "test_files").rglob("*")):
            if not source.is_file() or not _is_dicom(source):
                continue
            place = folder / source.relative_to(data / "test_files")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place)
            count += 1
    return count


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return path.name.lower().endswith(DICOM_SUFFIXES) or sniff(file.read(HEAD_BYTES)) is not None


if __name__ == "__main__":
    print(f"{make_samples(Path(sys.argv[1]))} sample files in {sys.argv[1]}")

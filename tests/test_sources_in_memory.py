"""`process_dicom` of what is in memory: the same pictures as of the file, whatever holds it."""

import gzip
import io
import os
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

import dicomprep
from dicomprep import ConfigError, InputError, process_dicom
from tests.building import make_dicom
from tests.reference_table import FOLDER, REFERENCE

SAMPLES = sorted(path for path, expected in REFERENCE.items() if (FOLDER / path).stat().st_size < 2**20)
DRAWN = sorted(path for path in SAMPLES if REFERENCE[path].status == "done")
CT = FOLDER / "CT_small.dcm"


class Unseekable(io.RawIOBase):
    """A stream as a socket is: short reads, and no way back."""

    def __init__(self, content: bytes) -> None:
        self._left = memoryview(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), len(self._left), 1000)
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def read(path: Path) -> pydicom.FileDataset:
    """As pydicom has it, whatever it warns of."""
    with warnings.catch_warnings(action="ignore"):
        return pydicom.dcmread(path, force=True)


def as_plain_dataset(path: Path) -> Dataset:
    dataset = read(path)
    plain = Dataset()
    plain.update({element.tag: element for element in dataset})
    plain.file_meta = dataset.file_meta
    return plain


IN_MEMORY: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "BytesIO": io.BytesIO,
    "unseekable": Unseekable,
    "buffered": lambda content: io.BufferedReader(Unseekable(content)),
    "gzip": lambda content: gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(content, 1))),
}


def outcome(source: Any) -> Any:
    """The pictures and transforms, or the code and the reason."""
    try:
        frames = process_dicom(source, size=32, frames="max=2")
    except InputError as error:
        return error.code, error.detail
    return [(frame.array.tobytes(), frame.array.shape, frame.transform, frame.frame_number) for frame in frames]


@pytest.mark.parametrize("path", SAMPLES)
def test_a_sample_in_memory_gives_what_its_file_gives(path: str) -> None:
    expected = outcome(FOLDER / path)
    content = (FOLDER / path).read_bytes()
    for name, hold in IN_MEMORY.items():
        assert outcome(hold(content)) == expected, name


@pytest.mark.parametrize("path", DRAWN)
def test_a_data_set_of_a_sample_gives_what_its_file_gives(path: str) -> None:
    expected = outcome(FOLDER / path)
    assert outcome(read(FOLDER / path)) == expected
    with (FOLDER / path).open("rb") as file:
        assert outcome(file) == expected
        assert not file.closed
    assert outcome(as_plain_dataset(FOLDER / path))[0][:2] == expected[0][:2]


def test_a_data_set_stays_as_it_was_and_counts_as_it_is_now() -> None:
    dataset = pydicom.dcmread(CT)
    before = deepcopy(dataset)
    (plain,) = process_dicom(dataset, size=32)
    assert dataset == before
    assert dataset.file_meta == before.file_meta
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    (windowed,) = process_dicom(dataset, size=32)
    assert windowed.transform["intensity"]["voi"] == {"center": 40.0, "width": 400.0, "function": "LINEAR"}
    assert not np.array_equal(windowed.array, plain.array)


def test_a_data_set_made_by_hand(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", WindowCenter=40, WindowWidth=400)
    dataset = read(path)
    plain = as_plain_dataset(path)
    del plain.file_meta
    assert outcome(plain)[0][0] == outcome(dataset)[0][0]
    plain.file_meta = pydicom.dataset.FileMetaDataset()
    plain.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    assert outcome(plain) == outcome(dataset)
    plain.Rows = None
    assert outcome(plain)[0] == "corrupt_header"
    assert outcome(Dataset())[0] in ("not_dicom", "no_pixel_data")
    broken = as_plain_dataset(path)
    broken["Rows"]._value = "many"
    with pytest.raises(InputError, match=r"cannot be encoded \(") as raised:
        process_dicom(broken)
    assert raised.value.code == "corrupt_header"


def test_what_has_a_path_is_called_by_it(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "study_001/image_a.dcm")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "study_002/image_b.dcm")
    with path.open("rb") as file, zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert [frame.name for frame in process_dicom(file)] == ["study_001/image_a"]
        assert [frame.name for frame in process_dicom(archive.open("study_002/image_b.dcm"))] == ["study_002/image_b"]
    assert [frame.name for frame in process_dicom(pydicom.dcmread(path))] == ["study_001/image_a"]
    assert [frame.name for frame in process_dicom(path.read_bytes())] == ["memory/image"]
    frames = process_dicom(make_dicom(tmp_path / "b.dcm", np.zeros((2, 8, 8), np.uint8)).read_bytes())
    assert [frame.name for frame in frames] == ["memory/image_frame0000", "memory/image_frame0001"]


def test_an_open_file_is_read_from_where_it_stands() -> None:
    stream = io.BytesIO(b"before" + CT.read_bytes())
    stream.seek(6)
    assert outcome(stream) == outcome(CT)
    assert outcome(stream)[0] == "not_dicom"  # it is at its end


@contextmanager
def pipe_of(content: bytes) -> Iterator[Any]:
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as stream:
            stream.write(content)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reading, "rb") as stream:
        yield stream
    thread.join()


def test_a_pipe() -> None:
    with pipe_of(CT.read_bytes()) as stream:
        assert outcome(stream) == outcome(CT)


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    closed = CT.open("rb")
    closed.close()
    for source, code, reason in (
        (closed, "unreadable", "closed file"),
        (io.StringIO("text"), "unreadable", "open it in binary mode"),
        (b"", "not_dicom", "empty"),
        (b"no DICOM at all" * 100, "not_dicom", "DICM|DICOM"),
        (CT.read_bytes()[:3000], "truncated", " "),
        (io.BytesIO(bytes(65 * 2**20)), "limit_exceeded", "a larger max_memory allows more"),
    ):
        with pytest.raises(InputError, match=reason) as raised:
            process_dicom(source, max_memory=64)
        assert raised.value.code == code
    with pytest.raises(ConfigError, match="takes a path, bytes, a binary file or a data set of pydicom, not int"):
        process_dicom(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="Unknown option: sise"):
        process_dicom(CT, sise=3)  # type: ignore[call-arg]
    with pytest.raises(InputError):
        process_dicom(tmp_path / "none.dcm")
    assert dicomprep.ErrorCode.UNREADABLE == "unreadable"

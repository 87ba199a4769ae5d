"""What the stages make of one file, for tests to look at."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicomprep.config import Fidelity, ImageOptions
from dicomprep.dicom.header import Header, read_header
from dicomprep.models import Frame
from dicomprep.pipeline.stages.decode import DicomImage, decode
from dicomprep.storage.local_source import LocalSource

__all__ = ["decoded_frames", "opened_header", "opened_image"]

PLENTY = 2**31
EXACT = ImageOptions(fidelity=Fidelity.EXACT)


@contextmanager
def opened_header(path: Path, *, max_bytes: int = PLENTY) -> Iterator[Header]:
    """The header of a file, which stays open meanwhile."""
    with LocalSource.at(path).open() as file:
        yield read_header(file, max_bytes=max_bytes)


@contextmanager
def opened_image(path: Path, *, max_bytes: int = PLENTY) -> Iterator[DicomImage]:
    """The image of a file, which stays open meanwhile."""
    with LocalSource.at(path).open() as file:
        yield decode(file, max_bytes=max_bytes)


def decoded_frames(path: Path, options: ImageOptions = EXACT) -> list[Frame]:
    """All frames of a file, by default in full; the InputError of the first one that cannot be decoded."""
    with opened_image(path) as image:
        return [image.frame(index, options) for index in range(image.frame_count)]

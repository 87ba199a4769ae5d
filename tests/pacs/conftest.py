"""One PACS for all tests of a process, and what a folder of its files gives."""

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.conftest import note, thorough
from tests.pacs import orthanc as server
from tests.running import Place

__all__ = ["Reference", "note", "orthanc", "reference", "thorough"]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """What pynetdicom leaves open of connections that failed is not found in a test that comes later."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def orthanc(pydicom_files: Path) -> Iterator[server.Orthanc]:
    """An Orthanc that has some of the sample files."""
    with server.serving() as running:
        running.keep(*server.chosen(pydicom_files))
        yield running


@dataclass(frozen=True)
class Reference:
    """The PACS's files in a folder, and the data set that is made of that."""

    place: Place
    stored: dict[str, bytes]

    def new_place(self, base: Path) -> Place:
        """A place for a data set with the same key: so the same patients have the same names and splits."""
        place = Place(base)
        place.base.mkdir(exist_ok=True)
        Path(f"{place.db}.key").write_bytes(Path(f"{self.place.db}.key").read_bytes())
        Path(f"{place.db}.key").chmod(0o600)
        return place


@pytest.fixture(scope="session")
def reference(orthanc: server.Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """What preprocessing a folder of the PACS's files gives."""
    place, stored = Place(tmp_path_factory.mktemp("reference")), orthanc.stored()
    place.source.mkdir()
    for uid, content in stored.items():
        (place.source / f"{uid}.dcm").write_bytes(content)
    place.run(size=224)
    return Reference(place, stored)

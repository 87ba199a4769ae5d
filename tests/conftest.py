"""What all tests share: sample files, databases of both kinds, how hypothesis searches, how many faults are tried."""

import os
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from dicomprep.database import connection
from dicomprep.database.writes.store import Store
from tests.reference_table import FOLDER
from tests.running import Place

if TYPE_CHECKING:
    from tests.faults.serving import Server
    from tests.services.gateway import Gateway

ODD_NAME = unicodedata.normalize("NFD", "Datensatz Ä 頭部")
"""Of a folder, as people have them: capitals, spaces, other scripts, accents that macOS spells in two characters."""

os.environ.pop("PYTHONUNBUFFERED", None)  # people do not have it: output is written when a program ends

settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--thorough`: fault injection with all that it can try."""
    parser.addoption("--thorough", action="store_true", help="try all faults, not only the quick part")


def pytest_xdist_auto_num_workers() -> int:
    """One more than cores: many tests wait, for a server, a timeout or a lock."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.fixture(scope="session")
def pydicom_files() -> Path:
    """The folder of sample files in pydicom's wheel."""
    return FOLDER


@pytest.fixture(scope="session", autouse=True)
def _nothing_waits_for_the_disk() -> Iterator[None]:
    """SQLite in the process of the tests, as with the server below; commands that are started as such do wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "SYNCHRONOUS", "OFF")
        yield


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder of the test's own, below one with such a name."""
    folder = tmp_path / ODD_NAME
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator["Server"]:
    """A PostgreSQL server for all tests of this process; they are skipped where there can be none."""
    from tests.faults.serving import serving

    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def running_gateway() -> Iterator["Gateway"]:
    """An S3 gateway for all tests of this process; they are skipped where there can be none."""
    from tests.services.gateway import serving_objects

    with serving_objects() as server:
        yield server


@pytest.fixture
def gateway(running_gateway: "Gateway", monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Gateway":
    """The same, with its address and its keys in the environment; what is read of it is kept for the test alone."""
    monkeypatch.setenv("DICOMPREP_CACHE", str(tmp_path.parent / "cache"))
    for name, value in running_gateway.environment.items():
        monkeypatch.setenv(name, value)
    return running_gateway


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Place]:
    """Makes places for data sets, each with a database of its own: every test of one runs on both kinds."""
    places = 0

    def make() -> Place:
        nonlocal places
        places += 1
        base = tmp_path / f"Place {places}"
        base.mkdir()
        if request.param == "SQLite":
            return Place(base)
        from tests.faults.serving import ServedPlace

        server = request.getfixturevalue("postgres")
        return ServedPlace(base, server, server.new_database())

    return make


@pytest.fixture
def any_place(new_place: Callable[[], Place]) -> Place:
    """One such place."""
    return new_place()


@pytest.fixture
def place_of_examples(any_place: Place) -> Callable[[], Place]:
    """Empties such a place that has its tables already, for each example of a test."""
    Store(any_place.address).close()

    def make() -> Place:
        any_place.clear()
        return any_place

    return make

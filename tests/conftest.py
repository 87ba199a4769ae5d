"""What all tests share: the sample files of pydicom, how hypothesis searches, how many faults are tried."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.reference_table import FOLDER

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


@pytest.fixture(scope="session")
def pydicom_files() -> Path:
    """The folder of sample files in pydicom's wheel."""
    return FOLDER

"""What all fault injection shares: how much is tried, and where figures go."""

from collections.abc import Callable

import pytest

from tests.faults.disturbing import Interposer, Scenario, make_scenario
from tests.faults.figures import keep


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether everything is tried (`make faults`) or a part that takes seconds (`make test`)."""
    return bool(pytestconfig.getoption("--thorough"))


@pytest.fixture(scope="session")
def note(thorough: bool) -> Callable[..., None]:
    """`note(title, **figures)`: what was found, for docs/robustness.md; only a thorough run is worth a note."""
    return keep if thorough else lambda _title, **_figures: None


@pytest.fixture(scope="session")
def interposer(tmp_path_factory: pytest.TempPathFactory) -> Interposer:
    """Kills or fails runs at a chosen call."""
    return Interposer(tmp_path_factory.mktemp("interposer"))


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory, interposer: Interposer) -> Scenario:
    """A first run."""
    return make_scenario(tmp_path_factory.mktemp("first"), interposer, later=False)


@pytest.fixture(scope="session")
def later(tmp_path_factory: pytest.TempPathFactory, interposer: Interposer) -> Scenario:
    """A run over a tree that has changed since, with other options."""
    return make_scenario(tmp_path_factory.mktemp("later"), interposer, later=True)

"""Broken files: each ends in exactly one state, none ends the run, and none meets a bug of ours."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicomprep.engines.local import LocalEngine
from dicomprep.errors import ErrorCode
from tests.faults.mutating import Mutant, damaged, lying
from tests.running import Place

AT_ONCE = 1000
"""Files of one run: more would only need more room on the disk."""

KINDS: dict[str, tuple[Callable[[int], Mutant], int, int]] = {
    "bytes damaged": (damaged, 350, 20_000),
    "attributes that lie": (lying, 120, 5_000),
}
"""What makes them, how many are tried quickly, how many thoroughly."""


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Exit codes of workers that did not leave by themselves."""
    codes: list[Any] = []
    handle_exit = LocalEngine._handle_exit

    def count(engine: LocalEngine, slot: Any) -> list[Any]:
        answers = handle_exit(engine, slot)
        codes.extend([slot.process.exitcode] if slot.process.exitcode else [])
        return answers

    monkeypatch.setattr(LocalEngine, "_handle_exit", count)
    return codes


@pytest.mark.parametrize("kind", KINDS)
def test_every_mutant_has_one_state(
    kind: str, thorough: bool, note: Callable[..., None], deaths: list[Any], tmp_path: Path
) -> None:
    make, few, many = KINDS[kind]
    count = many if thorough else few
    states: Counter[str] = Counter()
    bugs: dict[str, str] = {}
    seconds = 0.0
    for first in range(0, count, AT_ONCE):
        place = Place(tmp_path / str(first))
        names = _write_mutants(place, make, range(first, min(count, first + AT_ONCE)))
        began = time.perf_counter()
        result = place.run(timeout=20, max_memory=1024)
        seconds += time.perf_counter() - began
        found = place.statuses()
        assert set(found) == set(names)
        assert result.found == len(names) == sum(result.statuses.values())
        place.check()
        states.update(f"{status} {code}" if code else status for status, code in found.values())
        rows = place.rows("SELECT path, error_detail FROM inputs WHERE error_code = ?", ErrorCode.INTERNAL)
        bugs |= {f"{path} ({names[Path(path).name]})": detail for path, detail in rows}
        if not bugs:
            _remove(place)
    print(dict(states), "deaths", deaths, f"{count / seconds:.0f} files/s")
    note(
        f"mutants: {kind}",
        files=f"{count:,}",
        **{state.replace(" ", "_"): f"{number:,}" for state, number in states.most_common()},
        worker_deaths=len(deaths),
        files_per_second=f"{count / seconds:.0f}",
    )
    assert not bugs


def _write_mutants(place: Place, make: Callable[[int], Mutant], numbers: range) -> dict[str, str]:
    """What each file is, by its name."""
    place.source.mkdir(parents=True)
    names = {}
    for number in numbers:
        mutant = make(number)
        (place.source / f"{number}.dcm").write_bytes(mutant.content)
        names[f"{number}.dcm"] = mutant.name
    return names


def _remove(place: Place) -> None:
    for path in sorted(place.base.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


def test_a_mutant_is_the_same_whenever_it_is_made() -> None:
    for make in (damaged, lying):
        assert [make(number) for number in range(40)] == [make(number) for number in range(40)]

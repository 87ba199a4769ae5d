"""Thousands of files that a stranger might make: each is drawn or refused, in time, and no process dies of one."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

import dicomprep
from dicomprep.errors import InputError
from tests.faults.figures import keep
from tests.hostile.mutator import base, make_mutant

PARTS, FEW, MANY = 3, 130, 10_000
"""Of how many parts each has so many files: a test may take five minutes."""

SECONDS = 5.0
VISIBLE, MAX_VISIBLE_SHARE = 24, 0.002
"""Gray values by which a pixel shows something else, and the share of such pixels from which a picture does."""


@pytest.mark.parametrize("part", range(PARTS))
def test_mutants_are_drawn_or_refused(part: int, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    thorough = bool(pytestconfig.getoption("--thorough"))
    count = MANY if thorough else FEW
    found = list(_outcomes(range(part * count, (part + 1) * count), tmp_path / "a.dcm"))
    states = Counter(outcome["state"] for outcome in found)
    slow = [outcome for outcome in found if outcome["seconds"] > SECONDS]
    silent = [outcome for outcome in found if outcome["state"] == "drawn otherwise" and not outcome["listed"]]
    wrong = [outcome for outcome in found if outcome["state"] in ("internal", "died")]
    if thorough:
        keep(
            f"mutants: segments, fragments, sequences and values, with lengths that agree, {part + 1} of {PARTS}",
            **{state.replace(" ", "_"): f"{number:,}" for state, number in states.most_common()},
            files=f"{count:,}",
            above_5_s=len(slow),
            silent_beyond_the_listed_kinds=len(silent),
            most_CPU_seconds=f"{max(outcome['seconds'] for outcome in found):.1f}",
        )
    assert (wrong, slow, silent) == ([], [], [])
    assert len(found) == count


def _outcomes(numbers: range, path: Path) -> Iterator[dict[str, Any]]:
    """What became of each mutant, in a process of its own that is replaced where it dies."""
    number = numbers.start
    while number in numbers:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _answer(range(number, numbers.stop), path, writing)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as answers:
            for line in answers:
                yield json.loads(line)
                number += 1
        _, status = os.waitpid(child, 0)
        if number in numbers:
            yield {
                "number": number,
                "name": make_mutant(number).name,
                "state": "died",
                "seconds": 0.0,
                "why": status,
                "listed": False,
            }
            number += 1


def _answer(numbers: range, path: Path, writing: int) -> NoReturn:
    """What a child does: a line for each mutant."""
    try:
        with os.fdopen(writing, "w", encoding="utf-8") as answers:
            for number in numbers:
                print(json.dumps(_outcome(number, path)), file=answers, flush=True)
    finally:
        os._exit(0)


def _outcome(number: int, path: Path) -> dict[str, Any]:
    mutant = make_mutant(number)
    path.write_bytes(mutant.content)
    began, why = time.process_time(), ""
    try:
        drawn = [frame.array for frame in dicomprep.process_dicom(path, size=64)]
        state = "drawn otherwise" if _differs(drawn, mutant.base) else "drawn"
    except InputError as error:
        state, why = f"refused {error.code}", error.detail
    except Exception as error:  # noqa: BLE001
        state, why = "internal", repr(error)
    seconds = time.process_time() - began
    outcome = {"number": number, "name": mutant.name, "state": state, "seconds": seconds, "why": why}
    return outcome | {"listed": mutant.is_listed}


def _differs(drawn: list[np.ndarray], name: str) -> bool:
    """Whether some frame shows something else than those of the base, which are alike."""
    wanted = _drawn(name).astype(int)
    return any(
        frame.shape != wanted.shape or (np.abs(frame - wanted) > VISIBLE).mean() > MAX_VISIBLE_SHARE for frame in drawn
    )


@cache
def _drawn(name: str) -> np.ndarray:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"base {os.getpid()}.dcm"
    path.write_bytes(base(name))
    try:
        return dicomprep.process_dicom(path, size=64)[0].array
    finally:
        path.unlink()


def test_a_mutant_is_the_same_whenever_it_is_made() -> None:
    assert [make_mutant(number) for number in range(60)] == [make_mutant(number) for number in range(60)]

"""One run over a folder, archives and a bucket, disturbed at random moments, ends as one that was let alone."""

import os
import random
import shutil
import signal
import tarfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pytest

from tests.faults.disturbing import KEY, check_what_is_recorded, rows_of, share
from tests.running import Place, Started, dicomprep_command, make_files, started
from tests.services.gateway import Gateway

PARTS, MOMENTS, QUICK_MOMENTS = 4, 20, 2
"""Parts of the test, moments of all of them, and of the only one that is not left to `make faults`."""

MAX_DISTURBANCES = 3
"""Of one run, until it is resumed for the last time."""

FOUND = 92


@dataclass(frozen=True)
class Undisturbed:
    """What is searched, and what a run that was let alone made of it."""

    sources: tuple[str, ...]
    images: dict[str, bytes]
    rows: dict[str, Any]
    seconds: float


def command(sources: tuple[str, ...]) -> list[str]:
    return dicomprep_command("preprocess", *sources, *("--output-dir", "out", "--db", "x.db", "--workers", 2))


def new_place(base: Path) -> Place:
    base.mkdir()
    (base / "x.db.key").write_text(KEY)
    return Place(base)


@pytest.fixture
def undisturbed(tmp_path: Path, gateway: Gateway) -> Undisturbed:
    trees = {}
    for number, name in enumerate(("folder", "zip", "tar", "s3")):
        files = (f"{name} {n % 3}/ä {n:02d}.dcm:{1 + 3 * (n % 4 == 0)}" for n in range(22))
        trees[name] = make_files(tmp_path / "trees" / name, *files, seed=100 * (number + 1))
        (trees[name] / "bad.dcm").write_text("no DICOM")
    with zipfile.ZipFile(trees["folder"] / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in trees["zip"].rglob("*"):
            archive.write(path, path.relative_to(trees["zip"]))
    bucket = gateway.new_bucket()
    gateway.fill(bucket, trees["s3"], "s3/")
    with tarfile.open(tmp_path / "stream.tar.gz", "w:gz") as tar:
        tar.add(trees["tar"], ".")
    sources = (str(trees["folder"]), str(tmp_path / "stream.tar.gz"), f"s3://{bucket}/s3")
    place, began = new_place(tmp_path / "whole"), time.monotonic()
    with started(command(sources), place.base) as run:
        run.process.communicate(timeout=120)
    assert len(place.statuses()) == FOUND
    return Undisturbed(sources, place.images(), rows_of(place), time.monotonic() - began)


def a_worker(run: Started) -> int | None:
    """One of the processes that have no children."""
    members, parents = run.members(), set()
    for pid in members:
        with suppress(OSError, IndexError):
            parents.add(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]))
    leaves = [pid for pid in members if pid not in parents]
    return random.choice(leaves) if leaves else None


def disturb(run: Started, kind: str) -> None:
    """Kill the parent alone, all of them, or one worker; or ask the run to end, as a terminal or a scheduler does."""
    if kind == "worker":
        pid = a_worker(run)
        with suppress(ProcessLookupError):
            os.kill(pid or run.process.pid, signal.SIGKILL)
    elif kind == "parent":
        run.process.kill()
    else:
        run.signal({"all": signal.SIGKILL, "SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}[kind])


@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_over_three_kinds_of_sources_goes_on_as_if_nothing_had_happened(
    part: int, request: pytest.FixtureRequest, tmp_path: Path, thorough: bool, note: Callable[..., None]
) -> None:
    if part and not thorough:
        pytest.skip("left to `make faults`")
    undisturbed = request.getfixturevalue("undisturbed")
    for number in share(MOMENTS, part, PARTS, at_most=None if thorough else QUICK_MOMENTS):
        chance = random.Random(number)
        place = new_place(tmp_path / str(number))
        for _ in range(chance.randint(1, MAX_DISTURBANCES)):
            with started(command(undisturbed.sources), place.base) as run:
                with suppress(TimeoutExpired):
                    run.process.communicate(timeout=0.3 + chance.random() * undisturbed.seconds)
                disturb(run, chance.choice(("all", "parent", "worker", "SIGINT", "SIGTERM")))
                run.process.communicate(timeout=60)
                assert run.none_left(10)
            check_what_is_recorded(place)
        result = place.run(dicom_dir=list(undisturbed.sources), size=224)
        assert result.found == FOUND
        assert place.images() == undisturbed.images
        assert rows_of(place) == undisturbed.rows
        assert not list(place.output.glob(".dicomprep-tmp/*"))
        place.check()
        assert place.run(dicom_dir=list(undisturbed.sources), size=224).processed == 0
        shutil.rmtree(place.base)
    note(
        "SIGKILL of all, of the parent or of a worker, SIGINT and SIGTERM at random moments of a run over a folder, "
        "archives and a bucket, then resume",
        moments=MOMENTS,
        rows_lost_doubled_or_mismatched=0,
        stray_files=0,
    )

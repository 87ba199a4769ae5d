"""Whoever receives, fetches or reads from a server is killed at any moment, and goes on as if nothing had happened."""

import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pynetdicom
import pytest
from pydicom import dcmread
from pynetdicom.sop_class import SecondaryCaptureImageStorage

from tests.pacs.conftest import Reference
from tests.pacs.orthanc import PASSWORD, USER, Orthanc
from tests.pacs.peers import data_sets, facts, receiving, send
from tests.pacs.wire import Wire, wired
from tests.running import Place, Started, dicomprep_command, make_files, started, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

MOMENTS = 20
KINDS = ("all", "parent", "worker", "SIGTERM", "cut")
"""Who is killed, who is asked to end; or the connections are cut."""

SENDING_SECONDS = 3.0
"""In which a receiver is disturbed after the first instance."""

MAX_SECONDS = 120
"""In which everything ends."""

NOTHING_WRONG = {"instances_or_images_lost_doubled_or_mismatched": 0, "processes_left": 0}

Note = Callable[..., None]


def disturb(run: Started, kind: str, chance: random.Random, wire: Wire) -> None:
    """Kill some of a process's session, or ask it to end, or cut all of its connections."""
    if kind == "SIGTERM":
        run.process.send_signal(signal.SIGTERM)
    elif kind == "all":
        run.signal(signal.SIGKILL)
    elif kind == "parent":
        run.process.kill()
    elif kind == "cut":
        wire.cut = lambda _total: True
        time.sleep(0.3)
        wire.cut = lambda _total: False
    else:
        others = [pid for pid in run.members() if pid != run.process.pid]
        for pid in chance.sample(others, min(1, len(others))):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each moment is a test of its own, so that they are tried side by side; by default one of `fetch` alone."""
    if "moment" in metafunc.fixturenames:
        is_quick = not metafunc.config.getoption("--thorough")
        metafunc.parametrize("moment", range(int("fetched" in metafunc.fixturenames) if is_quick else MOMENTS))


def kind_of(moment: int, *, seed: int) -> tuple[str, random.Random]:
    """What is done at a moment, and when."""
    return KINDS[(moment + seed) % len(KINDS)], random.Random(1000 * seed + moment)


def end(run: Started, kind: str) -> None:
    """It ends, in time, by itself or as it was told; nothing of it is left."""
    output, errors = run.process.communicate(timeout=MAX_SECONDS)
    assert run.none_left(10)
    assert "Traceback" not in output + errors, errors
    killed = {"all": {-signal.SIGKILL}, "parent": {-signal.SIGKILL}, "SIGTERM": {-signal.SIGTERM, 130}}
    assert run.process.returncode in {0, 3} | killed.get(kind, set()), output + errors


def disturbed(
    command: Sequence[str], place: Place, seconds: float, kind: str, chance: random.Random, wire: Wire
) -> None:
    """Run a command that is disturbed at a random moment."""
    with started(command, place.base) as run:
        with suppress(TimeoutExpired):
            run.process.wait(timeout=seconds * chance.uniform(0.2, 1))
        disturb(run, kind, chance, wire)
        end(run, kind)


def run_whole(command: Sequence[str], place: Place) -> None:
    """Run a command to its end."""
    with started(command, place.base) as run:
        output, errors = run.process.communicate(timeout=MAX_SECONDS)
        assert run.process.returncode == 0, output + errors


@dataclass(frozen=True)
class Undisturbed:
    """What is made of the reference by one who is let alone, and how long that takes."""

    facts: Counter[Any]
    data_sets: Counter[bytes]
    seconds: float


def let_alone(command: Sequence[str], place: Place, reference: Reference) -> Undisturbed:
    began = time.monotonic()
    run_whole(command, place)
    assert facts(place) == facts(reference.place)
    return Undisturbed(facts(place), data_sets(place.source), time.monotonic() - began)


def fetch_command(place: Place, server: Orthanc, port: int) -> list[str]:
    where = ("--spool", place.source, "--db", place.db, "--output-dir", place.output, "--every", 0, "--workers", 2)
    return dicomprep_command("fetch", "--from", replace(server, dicom=port).remote, "--date", "-20401231", *where)


@pytest.fixture(scope="module")
def fetched(orthanc: Orthanc, reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    place = reference.new_place(tmp_path_factory.mktemp("fetched") / "a")
    return let_alone(fetch_command(place, orthanc, orthanc.dicom), place, reference)


def test_fetch(
    orthanc: Orthanc,
    reference: Reference,
    fetched: Undisturbed,
    tmp_path: Path,
    *,
    moment: int,
    note: Note,
) -> None:
    kind, chance = kind_of(moment, seed=4)
    place = reference.new_place(tmp_path / "a")
    with wired(orthanc.dicom) as wire:
        disturbed(fetch_command(place, orthanc, wire.port), place, fetched.seconds, kind, chance, wire)
    run_whole(fetch_command(place, orthanc, orthanc.dicom), place)
    assert facts(place) == fetched.facts
    assert data_sets(place.source) == fetched.data_sets
    place.check()
    note("fetch (C-GET) killed or cut at random moments, then resumed", moments=MOMENTS, **NOTHING_WRONG)


def web_command(place: Place, server: Orthanc, port: int) -> list[str]:
    where = ("--db", place.db, "--output-dir", place.output, "--workers", 2)
    return dicomprep_command("preprocess", replace(server, http=port).web, *where)


@pytest.fixture(scope="module")
def read(orthanc: Orthanc, reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DICOMWEB_USER", USER)
        patch.setenv("DICOMWEB_PASSWORD", PASSWORD)
        place = reference.new_place(tmp_path_factory.mktemp("read") / "a")
        yield let_alone(web_command(place, orthanc, orthanc.http), place, reference)


def test_dicomweb(
    orthanc: Orthanc, reference: Reference, read: Undisturbed, tmp_path: Path, *, moment: int, note: Note
) -> None:
    kind, chance = kind_of(moment, seed=2)
    place = reference.new_place(tmp_path / "a")
    with wired(orthanc.http) as wire:  # in both runs, for the address is the name of the inputs
        command = web_command(place, orthanc, wire.port)
        disturbed(command, place, read.seconds, kind, chance, wire)
        run_whole(command, place)
    assert facts(place) == read.facts
    place.check()
    note("DICOMweb killed or cut at random moments, then resumed", moments=MOMENTS, **NOTHING_WRONG)


@contextmanager
def sending(port: int, files: Sequence[Path]) -> Iterator[list[str]]:
    """A peer that sends files in a thread, until it is refused or cut; the instances that were acknowledged."""
    acknowledged: list[str] = []

    def run() -> None:
        entity = pynetdicom.AE("SENDER")
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
        entity.add_requested_context(SecondaryCaptureImageStorage, "1.2.840.10008.1.2.1")
        association = entity.associate("127.0.0.1", port, ae_title="DICOMPREP")
        for file in files:
            status = association.send_c_store(file) if association.is_established else None
            if not status or status.Status != 0:
                break
            acknowledged.append(str(dcmread(file, stop_before_pixels=True).SOPInstanceUID))
        association.release() if association.is_established else association.kill()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield acknowledged
    finally:
        thread.join(MAX_SECONDS)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Files to be sent, and the data set of their folder."""
    place = Place(tmp_path_factory.mktemp("folder"))
    make_files(place.source, *(f"s{number % 5}/{number}.dcm{':3' * (number % 7 == 0)}" for number in range(120)))
    place.run(size=224)
    return place


def test_receive(folder: Place, tmp_path: Path, *, moment: int, note: Note) -> None:
    """What was acknowledged is there, whatever happens; when all is sent again, all is as if nothing had happened."""
    files = sorted(folder.source.rglob("*.dcm"))
    kind, chance = kind_of(moment, seed=0)
    place = Place(tmp_path / "a")
    place.base.mkdir()
    shutil.copy(f"{folder.db}.key", f"{place.db}.key")
    with receiving(place, "--every", 0, "--workers", 2) as (run, port):
        with wired(port) as wire, sending(wire.port, files) as acknowledged:
            wait_until(lambda: acknowledged, 20)
            time.sleep(chance.uniform(0, SENDING_SECONDS))
            disturb(run, kind, chance, wire)
        assert set(acknowledged) <= {path.stem for path in place.source.rglob("*.dcm")}
        if kind in ("worker", "cut"):
            run.process.send_signal(signal.SIGTERM)
        end(run, kind)
    with receiving(place, "--every", 0, "--workers", 2) as (run, port):
        assert send(port, folder.source).returncode == 0
        assert wait_until(lambda: place.recorded("files") == len(files), 60)
        run.process.send_signal(signal.SIGTERM)
        end(run, "SIGTERM")
    assert facts(place) == facts(folder)
    assert data_sets(place.source) == data_sets(folder.source)
    place.check()
    note("receive killed or cut at random moments, then resumed", moments=MOMENTS, **NOTHING_WRONG)

"""`dicomprep fetch`: studies of a real PACS come as it keeps them, once, and what does not come is said."""

import csv
import datetime
import re
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from sqlite3 import OperationalError
from typing import Any

import pytest
from pydicom import dcmread

from dicomprep.cli.fetch import fetch as fetch_command
from dicomprep.cli.wanted import Wanted
from dicomprep.dicom import query_retrieve
from dicomprep.dicom.query_retrieve import Listed, Remote
from dicomprep.dicom.sniff import sniff
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.pipeline import fetch as module
from dicomprep.pipeline.fetch import Fetcher, Row, State
from dicomprep.pipeline.hours import Hours
from dicomprep.pipeline.intake import Intake
from dicomprep.storage.spool import Spool
from tests.building import make_dicom
from tests.pacs.conftest import Reference
from tests.pacs.orthanc import Orthanc
from tests.pacs.peers import facts, free_port
from tests.pacs.wire import wired
from tests.running import Place, cli, frames_of, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

EVERYTHING = ("--date", "-20401231")


def fetch(folder: Path, server: Orthanc, *options: object) -> Any:
    return cli(folder, "fetch", "--from", server.remote, *options)


def fetcher_of(server: Orthanc, folder: Path, **options: Any) -> Fetcher:
    intake = Intake(Spool(folder / "in", max_bytes=10**9), notes_syntaxes=True)
    return Fetcher(Remote.parse(server.remote, "DICOMPREP"), intake, **options)


def studies(server: Orthanc) -> list[str]:
    return query_retrieve.find_studies(Remote.parse(server.remote, "DICOMPREP"), {})


def fetch_all(fetcher: Fetcher, server: Orthanc) -> None:
    fetcher.fetch([{"StudyInstanceUID": uid} for uid in studies(server)])


def test_by_c_get_every_instance_comes_as_the_server_keeps_it(
    orthanc: Orthanc, reference: Reference, tmp_path: Path
) -> None:
    """In its own transfer syntax; so images, states, patients and splits are those of a folder. Nothing comes twice."""
    fetcher = fetcher_of(orthanc, tmp_path, associations=3)
    fetch_all(fetcher, orthanc)
    assert fetcher.states == {State.NOT_SAID: len(reference.stored)}
    assert not fetcher.faults
    came = {path.stem: path.read_bytes() for path in fetcher.intake.spool.folder.rglob("*.dcm")}
    assert {uid: sniff(content[: 2**16]).transfer_syntax for uid, content in came.items()} == {
        uid: sniff(content[: 2**16]).transfer_syntax for uid, content in reference.stored.items()
    }
    place = reference.new_place(tmp_path)
    place.run(size=224)
    assert facts(place) == facts(reference.place)
    again = fetcher_of(orthanc, tmp_path)
    fetch_all(again, orthanc)
    assert again.states == {State.HERE: len(reference.stored)}


def test_by_c_move_it_comes_to_a_port_of_ours(orthanc: Orthanc, reference: Reference, tmp_path: Path) -> None:
    options = ("--method", "move", "--port", orthanc.move_to, "--store-only", "--report", "r.csv", "--associations", 2)
    listing = tmp_path / "list.csv"
    listing.write_text("\n".join(["Study Instance UID,comment", *(f"{uid},x" for uid in studies(orthanc))]))
    done = fetch(tmp_path, orthanc, "--list", listing, *options)
    assert done.returncode == 0, done.stderr + done.stdout
    with (tmp_path / "r.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["sop_instance_uid"] for row in rows} == set(reference.stored)
    assert {path.stem for path in (tmp_path / "received").rglob("*.dcm")} == set(reference.stored)


def test_a_study_becomes_images_and_of_a_modality_only_its_series(orthanc: Orthanc, tmp_path: Path) -> None:
    done = fetch(tmp_path, orthanc, *EVERYTHING, "--modality", "MR", "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert "not said by the server" in done.stdout
    assert "Preprocessing complete" in done.stdout
    shown = cli(tmp_path, "status").stdout
    assert "MR" in shown
    assert "CT" not in shown


def test_images_are_made_while_more_is_fetched(orthanc: Orthanc, tmp_path: Path) -> None:
    """The server is held up in the midst of it until there are some; what is done is never fetched again."""
    place = Place(tmp_path)
    where = ("--spool", place.source, "--db", place.db, "--output-dir", place.output, "--workers", 1)

    def some_are_there() -> bool:
        with suppress(OperationalError):  # before the tables are there
            return place.db.is_file() and place.rows("SELECT count(*) FROM frames")[0] > 0
        return False

    seen: list[bool] = []

    def hold_up(total: int) -> bool:
        if total > 200_000 and not seen:
            seen.append(wait_until(some_are_there, 40))
        return False

    with wired(orthanc.dicom) as wire:
        wire.cut = hold_up
        done = fetch(tmp_path, replace(orthanc, dicom=wire.port), *EVERYTHING, "--every", 0, *where)
    assert done.returncode == 0, done.stderr
    assert seen == [True]
    before = facts(place)
    for path in sorted(place.source.rglob("*.dcm"))[::2]:
        path.unlink()
    again = fetch(tmp_path, orthanc, *EVERYTHING, *where)
    assert again.returncode == 0, again.stderr
    assert re.search(r"Instances: \d+ here already, \d+ preprocessed before\n", again.stdout)
    assert facts(place) == before


def test_what_was_corrected_on_the_server_is_noticed_where_that_is_asked_for(orthanc: Orthanc, tmp_path: Path) -> None:
    place = Place(tmp_path)
    file = make_dicom(tmp_path / "first.dcm", frames_of(1)[0], patient_id="WRONG", AccessionNumber="A1")
    wanted = ("--accession", "A1", "--spool", place.source, "--db", place.db, "--output-dir", place.output)
    with orthanc.having(file):
        assert fetch(tmp_path, orthanc, *wanted).returncode == 0
    wrong = place.rows("SELECT key FROM groups")
    corrected = dcmread(file)
    corrected.PatientID = "RIGHT"
    corrected.save_as(file)
    with orthanc.having(file):
        assert "1 here already" in fetch(tmp_path, orthanc, *wanted).stdout
        assert "1 not said" in fetch(tmp_path, orthanc, *wanted, "--refetch").stdout
    assert len(list(place.source.rglob("*.dcm"))) == 1
    right = place.rows("SELECT g.key FROM files f JOIN groups g ON g.id = f.group_id")
    assert len(right) == 1
    assert right != wrong


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"between": "25:00-06:00"}, "--between"),
        ({"from_": "PACS"}, "AET@HOST:PORT"),
        ({"from_": "PACS@192.0.2.1:104", "method": "move"}, "--host 0.0.0.0"),
        ({"associations": 0}, "--associations"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        fetch_command(**{"from_": "A@127.0.0.1:1", "wanted": Wanted(date="20240101")} | options)


def test_a_server_that_does_not_answer_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES_SECONDS", (0.0, 0.0))
    nobody = Orthanc(1, free_port(), 1)
    with pytest.raises(EnvironmentFault, match="does not answer"):
        fetcher_of(nobody, tmp_path).fetch([{"PatientID": "x"}])


def test_what_a_server_promises_and_does_not_send_is_said_and_tried_again(
    orthanc: Orthanc, reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that lists an instance it does not have; the others come."""
    monkeypatch.setattr(module, "PAUSES_SECONDS", (0.0, 0.0))
    asked = []

    def find(remote: Remote, study: str, modalities: object) -> list[Listed]:
        asked.append(study)
        known = query_retrieve.find_instances(remote, study, ())
        return [*known, known[0]._replace(instance="1.2.3.4")]

    monkeypatch.setattr(module, "find_instances", find)
    rows: list[Row] = []
    fetcher = fetcher_of(orthanc, tmp_path, note=rows.append)
    fetcher.fetch([{"StudyInstanceUID": studies(orthanc)[0]}])
    assert [row.sop_instance_uid for row in rows if row.state is State.MISSING] == ["1.2.3.4"]
    assert len(rows) >= 2
    assert sum(fetcher.faults.values()) == 1


def test_a_spool_that_is_full_ends_it(orthanc: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES_SECONDS", (0.0,))
    fetcher = fetcher_of(orthanc, tmp_path)
    fetcher.intake.spool.max_bytes = 5000
    with pytest.raises(EnvironmentFault, match="--max-spool"):
        fetch_all(fetcher, orthanc)


def test_what_the_server_says_of_its_syntax_tells_how_an_instance_came(tmp_path: Path) -> None:
    rows: list[Row] = []
    fetcher = Fetcher(Remote("A", "b", 1, "C"), Intake(Spool(tmp_path, max_bytes=10**9)), note=rows.append)
    for number, (stored, came) in enumerate([(("1.2.1",), "1.2.1"), (("1.2.4",), "1.2.1"), ((), "1.2.1")]):
        fetcher.intake.syntaxes[f"1.{number}"] = came
        assert fetcher._has_come(Listed("1", "1", f"1.{number}", "", stored))
    assert [row.state for row in rows] == [State.AS_STORED, State.TRANSCODED, State.NOT_SAID]


def test_outside_of_its_hours_nothing_is_asked_until_they_begin(
    orthanc: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    with wired(orthanc.dicom) as wire:
        clock = iter([False, False])

        def are_at(_hours: Hours, _seconds: float) -> bool:
            now = next(clock, True)
            assert now or not wire.opened
            return now

        monkeypatch.setattr(Hours, "are_at", are_at)
        fetcher = fetcher_of(
            replace(orthanc, dicom=wire.port), tmp_path, hours=Hours.parse("20:00-06:00"), tell=lines.append
        )
        fetcher.fetch([{"StudyInstanceUID": studies(orthanc)[0]}])
        assert wire.opened
    assert lines[0] == "waiting: only between 20:00-06:00"
    assert fetcher.states


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_associations_than_allowed_are_open_at_a_time(
    orthanc: Orthanc, reference: Reference, tmp_path: Path, most: int
) -> None:
    with wired(orthanc.dicom) as wire:
        fetcher = fetcher_of(replace(orthanc, dicom=wire.port), tmp_path, associations=most)
        fetch_all(fetcher, orthanc)
        assert 1 <= wire.most <= most
        assert wire.opened >= len(studies(orthanc))
    assert fetcher.states.total() == len(reference.stored)


def test_outside_of_its_hours_nothing_is_asked_and_it_can_be_ended(orthanc: Orthanc, tmp_path: Path) -> None:
    now = datetime.datetime.now().astimezone()
    hours = Hours((now + datetime.timedelta(hours=2)).time(), (now + datetime.timedelta(hours=3)).time())
    fetcher = fetcher_of(orthanc, tmp_path, hours=hours)
    threading.Timer(0.3, fetcher.stopped.set).start()
    fetcher.fetch([{"PatientID": "x"}])
    assert not fetcher.states

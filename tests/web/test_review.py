"""Gallery, one image's page, failures, overview, agreement, several classes an image: over real HTTP."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place, cli, frames_of, make_files, set_labels, wait_until

SECRET = "Secret^Name"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("review"))
    make_files(place.source, "a.dcm", "b.dcm", "s/c.dcm", "s/d.dcm")
    make_dicom(place.source / "us" / "x.dcm", frames_of(5, seed=9), patient_id=SECRET, Modality="US")
    (place.source / "text.dcm").write_text("this is no DICOM")
    make_dicom(place.source / "cut.dcm", patient_id=SECRET)
    whole = (place.source / "cut.dcm").read_bytes()
    (place.source / "cut.dcm").write_bytes(whole[:-100])
    place.run()
    return place


@pytest.fixture(scope="module")
def pages(place: Place) -> Iterator[Pages]:
    with serving(place, "--classes", "a,b", "--multi", "--overlap", "100%") as pages:
        yield pages


def ids(place: Place, condition: str) -> list[int]:
    return place.rows(f"SELECT id FROM images WHERE {condition} ORDER BY id")


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("", "1"),
        ("modality=US", "modality = 'US'"),
        ("study=s", "study_id = 's'"),
        ("split=train", "split = 'train'"),
        ("risk=low", "id IN (SELECT id FROM tags WHERE burned_in = 'low')"),
        ("modality=US&split=val", "modality = 'US' AND split = 'val'"),
        ("study=' OR 1=1 --", "0"),
        ("nonsense=1", "1"),
    ],
)
def test_the_gallery_filters(pages: Pages, query: str, condition: str) -> None:
    query = query.replace(" ", "%20")
    wanted = ids(pages.place, condition)
    assert pages.get(f"/gallery/count?{query}") == {"count": len(wanted), "complete": True}
    assert [tile[0] for tile in pages.get(f"/gallery/tiles?{query}&limit=99")] == wanted
    assert [tile[0] for tile in pages.get(f"/gallery/tiles?{query}&start=2&limit=3")] == wanted[2:5]


def test_a_frame_leads_to_its_patient_and_says_how_it_was_made(pages: Pages) -> None:
    cine = ids(pages.place, "modality = 'US'")
    status, content = pages.ask("GET", f"/frame/{cine[0]}")
    assert status == 200
    assert {f"/frame/{frame}".encode() in content for frame in cine} == {True}
    assert b"geometry source shape" in content
    assert b"12, 10" in content
    assert b"flipped" not in content  # it is not
    assert [tile[0] for tile in pages.get(f"/gallery/tiles?patient={cine[3]}")] == cine


def test_several_classes_for_one_image(pages: Pages) -> None:
    frame = ids(pages.place, "study_id = 's'")[0]
    counts = pages.post("/label", "multi", frame=frame, label="b,a")
    assert pages.labels()[frame] == "a,b"
    assert counts["classes"] == {"a": 1, "b": 1}
    assert pages.post("/label", "multi", frame=frame, label="")["classes"] == {"a": 0, "b": 0}
    assert pages.labels()[frame] == ""
    assert pages.post("/label", "multi", frame=frame, label="a,c") == 400
    for _ in range(2):
        pages.post("/undo", "multi")
    pages.post("/leave", "multi")
    assert pages.labels()[frame] is None


def test_what_several_shall_label_comes_to_two_and_not_to_a_third(pages: Pages) -> None:
    for annotator in ("anna", "bert"):
        items = pages.post("/next", annotator, limit=24)["items"]
        assert len(items) == len(pages.labels())
        for item in items:
            differs = annotator == "bert" and item["modality"] == "US"
            pages.post("/label", annotator, frame=item["id"], label="b" if differs else "a")
    for annotator, count in (("carl", 0), ("anna", 9)):
        answer = pages.post("/next", annotator, limit=24)
        assert (answer["items"], answer["mine"]) == ([], count)
    content = pages.ask("GET", "/agreement")[1].decode()
    assert re.search(r"anna and bert</td><td>9</td><td>0\.000 \(poor\)", content)
    assert "9 images with ≥ 2 annotators; full agreement on 4 (44 %)" in content
    assert content.count('<li><a href="./?image=') == 5
    disputed = [tile[0] for tile in pages.get("/gallery/tiles?state=disputed")]
    assert disputed == ids(pages.place, "modality = 'US'")
    assert pages.get("/gallery/count?state=labelled") == {"count": 9, "complete": True}
    assert pages.get("/gallery/tiles?label=b") == []  # nobody has decided yet


def test_failures_are_grouped_and_explained(pages: Pages) -> None:
    status, content = pages.ask("GET", "/failures?code=truncated")
    assert status == 200
    for word in (b"not_dicom", b"truncated", b"cut.dcm", b"Transfer the file again", b"Retry 1 file<"):
        assert word in content
    (cut,) = pages.place.rows("SELECT id FROM files WHERE path = 'cut.dcm'")
    inspected = pages.ask("GET", f"/failures/{cut}")[1]
    assert b"Transfer syntax" in inspected
    assert b"[truncated]" in inspected


def test_failed_inputs_are_tried_again_unless_a_run_is_going(pages: Pages) -> None:
    assert pages.post("/failures/retry", code="nonsense") == 400
    with FileLock(pages.place.output / ".dicomprep.lock"):
        assert pages.post("/failures/retry", code="truncated") == 400
    make_dicom(pages.place.source / "cut.dcm", patient_id=SECRET)
    assert pages.post("/failures/retry", code="truncated")["running"] is True
    assert pages.post("/failures/retry", code="truncated") == 400
    assert wait_until(lambda: not pages.get("/failures/state")["running"], 60)
    assert pages.place.statuses()["cut.dcm"] == ("done", None)
    assert "done" in " ".join(pages.get("/failures/state")["lines"])


def test_the_overview_draws_what_there_is(pages: Pages) -> None:
    status, content = pages.ask("GET", "/overview")
    assert (status, content.count(b"<svg")) == (200, 9)
    (done,) = pages.place.rows("SELECT count(*) FROM files WHERE status = 'done'")
    for words in (f"done: {done}".encode(), b"US: 5", b"not_dicom: 1"):
        assert words in content


def test_the_report_is_one_file_that_names_nobody(pages: Pages) -> None:
    name = pages.place.rows("SELECT filename FROM images ORDER BY id")[0]
    for annotator, label in (("anna", "a"), ("bert", "b")):
        set_labels(pages.place, {name: label}, annotator=annotator)
    out = pages.place.base / "report.html"
    done = cli(pages.place.base, "report", out, "--db", pages.place.db)
    assert done.returncode == 0, done.stderr
    html = out.read_text()
    assert html.count("<svg") == 9
    assert "annotator 1 and annotator 2" in html
    keys = pages.place.rows("SELECT key FROM groups")
    uids = pages.place.rows("SELECT sop_instance_uid FROM files WHERE sop_instance_uid IS NOT NULL")
    paths = pages.place.rows("SELECT path FROM files")
    for secret in (*keys, *uids, *paths, SECRET, str(pages.place.base), "anna", "bert", "in/a"):
        assert secret not in html, secret
    assert not re.search(r"(?:src|href)=|url\(|@import|<script", html)


def test_a_report_without_a_place_or_a_database_is_a_mistake(place: Place) -> None:
    for arguments in (("nowhere/x.html", "--db", place.db), ("x.html", "--db", "no.db")):
        assert cli(place.base, "report", *arguments).returncode == 2


def test_what_is_no_more_gives_its_label_to_no_other_image(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_dicom(place.source / "x.dcm", frames_of(3))
    place.run()
    last = ids(place, "1")[-1]
    with closing(sqlite3.connect(place.db)) as connection, connection:
        row = (last, "a", "me", "2026-01-01T00:00:00")
        connection.execute("INSERT INTO labels (frame_id, label, annotator, created_at) VALUES (?, ?, ?, ?)", row)
    assert place.rows("SELECT label FROM images ORDER BY id") == [None, None, "a"]
    make_dicom(place.source / "x.dcm", frames_of(2, seed=5))
    place.run()
    make_dicom(place.source / "y.dcm", frames_of(2, seed=6))
    place.run()
    assert place.rows("SELECT label FROM images ORDER BY id") == [None] * 4
    assert place.rows("SELECT frame_id < 0, label FROM labels") == [(1, "a")]  # it waits for its picture

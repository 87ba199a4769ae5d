"""What the pages send counts once and for the picture that was seen: over real HTTP, with restarts between."""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dicomprep.database.connection import connect
from dicomprep.database.migrations import m0006_commands
from tests.building import make_dicom
from tests.pages import Pages, free_port, serving
from tests.running import Place, cli, frames_of, make_files

OPTIONS = ("--classes", "biopsy,Mag View")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    make_files(place.source, "a.dcm", "b.dcm", "c.dcm", "d.dcm")
    place.run()
    return place


@pytest.fixture
def pages(place: Place) -> Iterator[Pages]:
    with serving(place, *OPTIONS) as pages:
        yield pages


def command() -> str:
    return uuid.uuid4().hex


def digest_of(pages: Pages, frame: int) -> str:
    (digest,) = pages.place.rows(f"SELECT hex(digest) FROM frames WHERE id = {frame}")
    return str(digest).lower()


def test_a_label_that_is_sent_twice_counts_once_also_after_a_restart(place: Place) -> None:
    port, sent = free_port(), {"frame": 1, "label": "biopsy", "command": command()}
    with serving(place, *OPTIONS, port=port) as pages:
        for _ in range(3):
            assert pages.post("/label", **sent)["labelled"] == 1
        pages.post("/label", frame=1, label="Mag View", command=command())
    with serving(place, *OPTIONS, port=port) as pages:
        assert pages.post("/label", **sent)["labelled"] == 1
        assert pages.labels()[1] == "Mag View"
        assert pages.post("/label", "anna", **sent)["labelled"] == 0  # the id is another one's, too; now they differ
    assert place.rows("SELECT label FROM labels ORDER BY id") == ["biopsy", "Mag View", "biopsy"]


def test_an_undo_that_is_sent_twice_takes_back_one_thing_also_after_a_restart(place: Place) -> None:
    port, once = free_port(), command()
    with serving(place, *OPTIONS, port=port) as pages:
        for frame in (1, 2, 3):
            pages.post("/label", frame=frame, label="biopsy")
        assert [pages.post("/undo", command=once)["item"]["id"] for _ in range(3)] == [3, 3, 3]
    with serving(place, *OPTIONS, port=port) as pages:
        assert pages.post("/undo", command=once)["item"]["id"] == 3
        assert [frame for frame, label in pages.labels().items() if label] == [1, 2]
        assert pages.post("/undo", command=command())["item"]["id"] == 2
        assert pages.get("/progress")["labelled"] == 1


def test_an_undo_of_nothing_stays_that(pages: Pages) -> None:
    once = command()
    assert pages.post("/undo", command=once)["item"] is None
    pages.post("/label", frame=1, label="biopsy")
    assert pages.post("/undo", command=once)["item"] is None
    assert pages.labels()[1] == "biopsy"


def test_a_skip_that_is_sent_again_after_it_was_taken_back_stays_so(pages: Pages) -> None:
    once = command()
    pages.post("/skip", frame=1, command=once)
    assert pages.post("/undo", command=command())["item"]["id"] == 1
    pages.post("/skip", frame=1, command=once)
    assert 1 in pages.next(limit=9)


def test_undo_takes_back_the_last_thing_done_whatever_it_was(place: Place) -> None:
    port = free_port()
    with serving(place, *OPTIONS, port=port) as pages:
        pages.post("/skip", frame=1)
        pages.post("/label", frame=2, label="biopsy")
        pages.post("/skip", frame=3)
        pages.post("/skip", frame=2)
        pages.post("/label", "anna", frame=4, label="biopsy")
    with serving(place, *OPTIONS, port=port) as pages:
        seen = []
        for _ in range(5):
            item = pages.post("/undo", command=command())["item"]
            passed = pages.place.rows("SELECT frame_id FROM passed WHERE annotator = 'me' ORDER BY frame_id")
            seen.append((item and item["id"], passed, pages.labels()[2]))
        assert seen == [
            (2, [1, 3], "biopsy"),
            (3, [1], "biopsy"),
            (2, [1], None),
            (1, [], None),
            (None, [], None),
        ]
        assert pages.labels()[4] == "biopsy"


def test_taking_back_a_label_leaves_a_skip_of_the_same_image(pages: Pages) -> None:
    pages.post("/skip", frame=1)
    pages.post("/label", frame=1, label="biopsy")
    assert pages.post("/undo")["item"]["id"] == 1
    assert pages.place.rows("SELECT frame_id FROM passed") == [1]
    pages.post("/undo")
    assert pages.place.rows("SELECT frame_id FROM passed") == []


def test_skips_of_before_have_their_place_among_the_labels(place: Place) -> None:
    with serving(place, *OPTIONS):
        pass
    events = [("a", "2026-01-01T10:00:00"), ("b", "2026-01-01T12:00:00")]
    with closing(sqlite3.connect(place.db)) as connection, connection:
        connection.execute("DROP TABLE commands")
        connection.execute("INSERT INTO classes (name, created_at) VALUES ('biopsy', '')")
        for frame, (_, time) in enumerate(events, 1):
            row = (frame, "biopsy", "me", time)
            connection.execute("INSERT INTO labels (frame_id, label, annotator, created_at) VALUES (?, ?, ?, ?)", row)
        for frame, time in ((3, "2026-01-01T11:00:00"), (2, "2026-01-01T12:00:00")):
            connection.execute("INSERT INTO passed VALUES (?, 'me', ?)", (frame, time))
    engine = connect(place.address)
    with engine.begin() as connection:
        m0006_commands.upgrade(connection)
        for name in ("annotation_id", "unit_label_id", "class_id"):  # of later steps
            connection.exec_driver_sql(f"ALTER TABLE commands ADD COLUMN {name} INTEGER")
        connection.exec_driver_sql("ALTER TABLE commands ADD COLUMN undid TEXT")
    engine.dispose()
    with serving(place) as pages:
        assert [pages.post("/undo")["item"]["id"] for _ in range(3)] == [2, 3, 1]
        assert pages.post("/undo")["item"] is None


@pytest.mark.parametrize("key", ["", "a b", "x" * 65, 7, ["a"], "é"])
def test_what_is_no_id_of_a_command_is_refused(pages: Pages, key: object) -> None:
    assert pages.post("/label", frame=1, label="biopsy", command=key) == 400
    assert not any(pages.labels().values())


def test_an_address_of_an_image_holds_its_digest_and_is_that_picture_for_ever(pages: Pages) -> None:
    digest = digest_of(pages, 1)
    status, content = pages.ask("GET", f"/image/1?v={digest}")
    assert (status, pages.headers["cache-control"]) == (200, "private, no-cache")
    held = {"If_None_Match": pages.headers["etag"]}
    assert pages.ask("GET", f"/image/1?v={digest}", **held) == (304, b"")
    assert pages.headers["cache-control"] == "private, no-cache"
    assert pages.ask("GET", f"/image/2?v={digest_of(pages, 2)}", **held)[0] == 200
    assert pages.ask("GET", "/image/1", **held) == (200, content)
    assert pages.headers["cache-control"] == "no-store"
    for wrong in ("", "0" * 32, digest_of(pages, 2), digest.upper()[:-1], f"{digest}0"):
        assert pages.ask("GET", f"/image/1?v={wrong}")[0] == 404
        assert pages.headers["cache-control"] == "no-store"
    for path in ("/original/1/pixels", "/original/1/tags"):
        assert pages.ask("GET", f"{path}?v={digest}")[0] == 200
        assert pages.headers["cache-control"] == "no-store"
        assert pages.ask("GET", f"{path}?v={digest_of(pages, 2)}")[0] == 404


def test_every_page_has_the_digests_in_its_addresses(pages: Pages) -> None:
    digests = {frame: digest_of(pages, frame) for frame in pages.labels()}
    answer = pages.post("/next", limit=2, held=[4])
    shown = {4, *(one for item in answer["items"] for one in (item["id"], *item["strip"]))}
    assert answer["digests"] == {str(frame): digests[frame] for frame in shown}
    assert [(tile[0], tile[4]) for tile in pages.get("/gallery/tiles")] == list(digests.items())
    assert f"/image/1?v={digests[1]}".encode() in pages.ask("GET", "/frame/1")[1]
    assert f'data-digest="{digests[1]}"'.encode() in pages.ask("GET", "/original/1")[1]
    for annotator, label in (("me", "biopsy"), ("anna", "Mag View")):
        pages.post("/label", annotator, frame=2, label=label)
    assert f"/image/2?v={digests[2]}".encode() in pages.ask("GET", "/agreement")[1]


def test_a_picture_that_was_made_anew_is_not_taken_for_the_one_before(pages: Pages) -> None:
    before = digest_of(pages, 1)
    place = pages.place
    options = ("--output-dir", place.output, "--db", place.db, "--size", "64")
    assert cli(place.base, "preprocess", place.source, *options).returncode == 0
    after = digest_of(pages, 1)
    assert before != after
    assert [pages.ask("GET", f"/image/1?v={digest}")[0] for digest in (before, after)] == [404, 200]
    assert pages.post("/label", frame=1, label="biopsy", digest=before) == 409
    assert pages.post("/label", frame=1, label="biopsy", digest=after)["labelled"] == 1


def test_a_page_of_another_data_set_changes_nothing(place: Place, tmp_path: Path) -> None:
    port, other = free_port(), Place(tmp_path / "other")
    other.base.mkdir()
    make_files(other.source, "a.dcm", "b.dcm", seed=50)
    other.run()
    found = []
    for one in (place, other):
        with serving(one, *OPTIONS, port=port) as pages:
            found.append(pages.ask("GET", "/")[1].decode().partition('data-dataset="')[2].partition('"')[0])
            pages.post("/label", frame=1, label="biopsy", dataset=found[-1])
            for path in ("/undo", "/skip", "/label", "/next", "/leave", "/classes"):
                status = pages.post(path, frame=2, label="biopsy", name="x", dataset=found[0])
                assert (status == 409) == (one is other), path
    assert len({*found}) == 2
    assert other.rows("SELECT frame_id, label FROM labels") == [(1, "biopsy")]


@pytest.mark.parametrize("damage", ["removed", "cut", "replaced", "folder"])
def test_an_image_that_is_not_there_takes_no_label(pages: Pages, damage: str) -> None:
    (name,) = pages.place.rows("SELECT thumbnail_path FROM images WHERE id = 1")
    path = pages.place.output / str(name)
    whole, other = path.read_bytes(), sorted(pages.place.images().values())[0]
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "removed":
        path.write_bytes(whole[:-20] if damage == "cut" else other if other != whole else whole + b"x")
    assert pages.ask("GET", "/image/1")[0] == 404
    assert pages.post("/label", frame=1, label="biopsy") == 409
    assert pages.place.rows("SELECT id FROM labels") == []
    if damage == "folder":
        path.rmdir()
    path.write_bytes(whole)
    assert pages.post("/label", frame=1, label="biopsy")["labelled"] == 1


def test_classes_are_stored_with_the_first_label_and_not_before(place: Place) -> None:
    with serving(place, "--classes", "typo") as pages:
        assert b'data-label="typo"' in pages.ask("GET", "/")[1]
        pages.next(limit=1)
        pages.post("/skip", frame=1)
    assert place.rows("SELECT name FROM classes") == []
    with serving(place) as pages:
        assert b'data-label="abnormal"' in pages.ask("GET", "/")[1]
    with serving(place, "--classes", "李雷,Mag View,biopsy") as pages:
        assert pages.post("/label", frame=1, label="typo") == 400
        assert pages.post("/label", frame=1, label="biopsy")["classes"] == {"李雷": 0, "Mag View": 0, "biopsy": 1}
    assert place.rows("SELECT name FROM classes ORDER BY id") == ["李雷", "Mag View", "biopsy"]
    with serving(place, "--classes", "later,biopsy") as pages:
        html = pages.ask("GET", "/")[1].decode()
        assert [html.index(f'data-label="{name}"') for name in ("李雷", "Mag View", "biopsy", "later")] == sorted(
            html.index(f'data-label="{name}"') for name in ("李雷", "Mag View", "biopsy", "later")
        )
    assert len(place.rows("SELECT name FROM classes")) == 3


def test_names_that_are_one_for_people_are_one_class(place: Place) -> None:
    for names in ("Normal,normal", "Stra\u00dfe,STRASSE", "Cafe\u0301,CAF\u00c9"):
        done = cli(place.base, "label", "--db", place.db, "--classes", names)
        assert (done.returncode, "differ only in case" in done.stderr) == (2, True), names
    done = cli(place.base, "label", "--db", place.db, "--classes", "Caf\u00e9,Cafe\u0301")
    assert (done.returncode, "different classes" in done.stderr) == (2, True)
    with serving(place, "--classes", "Caf\u00e9") as pages:
        pages.post("/label", frame=1, label="Caf\u00e9")
        assert pages.post("/classes", name="CAF\u00c9") == 400
        assert pages.post("/classes", name="Cafe\u0301")["classes"] == ["Caf\u00e9"]
    done = cli(place.base, "label", "--db", place.db, "--classes", "caf\u00e9")
    assert (done.returncode, "differ only in case" in done.stderr) == (2, True)


def test_a_class_with_a_comma_is_named(place: Place) -> None:
    (place.base / "dicomprep.toml").write_text('[label]\nclasses = ["a, b", "c"]\n')
    done = cli(place.base, "label", "--db", place.db)
    assert (done.returncode, "comma" in done.stderr) == (2, True)


def test_frames_of_a_cine_have_addresses_of_their_own(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_dicom(place.source / "x.dcm", frames_of(3, seed=9), patient_id="Cine", Modality="US")
    place.run()
    with serving(place) as pages:
        answer = pages.post("/next", limit=9)
        assert len({*answer["digests"].values()}) == 3

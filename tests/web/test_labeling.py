"""The labeling page over real HTTP: which image comes next, what is recorded, what an undo takes back."""

import sqlite3
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from markupsafe import escape

from dicomprep import ConfigError, LabelError
from dicomprep.cli.label import label
from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place, call, cli, frames_of, make_files, wait_until

CLASSES = "biopsy,mag view"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Seven patients of one image and one of six."""
    place = Place(tmp_path_factory.mktemp("label"))
    make_files(place.source, *(f"{name}.dcm" for name in "abcdefg"))
    view = {"ViewPosition": "MLO", "ImageLaterality": "L"}
    make_dicom(place.source / "cine" / "x.dcm", frames_of(6, seed=9), patient_id="Cine", Modality="US", **view)
    place.run()
    return place


@pytest.fixture(scope="module")
def pages(place: Place) -> Iterator[Pages]:
    with serving(place, "--classes", CLASSES) as pages:
        yield pages


@pytest.fixture(autouse=True)
def _without_labels(pages: Pages) -> None:
    for annotator in ("me", "anna"):
        while pages.post("/undo", annotator)["item"] is not None:
            pass
    assert not any(pages.labels().values())
    execute(pages, "DELETE FROM reservations", "DELETE FROM passed")


def execute(pages: Pages, *statements: str) -> None:
    with closing(sqlite3.connect(pages.place.db, timeout=30)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def release(pages: Pages) -> None:
    """Nothing is reserved for anyone."""
    execute(pages, "DELETE FROM reservations")


def test_the_first_image_of_every_patient_comes_before_the_second_of_any(pages: Pages) -> None:
    order = pages.next(limit=13)
    patients = dict(pages.place.rows("SELECT id, patient_key FROM images"))
    assert len(order) == len(set(order)) == 13
    assert len({patients[frame] for frame in order[:8]}) == 8
    assert order != sorted(order)
    assert order == pages.next(limit=13)


def test_an_item_says_what_the_image_is_and_what_lies_beside_it(pages: Pages) -> None:
    items = {item["id"]: item for item in pages.post("/next", limit=13)["items"]}
    cine = pages.place.rows("SELECT id FROM images WHERE modality = 'US' ORDER BY frame_number")
    third = items[cine[2]]
    assert (third["modality"], third["frame"], third["frames"], third["strip"]) == ("US", 3, 6, cine)
    assert third["view"] == "L MLO"
    assert (third["name"], third["mine"], third["prediction"]) == ("cine/x_frame0002", None, None)


def test_a_label_is_recorded_with_its_annotator_and_time(pages: Pages) -> None:
    (frame,) = pages.next(limit=1)
    counts = pages.post("/label", "anna", frame=frame, label="mag view")
    assert (counts["total"], counts["labelled"]) == (13, 1)
    assert counts["classes"] == {"biopsy": 0, "mag view": 1}
    assert pages.labels()[frame] == "mag view"
    event = pages.place.rows("SELECT frame_id, label, annotator, undoes, created_at FROM labels ORDER BY id DESC")[0]
    assert event[:4] == (frame, "mag view", "anna", None)
    assert event[4].startswith("20")
    assert frame not in pages.next(limit=13)


def test_undo_goes_back_step_by_step_and_loses_nothing(pages: Pages) -> None:
    before = pages.place.rows("SELECT * FROM labels ORDER BY id")
    first, second = pages.next(limit=2)
    for frame, name in ((first, "biopsy"), (second, "biopsy"), (first, "mag view")):
        pages.post("/label", frame=frame, label=name)
    seen = []
    for _ in range(3):
        item = pages.post("/undo")["item"]
        seen.append((item["id"], item["mine"], pages.labels()[first], pages.labels()[second]))
    assert seen == [
        (first, "biopsy", "biopsy", "biopsy"),
        (second, None, "biopsy", None),
        (first, None, None, None),
    ]
    assert pages.post("/undo")["item"] is None
    after = pages.place.rows("SELECT * FROM labels ORDER BY id")
    assert after[: len(before)] == before
    assert len(after) == len(before) + 6


def test_undo_takes_back_only_what_is_ones_own(pages: Pages) -> None:
    first, second = pages.next(limit=2)
    pages.post("/label", "me", frame=first, label="biopsy")
    pages.post("/label", "anna", frame=second, label="biopsy")
    assert pages.post("/undo", "me")["item"]["id"] == first
    assert (pages.labels()[first], pages.labels()[second]) == (None, "biopsy")


def test_what_is_skipped_comes_to_others_but_not_again(pages: Pages) -> None:
    (frame,) = pages.next(limit=1)
    pages.post("/skip", frame=frame)
    assert frame not in pages.next(limit=13)
    release(pages)
    assert pages.next("anna", limit=1) == [frame]
    release(pages)
    pages.post("/skip", frame=frame, again=True)
    assert pages.next(limit=1) == [frame]


def test_two_annotators_are_never_given_the_same_image(pages: Pages) -> None:
    mine, hers = pages.next("me", limit=5), pages.next("anna", limit=5)
    assert len({*mine, *hers}) == 10
    assert pages.next("me", limit=5) == mine
    assert set(pages.next("me", limit=13)) == set(pages.labels()) - set(hers)
    assert set(hers) <= set(pages.next("anna", limit=13))


def test_who_would_have_to_wait_gets_what_others_have_far_ahead(pages: Pages) -> None:
    hers = pages.next("anna", limit=13)
    mine = pages.next("me", limit=5)
    assert mine == hers[8:]
    again = pages.post("/next", "anna", held=hers, limit=1)
    assert (again["lost"], again["items"]) == (sorted(mine), [])
    assert set(pages.next("me", held=mine, limit=5)) == set()


def test_a_reservation_runs_out(pages: Pages) -> None:
    (mine,) = pages.next("me", limit=1)
    assert pages.next("anna", limit=1) != [mine]
    execute(pages, "UPDATE reservations SET until = 1")
    assert pages.next("anna", limit=1) == [mine]


def test_who_leaves_gives_back_what_he_had(pages: Pages) -> None:
    mine = pages.next("me", limit=5)
    assert set(pages.next("anna", limit=5)).isdisjoint(mine)
    pages.post("/leave", "me")
    assert set(mine) < set(pages.next("anna", limit=13))


def test_images_of_a_later_run_come_too(pages: Pages) -> None:
    make_files(pages.place.source, "later.dcm", seed=77)
    pages.place.run()
    assert wait_until(lambda: pages.get("/progress")["total"] == 14, 30)
    (later,) = pages.place.rows("SELECT id FROM images WHERE filename LIKE '%later'")
    assert later in pages.next(limit=14)
    (pages.place.source / "later.dcm").unlink()


def test_classes_are_kept_and_can_grow(pages: Pages) -> None:
    grown = pages.post("/classes", name="new <one>")["classes"]
    assert grown == ["biopsy", "mag view", "new <one>"]
    assert pages.post("/classes", name="new <one>")["classes"] == grown
    frame = pages.next(limit=1)[0]
    assert pages.post("/label", frame=frame, label="new <one>")["classes"]["new <one>"] == 1
    assert b"new &lt;one&gt;" in pages.ask("GET", "/")[1]


@pytest.mark.parametrize(
    "body",
    [{"label": "other"}, {"label": ""}, {"label": "biopsy,mag view"}, {"frame": "1"}, {"frame": 9999}, {"frame": None}],
)
def test_what_is_no_label_of_an_image_is_refused(pages: Pages, body: dict[str, object]) -> None:
    frame = pages.next(limit=1)[0]
    assert pages.post("/label", **({"frame": frame, "label": "biopsy"} | body)) == 400
    assert not any(pages.labels().values())


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b'{"annotator": ""}', b'{"annotator": "' + b"a" * 70000 + b'"}'])
def test_what_is_no_request_is_refused(pages: Pages, body: bytes) -> None:
    assert pages.ask("POST", "/next", body, Origin=pages.origin)[0] == 400


def test_an_image_is_the_thumbnail_itself(pages: Pages) -> None:
    status, content = pages.ask("GET", f"/image/{pages.next(limit=1)[0]}")
    assert (status, pages.headers["content-type"]) == (200, "image/png")
    assert content in pages.place.images().values()


@pytest.mark.parametrize(
    "options",
    [
        {"classes": ","},
        {"classes": "a,a"},
        {"db": "no.db"},
        {"order": "random"},
        {"order": "confident"},
        {"order": "uncertainty"},
        {"overlap": "200%"},
        {"raters": 1},
        {"model": "x"},
        {"token": "short"},
        {"port": 0},
        {"port": -1},
        {"port": 99999},
        {"host": "nonsense.invalid"},
        {"host": "192.0.2.1"},
        {"host": "a..b"},
        {"host": ""},
        {"overlap": "-1%"},
        {"overlap": "100.1%"},
        {"overlap": "many"},
        {"raters": 0},
        {"raters": 21},
        {"annotator": "a,b"},
        {"annotator": " "},
    ],
)
def test_a_mistake_is_named_before_anything_is_served(place: Place, options: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, LabelError)):
        label(**({"db": str(place.db)} | options))


def test_a_mistake_is_a_sentence_and_not_a_traceback(place: Place) -> None:
    done = cli(place.base, "label", "--db", place.db, "--classes", ",")
    assert (done.returncode, done.stderr.startswith("Error: ")) == (2, True)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--port", "99999"), 2),
        (("--port", "0"), 2),
        (("--port", "-1"), 2),
        (("--port", "many"), 2),
        (("--host", "nonsense.invalid"), 2),
        (("--host", "192.0.2.1"), 2),
        (("--host", "x" * 70), 2),
        (("--overlap", "101%"), 2),
        (("--raters", "1"), 2),
        (("--raters", "two"), 2),
    ],
)
def test_where_to_listen_is_said_in_a_sentence(place: Place, options: tuple[str, ...], code: int) -> None:
    done = cli(place.base, "label", "--db", place.db, *options)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert options[0] in done.stderr


PEOPLE = ["Łukasz", "李雷", "محمد علي", "José", "👩\u200d⚕️ Eva", "100 %+1", 'O\'Neil "Ann"', "a;b=c&d", "علی\u200cرضا"]


@pytest.mark.parametrize("name", PEOPLE)
def test_annotators_have_names_in_any_script(pages: Pages, name: str) -> None:
    body = {"name": f" {name} "}
    status, _ = pages.ask("POST", "/annotator", body, Origin=pages.origin)
    assert status == 200
    cookie = pages.headers["set-cookie"].partition(";")[0]
    attribute = f'data-annotator="{escape(unicodedata.normalize("NFC", name))}"'.encode()
    for path in ("/", "/gallery", "/agreement", "/overview"):
        assert attribute in pages.ask("GET", path, Cookie=cookie)[1]
        assert attribute in pages.ask("GET", f"{path}?annotator={quote(name)}")[1]
    (frame,) = pages.next(name, limit=1)
    assert pages.post("/label", name, frame=frame, label="biopsy") != 400
    assert attribute.removeprefix(b"data-annotator=").strip(b'"') in pages.ask("GET", f"/frame/{frame}")[1]
    assert pages.post("/undo", unicodedata.normalize("NFD", name))["item"]["id"] == frame


def test_a_name_is_one_however_it_was_composed(pages: Pages) -> None:
    (frame,) = pages.next("Müller", limit=1)
    for form in ("NFC", "NFD"):
        pages.post("/label", unicodedata.normalize(form, "Müller"), frame=frame, label="biopsy")
    assert len(pages.place.rows("SELECT DISTINCT annotator FROM labels WHERE annotator LIKE 'M%ller'")) == 1
    assert pages.ask("POST", "/undo", {"annotator": "Müller"}, Origin=pages.origin)[0] == 200
    assert pages.ask("POST", "/undo", {"annotator": "Müller"}, Origin=pages.origin)[0] == 200


def test_a_cookie_that_is_no_name_is_none(pages: Pages) -> None:
    pages.ask("POST", "/annotator", {"name": "anna"}, Origin=pages.origin)
    cookie = pages.headers["set-cookie"].partition("=")[0]
    assert b'data-annotator="anna"' in pages.ask("GET", "/", Cookie=f"{cookie}=anna")[1]
    for value in ("a%2Cb", "%0A", "x" * 70, "%20"):
        status, content = pages.ask("GET", "/", Cookie=f"{cookie}={value}")
        assert (status, b'data-annotator="me"' in content) == (200, True), value


def test_a_port_in_use_is_named(pages: Pages) -> None:
    command = [sys.executable, "-m", "dicomprep", "label", "--db", str(pages.place.db), "--port", str(pages.port)]
    done = call(command, pages.place.base)
    assert (done.returncode, f"Port {pages.port} cannot be used" in done.stderr) == (3, True)


def test_classes_can_stand_in_a_file(place: Place, tmp_path: Path) -> None:
    (tmp_path / "dicomprep.toml").write_text('size = 64\n[label]\nclasses = ["a", "a"]\n')
    done = cli(tmp_path, "label", "--db", place.db)
    assert (done.returncode, "different classes" in done.stderr) == (2, True)
    (tmp_path / "dicomprep.toml").write_text("[label]\nnonsense = 1\n")
    done = cli(tmp_path, "label", "--db", place.db)
    assert (done.returncode, "unknown option nonsense" in done.stderr) == (2, True)

"""The queue over real HTTP: any image opened, all of one's labels gone back to, conditions, skips, unsure and notes."""

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

import dicomprep
from dicomprep import ConfigError
from dicomprep.cli.label import label
from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place, cli, frames_of, make_files

OPTIONS = ("--classes", "biopsy,mag view")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Images 1 to 15: nine patients of one image and a cine of six frames; and a copy of a file, hidden."""
    place = Place(tmp_path_factory.mktemp("Schlange"))
    make_files(place.source, *(f"{name}.dcm" for name in "abcdefghi"))
    make_dicom(place.source / "cine" / "x.dcm", frames_of(6, seed=9), patient_id="Cine", Modality="US")
    place.run()
    (place.source / "z copy.dcm").write_bytes((place.source / "a.dcm").read_bytes())
    place.run()  # so that what is hidden has the last number
    return place


@pytest.fixture(scope="module")
def serving_all(place: Place) -> Iterator[Pages]:
    with serving(place, *OPTIONS) as pages:
        yield pages


@pytest.fixture
def pages(serving_all: Pages) -> Pages:
    """Without labels, skips and reservations."""
    tables = ("labels", "standing", "passed", "reservations", "commands")
    with closing(sqlite3.connect(serving_all.place.db, timeout=30)) as connection, connection:
        for table in tables:
            connection.execute(f"DELETE FROM {table}")
        connection.execute("UPDATE catalogue SET votes = 0, disputed = 0, first_by = NULL, label = NULL")
    return serving_all


def ids(answer: dict[str, Any]) -> list[int]:
    return [item["id"] for item in answer["items"]]


def test_any_image_can_be_opened_whatever_it_is(pages: Pages) -> None:
    pages.post("/label", frame=1, label="biopsy", unsure=True, note="zwei\nZeilen 李")
    pages.post("/skip", frame=2)
    first = pages.get("/item/1")
    assert (first["item"]["mine"], first["item"]["unsure"], first["item"]["note"]) == (
        "biopsy",
        True,
        "zwei\nZeilen 李",
    )
    assert first["notices"] == []
    assert pages.get("/item/2")["notices"] == ["You skipped this image."]
    assert pages.get("/item/2?annotator=anna")["notices"] == []
    assert pages.get("/item/1?annotator=anna")["item"]["mine"] is None
    assert pages.ask("GET", "/item/99999")[0] == 404
    assert b'data-opened="7"' in pages.ask("GET", "/?image=7")[1]
    assert pages.ask("GET", "/?image=x")[0] == 400


def test_a_hidden_duplicate_names_its_original(pages: Pages) -> None:
    joined = "FROM frames JOIN files ON files.id = file_id"
    (hidden,) = pages.place.rows(f"SELECT frames.id {joined} WHERE duplicate_of IS NOT NULL")
    (original,) = pages.place.rows("SELECT id FROM images WHERE filename LIKE '%/a' OR filename LIKE '%/z copy'")
    answer = pages.get(f"/item/{hidden}")
    assert (answer["item"], answer["original"]) == (None, original)
    assert "duplicate" in answer["notices"][0]


def test_an_image_that_is_held_back_says_so(pages: Pages) -> None:
    statements = (
        "UPDATE frames SET burned_in = 'high' WHERE id = 5",
        "INSERT INTO meta VALUES ('hold_burned_in', '1')",
        "UPDATE frames SET burned_in = NULL WHERE id = 5",
        "DELETE FROM meta WHERE key = 'hold_burned_in'",
    )
    with closing(sqlite3.connect(pages.place.db, timeout=30)) as connection:
        for statement in statements[:2]:
            connection.execute(statement)
        connection.commit()
        answer = pages.get("/item/5")
        for statement in statements[2:]:
            connection.execute(statement)
        connection.commit()
    assert "Held back" in answer["notices"][0]
    assert answer["item"]["id"] == 5


def test_the_way_back_leads_through_all_labels(pages: Pages) -> None:
    order = [3, 1, 9, 2, 14, 7, 12]
    for frame in order:
        pages.post("/label", frame=frame, label="biopsy")
    pages.post("/label", frame=3, label="mag view")  # changed: it is the last one now
    order = [*order[1:], 3]
    answer = pages.post("/next", history=True, limit=1)
    assert [item["id"] for item in answer["past"]] == order
    assert answer["before"] is None
    events = pages.place.rows("SELECT frame_id, max(id) FROM labels GROUP BY frame_id ORDER BY 2")
    older = pages.get(f"/history?before={dict(events)[14]}")
    assert [item["id"] for item in older["past"]] == order[: order.index(14)]
    assert {str(frame) for frame in order[: order.index(14)]} <= set(older["digests"])
    assert pages.get("/history?annotator=anna")["past"] == []


@pytest.mark.parametrize(
    ("asked", "condition"),
    [
        ({"modality": "US"}, "modality = 'US'"),
        ({"where": "frame_number >= 2 AND modality = 'US'"}, "frame_number >= 2 AND modality = 'US'"),
        ({"where": "NOT modality = 'US'", "split": "train"}, "modality != 'US' AND split = 'train'"),
        ({"patient": "CINE"}, "modality = 'US'"),
        ({"state": "unlabelled"}, "1"),
        ({"study": "cine"}, "study_id = 'cine'"),
        ({"kind": "localizer"}, "0"),
        ({"risk": "high"}, "0"),
    ],
    ids=str,
)
def test_the_queue_takes_what_the_gallery_filters_by(pages: Pages, asked: dict[str, str], condition: str) -> None:
    wanted = set(pages.place.rows(f"SELECT id FROM images WHERE {condition}"))
    if "patient" in asked:
        asked = {"patient": str(min(wanted))}
    answer = pages.post(f"/next?{urlencode(asked)}", limit=24)
    assert set(ids(answer)) == wanted
    assert (answer["total"], answer["complete"]) == (len(wanted), True)
    tiles = pages.get(f"/gallery/tiles?{urlencode(asked)}")
    assert {tile[0] for tile in tiles} == wanted
    html = pages.ask("GET", f"/?{urlencode(asked)}")[1].decode()
    query = html.partition('data-query="')[2].partition('"')[0]
    assert (dict(parse_qsl(unescape(query))), '<a href="./">Clear</a>' in html) == (asked, True)


def test_counts_are_those_of_the_condition_and_of_the_reader(pages: Pages) -> None:
    asked = "modality=US"
    cine = pages.place.rows("SELECT id FROM images WHERE modality = 'US' ORDER BY id")
    before = pages.get("/progress")["labelled"]
    (other,) = pages.place.rows("SELECT min(id) FROM images WHERE modality != 'US'")
    pages.post("/label", frame=other, label="biopsy")
    pages.post("/label", "anna", frame=cine[0], label="biopsy")
    counts = pages.post(f"/label?{asked}", frame=cine[1], label="biopsy")
    assert (counts["total"], counts["labelled"], counts["mine"]) == (6, 2, 1)
    counts = pages.get("/progress?annotator=anna")
    assert (counts["total"], counts["labelled"], counts["mine"]) == (15, before + 3, 1)
    assert pages.post("/undo", "anna")["mine"] == 0


def test_labeled_images_are_reviewed_one_after_the_other(pages: Pages) -> None:
    for frame in (8, 2, 5):
        pages.post("/label", frame=frame, label="biopsy")
    pages.post("/label", frame=4, label="mag view", unsure=True)
    assert ids(pages.post("/next?label=biopsy", limit=2)) == [2, 5]
    assert ids(pages.post("/next?label=biopsy", limit=2, after=5)) == [8]
    assert ids(pages.post("/next?label=biopsy", limit=2, after=8)) == []
    assert ids(pages.post("/next?state=unsure")) == [4]
    assert ids(pages.post(f"/next?{urlencode({'where': 'unsure = 1'})}")) == [4]
    assert ids(pages.post("/next?state=mine", "anna")) == []
    pages.post("/label", frame=4, label="mag view")  # sure now
    assert ids(pages.post("/next?state=unsure")) == []


@pytest.mark.parametrize(
    "asked",
    [
        {"where": "no_column = 1"},
        {"where": "id = 1; DROP TABLE labels"},
        {"where": "id IN (SELECT 1)"},
        {"where": "digest = 'x'"},
        {"where": "("},
        {"series": "slices >"},
        {"kind": "nothing"},
    ],
    ids=str,
)
def test_what_is_no_condition_is_refused_in_words(pages: Pages, asked: dict[str, str]) -> None:
    for path in ("/", "/gallery", "/gallery/tiles", "/gallery/count", "/progress"):
        status, content = pages.ask("GET", f"{path}?{urlencode(asked)}")
        assert (status, b"--" in content) == (400, True), path
    assert pages.post(f"/next?{urlencode(asked)}") == 400
    assert pages.place.rows("SELECT count(*) FROM images") == [15]


def test_skips_are_listed_and_taken_back(pages: Pages) -> None:
    for frame in (2, 4, 6):
        pages.post("/skip", frame=frame, command=f"s{frame}")
    pages.post("/label", frame=4, label="biopsy")
    html = pages.ask("GET", "/skips")[1].decode()
    assert [f'data-frame="{frame}"' in html for frame in (2, 4, 6)] == [True, False, True]
    assert "No skipped images" in pages.ask("GET", "/skips?annotator=anna")[1].decode()
    assert ids(pages.post("/next?state=skipped")) == [2, 6]
    pages.post("/skip", frame=2, again=True, command="a2")
    pages.post("/skip", frame=2, command="s2b")
    pages.post("/skip", frame=2, again=True, command="a2")  # sent again after it was skipped anew: it counted
    assert pages.place.rows("SELECT frame_id FROM passed ORDER BY 1") == [2, 4, 6]
    assert pages.post("/undo")["undone"] == "skip"
    assert pages.place.rows("SELECT frame_id FROM passed ORDER BY 1") == [4, 6]
    assert pages.post("/undo")["undone"] == "again"
    assert pages.place.rows("SELECT frame_id FROM passed ORDER BY 1") == [2, 4, 6]


def test_undo_takes_back_what_was_done_last_one_by_one(pages: Pages) -> None:
    note = "look at the old one"
    pages.post("/label", frame=1, label="biopsy")
    pages.post("/label", frame=1, label="biopsy", unsure=True)
    pages.post("/label", frame=1, label="biopsy", unsure=True, note=note)
    pages.post("/classes", name="new", command="c1")
    pages.post("/classes", name="new", command="c1")
    pages.post("/label", frame=2, label=None, note="only a note")
    pages.post("/skip", frame=2, command="s1")
    seen = []
    for number in range(7):
        answer = pages.post("/undo", command=f"u{number}")
        again = pages.post("/undo", command=f"u{number}")
        assert (again["item"], again["undone"]) == (answer["item"], answer["undone"])
        one = pages.get("/item/1")["item"]
        seen.append((answer["undone"], one["mine"], one["unsure"], one["note"]))
    assert seen == [
        ("skip", "biopsy", True, note),
        ("note", "biopsy", True, note),
        ("class", "biopsy", True, note),
        ("note", "biopsy", True, ""),
        ("unsure", "biopsy", False, ""),
        ("label", None, False, ""),
        (None, None, False, ""),
    ]
    assert pages.place.rows("SELECT name FROM classes ORDER BY id") == ["biopsy", "mag view"]
    assert pages.get("/item/2")["item"]["note"] == ""


def test_a_class_that_others_use_stays_when_it_is_taken_back(pages: Pages) -> None:
    pages.post("/classes", name="used", command="c2")
    pages.post("/label", "anna", frame=1, label="used")
    assert pages.post("/undo")["undone"] == "class"
    assert "used" in pages.place.rows("SELECT name FROM classes")


def test_leaving_that_is_sent_again_gives_nothing_back(pages: Pages) -> None:
    pages.next(limit=3)
    pages.post("/leave", command="l1")
    mine = pages.next(limit=3)
    pages.post("/leave", command="l1")
    assert set(pages.place.rows("SELECT frame_id FROM reservations")) == set(mine)
    pages.post("/leave", command="l2")
    assert pages.place.rows("SELECT frame_id FROM reservations") == []


@pytest.mark.parametrize("note", ["x" * 1001, "a\0b", "a\x1bb", 7, ["x"], "\u202eb"])
def test_what_is_no_note_is_refused(pages: Pages, note: object) -> None:
    assert pages.post("/label", frame=1, label="biopsy", note=note) == 400
    assert pages.post("/label", frame=1, label="biopsy", unsure="yes") == 400
    assert pages.place.rows("SELECT id FROM labels") == []


def test_unsure_and_notes_are_exported_and_can_be_asked_for(pages: Pages) -> None:
    place = pages.place
    pages.post("/label", frame=1, label="biopsy", unsure=True, note='=cmd|"x"\nzweite')
    pages.post("/label", frame=2, label="biopsy")
    pages.post("/label", "anna", frame=2, label="biopsy", unsure=True)
    for name, options in (("plain.csv", ()), ("history.csv", ("--history",))):
        done = cli(place.base, "labels", "export", place.base / name, *options, "--db", place.db)
        assert done.returncode == 0, done.stderr
    with (place.base / "history.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["unsure"], row["annotator"]) for row in rows] == [("1", "me"), ("0", "me"), ("1", "anna")]
    assert rows[0]["note"].endswith('cmd|"x"\nzweite')
    with (place.base / "plain.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["unsure"] for row in csv.DictReader(file)] == ["1", "1"]
    assert place.rows("SELECT id, unsure FROM images WHERE unsure IS NOT NULL ORDER BY id") == [(1, 1), (2, 1)]
    pages.post("/undo", "anna")
    assert len(dicomprep.Dataset(place.db, where="unsure = 1")) == 1
    assert len(dicomprep.Dataset(place.db, where="unsure = 0")) == 1
    again = cli(place.base, "labels", "import", place.base / "history.csv", "--db", place.db)
    assert (again.returncode, "unsure" in place.rows("SELECT name FROM classes")) == (0, False), again.stderr
    assert b"(unsure)" in pages.ask("GET", "/frame/1")[1]


def test_a_split_may_be_labeled_alone(series_place: Place) -> None:
    with pytest.raises(ConfigError, match="--split nowhere"):
        label(db=str(series_place.db), split=("nowhere",))
    (split,) = series_place.rows("SELECT DISTINCT split FROM images WHERE study_id LIKE 'B%'")
    wanted = set(series_place.rows(f"SELECT id FROM images WHERE split = '{split}'"))
    with serving(series_place, *OPTIONS, "--split", str(split)) as pages:
        assert set(pages.next("eva", limit=24)) == wanted
        assert pages.get("/progress?annotator=eva")["total"] == len(wanted)
        pages.post("/leave", "eva")


def test_many_classes_and_long_names_are_on_the_page(place: Place) -> None:
    names = [f"lung/nodule/{number}" for number in range(40)]
    with serving(place, "--classes", ",".join(names)) as pages:
        html = pages.ask("GET", "/")[1].decode()
        assert html.count('data-key="') >= 40
        assert ('data-key="" data-label="lung/nodule/39"' in html, 'id="find"' in html) == (True, True)
        assert pages.post("/label", "eva", frame=3, label="lung/nodule/39")["classes"]["lung/nodule/39"] == 1
        pages.post("/undo", "eva")


@pytest.fixture(scope="module")
def series_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two patients: one with two studies of two series each, one with one series; five images of each."""
    place = Place(tmp_path_factory.mktemp("Serien"))
    for patient, studies in (("A", "12"), ("B", "3")):
        for study in studies:
            for series in range(2 if patient == "A" else 1):
                for slice_ in range(5):
                    uids = {"StudyInstanceUID": f"1.2.{study}", "SeriesInstanceUID": f"1.2.{study}.{series}"}
                    path = place.source / patient / study / f"{series} {slice_}.dcm"
                    seed = int(study) * 100 + series * 10 + slice_
                    make_dicom(path, frames_of(1, seed=seed)[0], patient_id=patient, InstanceNumber=slice_, **uids)
    place.run()
    return place


@pytest.mark.parametrize(
    ("unit", "count", "sizes"), [("series", 5, {5}), ("study", 3, {10, 5}), ("patient", 2, {20, 5})]
)
def test_one_key_labels_a_whole_unit(series_place: Place, unit: str, count: int, sizes: set[int]) -> None:
    place = series_place
    with serving(place, *OPTIONS, "--unit", unit, "--overlap", "0%") as pages:
        items = pages.post("/next", limit=24)["items"]
        assert (len(items), {item["images"] for item in items}) == (count, sizes)
        assert set(pages.next("anna", limit=24)) <= {items[-1]["id"]}  # the others are before another
        pages.post("/leave", "anna")
        first, second = (item["id"] for item in items[:2])
        images = [image for one in pages.get(f"/unit/{first}")["series"] for image in one["images"]]
        assert len(images) == items[0]["images"]
        assert pages.ask("GET", f"/image/{images[-1][0]}?v={images[-1][2]}")[0] == 200
        sent = {"frame": first, "label": "biopsy", "unsure": True, "note": "ganz", "command": f"{unit}1"}
        for _ in range(2):
            counts = pages.post("/label", **sent)
        assert (counts["total"], counts["labelled"], counts["mine"], counts["classes"]["biopsy"]) == (count, 1, 1, 1)
        assert first not in pages.next(limit=24)
        item = pages.get(f"/item/{images[-1][0]}")["item"]  # any image of it opens the unit
        assert (item["mine"], item["unsure"], item["note"]) == ("biopsy", True, "ganz")
        pages.post("/label", frame=second, label="mag view", command=f"{unit}2")
        assert [one["id"] for one in pages.post("/next", history=True, limit=1)["past"]] == [first, second]
        assert ids(pages.post("/next?label=biopsy")) == [first]
        assert ids(pages.post("/next?state=unsure")) == [first]
        assert pages.labels()[first] is None  # of the unit, not of the image
        done = cli(place.base, "labels", "export", f"{unit}.csv", "--level", unit, "--db", place.db)
        assert done.returncode == 0, done.stderr
        with (place.base / f"{unit}.csv").open(encoding="utf-8-sig", newline="") as file:
            assert sorted((row["label"], row["unsure"]) for row in csv.DictReader(file)) == [
                ("biopsy", "1"),
                ("mag view", "0"),
            ]
        undone = [pages.post("/undo", command=f"{unit}u{number}") for number in (1, 2, 2, 3)]
        assert [(one["undone"], one["item"] and one["item"]["id"]) for one in undone] == [
            ("unit", second),
            ("unit", first),
            ("unit", first),
            (None, None),
        ]
        assert (undone[-1]["labelled"], undone[1]["item"]["mine"]) == (0, None)
        pages.post("/skip", frame=first, command=f"{unit}s1")
        assert first not in pages.next(limit=24)
        assert pages.post("/undo")["undone"] == "skip"
        pages.post("/leave")


def test_units_of_a_condition_and_of_several_readers(series_place: Place) -> None:
    with pytest.raises(ConfigError, match="--unit"):
        label(db=str(series_place.db), unit="series", order="uncertainty")
    with serving(series_place, *OPTIONS, "--unit", "study", "--overlap", "100%") as pages:
        query = urlencode({"where": "study_id LIKE '%A/1'"})
        (study,) = ids(pages.post(f"/next?{query}", "eva"))
        assert pages.get(f"/progress?{query}")["total"] == 1
        pages.post("/leave", "eva")
        pages.post("/label", "eva", frame=study, label="biopsy")
        assert study in pages.next("ute", limit=24)
        pages.post("/label", "ute", frame=study, label="mag view")
        assert study not in pages.next("tom", limit=24)
        assert ids(pages.post("/next?state=disputed", "tom")) == [study]
    with serving(series_place, *OPTIONS, "--unit", "study", "--adjudicate") as pages:
        assert pages.next("tom", limit=24) == [study]
        pages.post("/label", "tom", frame=study, label="mag view")
        assert pages.next("tom", limit=24) == []
    rows = series_place.rows("SELECT label, adjudicated FROM unit_labels WHERE annotator = 'tom'")
    assert rows == [("mag view", 1)]

"""Where annotators differ one settles it: an event of its own, that counts by the data set's rule; over real HTTP."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place, frames_of

NAMES = "abcdefghijkl"


@pytest.fixture(scope="module")
def serving_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Twelve patients, whose images anna and bert have read: three of them otherwise."""
    place = Place(tmp_path_factory.mktemp("Streit"))
    for seed, name in enumerate(NAMES):
        make_dicom(place.source / f"{name}.dcm", frames_of(1, seed=seed)[0], patient_id=f"Patient {name}")
    place.run()
    with serving(place, "--classes", "mass,cyst,none") as pages:
        yield pages


@pytest.fixture
def pages(serving_all: Pages) -> Pages:
    with closing(sqlite3.connect(serving_all.place.db, timeout=30)) as connection, connection:
        for table in ("labels", "standing", "passed", "reservations", "commands"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("UPDATE catalogue SET votes = 0, disputed = 0, first_by = NULL, label = NULL")
        connection.execute("DELETE FROM meta WHERE key = 'consensus'")
    for frame in range(1, 13):
        serving_all.post("/label", "anna", frame=frame, label="mass" if frame < 7 else "cyst")
        serving_all.post("/label", "bert", frame=frame, label="mass" if frame < 10 else "cyst", unsure=frame == 7)
    return serving_all


def unsettled(pages: Pages) -> list[int]:
    return [tile[0] for tile in pages.get("/gallery/tiles?state=disputed&limit=99")]


def test_who_said_what_and_a_key_that_settles_it(pages: Pages) -> None:
    answer = pages.get("/disagreements/next")
    assert [item["id"] for item in answer["items"]] == unsettled(pages) == [7, 8, 9]
    assert (answer["left"], answer["more"]) == (3, False)
    assert answer["items"][0]["said"] == [["anna", "cyst", False, ""], ["bert", "mass", True, ""]]
    assert pages.labels()[7] is None
    once = {"frame": 7, "label": "none", "command": "a1"}
    for _ in range(2):
        assert pages.post("/settle", "chief", **once)["labelled"] == 10
    assert pages.labels()[7] == "none"
    assert pages.place.rows("SELECT label, annotator FROM labels WHERE adjudicated = 1") == [("none", "chief")]
    assert unsettled(pages) == [8, 9]
    assert [item["id"] for item in pages.get("/disagreements/next?after=8")["items"]] == [9]
    pages.post("/label", "bert", frame=7, label="cyst")  # what is settled stays so
    assert pages.labels()[7] == "none"
    assert pages.post("/undo", "chief", command="a2")["item"]["id"] == 7
    assert pages.labels()[7] == "cyst"
    assert pages.ask("GET", "/disagreements")[0] == 200


@pytest.mark.parametrize(
    "wrong", [{"label": None}, {"label": "nothing"}, {"label": ""}, {"frame": 99}, {"digest": "0"}]
)
def test_what_cannot_settle_it(pages: Pages, wrong: dict[str, object]) -> None:
    assert pages.post("/settle", "chief", **{"frame": 7, "label": "mass", **wrong}) in (400, 409)
    assert unsettled(pages) == [7, 8, 9]


def test_a_reader_who_settles_keeps_his_reading_for_agreement(pages: Pages) -> None:
    before = re.findall(r"<td>anna and bert</td><td>12</td><td>([^<]*)", shown(pages))
    assert before[0].startswith("0.500 (95 % CI ")
    pages.post("/settle", "anna", frame=7, label="mass")
    pages.post("/settle", "chief", frame=8, label="mass")
    assert re.findall(r"<td>anna and bert</td><td>12</td><td>([^<]*)", shown(pages)) == before
    assert "anna and chief" not in shown(pages)


def test_agreement_by_class(pages: Pages) -> None:
    rows = re.findall(r"<tr><td>(mass|cyst)</td><td>(\d+)</td><td>(\d+)</td><td>0.500 \(95 % CI", shown(pages))
    assert rows == [("mass", "9", "6"), ("cyst", "6", "3")]
    assert "12 patients. Intervals: percentile bootstrap" in shown(pages)


def test_another_rule_is_said(pages: Pages) -> None:
    with closing(sqlite3.connect(pages.place.db, timeout=30)) as connection, connection:
        connection.execute("INSERT INTO meta (key, value) VALUES ('consensus', 'majority')")
    content = pages.ask("GET", "/disagreements")[1].decode()
    assert "In this data set the majority counts" in content


def shown(pages: Pages) -> str:
    return pages.ask("GET", "/agreement")[1].decode()

"""The gallery: several images get one label by one command, other orders, states of tiles; over real HTTP."""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest

from dicomprep.database.queries.filters import Filter
from dicomprep.database.queries.gallery import Sort
from dicomprep.errors import LabelError
from dicomprep.web import census
from dicomprep.web.census import Censuses
from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place, frames_of

NAMES = ("ä/x", "b/a", "a/z", "c/m", "a/b", "d/k")


@pytest.fixture(scope="module")
def serving_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    place = Place(tmp_path_factory.mktemp("Galerie"))
    for seed, name in enumerate(NAMES):
        make_dicom(place.source / f"{name}.dcm", frames_of(1, seed=seed)[0], patient_id=f"P{seed}")
    place.run()
    with serving(place, "--classes", "mass,cyst") as pages:
        yield pages


@pytest.fixture
def pages(serving_all: Pages) -> Pages:
    with closing(sqlite3.connect(serving_all.place.db, timeout=30)) as connection, connection:
        for table in ("labels", "standing", "passed", "reservations", "commands", "command_events"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("UPDATE catalogue SET votes = 0, disputed = 0, first_by = NULL, label = NULL")
        connection.execute("DELETE FROM meta WHERE key = 'hold_burned_in'")
    return serving_all


def command() -> str:
    return uuid.uuid4().hex


def label_all(pages: Pages, frames: list[int], label: str = "mass", **more: object) -> object:
    return pages.post("/gallery/label", frames=frames, label=label, **{"command": command(), **more})


def tiles(pages: Pages, query: str = "") -> list[list[object]]:
    found: list[list[object]] = pages.get(f"/gallery/tiles?{query}&limit=99")
    return found


def test_one_command_labels_several_and_one_undo_takes_all_back(pages: Pages) -> None:
    pages.post("/label", frame=1, label="cyst")
    pages.post("/label", frame=6, label="cyst")
    once = command()
    for _ in range(3):
        assert label_all(pages, [1, 2, 3, 3], command=once) == {"labeled": 3, "held": 0, "changed": 0}
    assert pages.place.rows("SELECT count(*) FROM labels") == [5]
    assert [label for label in pages.labels().values() if label] == ["mass", "mass", "mass", "cyst"]
    assert pages.get("/progress")["classes"] == {"mass": 3, "cyst": 1}
    pages.post("/label", frame=4, label="cyst")
    assert pages.post("/undo", command=command())["item"]["id"] == 4
    again = command()
    answer = pages.post("/undo", command=again)
    assert (answer["undone"], answer["images"], answer["item"]) == ("batch", 3, None)
    assert pages.post("/undo", command=again)["undone"] == "batch"
    assert {frame: label for frame, label in pages.labels().items() if label} == {1: "cyst", 6: "cyst"}
    assert pages.get("/progress")["classes"] == {"mass": 0, "cyst": 2}
    assert pages.post("/undo", command=command())["item"]["id"] == 6  # and what was done before, in its turn


def test_what_is_held_or_has_changed_is_left_out_and_said(pages: Pages) -> None:
    digests = {tile[0]: tile[4] for tile in tiles(pages)}
    sent = [digests[1], "0" * 32, digests[3]]
    with closing(sqlite3.connect(pages.place.db, timeout=30)) as connection, connection:
        connection.execute("INSERT INTO meta (key, value) VALUES ('hold_burned_in', '1')")
        connection.execute("UPDATE frames SET burned_in = 'high' WHERE id = 3")
    assert label_all(pages, [1, 2, 3, 99], digests=sent) == {"labeled": 1, "held": 1, "changed": 2}
    assert pages.place.rows("SELECT frame_id FROM labels") == [1]
    assert label_all(pages, [3]) == {"labeled": 0, "held": 1, "changed": 0}
    with closing(sqlite3.connect(pages.place.db, timeout=30)) as connection, connection:
        connection.execute("UPDATE frames SET burned_in = 'none' WHERE id = 3")


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": "nothing"},
        {"label": ""},
        {"label": None},
        {"frames": list(range(1, 502))},
        {"frames": "1"},
        {"frames": [1, "2"]},
        {"digests": [1]},
    ],
)
def test_what_is_no_batch_is_refused(pages: Pages, wrong: dict[str, object]) -> None:
    assert pages.post("/gallery/label", **{"frames": [1, 2], "label": "mass", **wrong}) == 400
    assert pages.place.rows("SELECT count(*) FROM labels") == [0]


def test_tiles_have_names_and_states(pages: Pages) -> None:
    pages.post("/label", frame=1, label="mass", unsure=True)
    pages.post("/skip", frame=2)
    shown = {tile[0]: (tile[1], tile[6]) for tile in tiles(pages)}
    assert (shown[1], shown[2], shown[3]) == (("mass", "unsure"), (None, "skipped"), (None, ""))
    assert [tile[5] for tile in tiles(pages)] == pages.place.rows("SELECT filename FROM images ORDER BY id")
    assert [tile[0] for tile in tiles(pages, "state=skipped")] == [2]
    other = pages.get("/gallery/tiles?annotator=anna&limit=99")
    assert {tile[0]: tile[6] for tile in other}[2] == ""  # what one skips the others do not


def test_other_orders(pages: Pages) -> None:
    ids = pages.place.rows("SELECT id FROM images ORDER BY id")
    by_name = pages.place.rows("SELECT id FROM images ORDER BY filename")
    for frame in (2, 5):
        pages.post("/label", frame=frame, label="mass")
    for query, wanted in (
        ("", ids),
        ("sort=newest", ids[::-1]),
        ("sort=name", by_name),
        ("sort=labeled", [5, 2, *(one for one in ids if one not in (2, 5))]),
        ("sort=uncertain", ids),  # no model: none is less sure than another
        ("sort=nonsense", ids),
    ):
        assert [tile[0] for tile in tiles(pages, query)] == wanted, query
        part = pages.get(f"/gallery/tiles?{query}&start=2&limit=3")
        assert [tile[0] for tile in part] == wanted[2:5], query
    assert [tile[0] for tile in tiles(pages, "sort=newest&label=mass")] == [5, 2]
    assert b'<a class="button slim" href="./?label=mass">' in pages.ask("GET", "/gallery?label=mass&sort=name")[1]


def test_a_large_gallery_is_sorted_by_what_needs_no_sorting_alone(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "BLOCK_IDS", 2)
    monkeypatch.setattr(census, "STEP_BLOCKS", 1)
    monkeypatch.setattr(census, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(census, "MAX_SORTED_IMAGES", 5)
    censuses, wanted = Censuses(), Filter()
    ids = pages.place.rows("SELECT id FROM images ORDER BY id")
    with pages.place.workspace.reading() as connection:
        assert censuses.tiles(connection, wanted, start=0, limit=9, sort=Sort.NEWEST) == []  # not counted yet
        while not censuses.count(connection, wanted)[1]:
            pass
        for start in range(7):
            newest = censuses.tiles(connection, wanted, start=start, limit=2, sort=Sort.NEWEST)
            assert [tile.id for tile in newest] == ids[::-1][start : start + 2]
        with pytest.raises(LabelError, match="filter further"):
            censuses.tiles(connection, wanted, start=0, limit=9, sort=Sort.NAME)

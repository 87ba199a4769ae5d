"""Predictions: what files are taken, which image they bring first, and what the test split hides."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place, cli, frames_of

COUNT = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Twelve patients, some of them in the test split."""
    place = Place(tmp_path_factory.mktemp("predictions"))
    for number in range(COUNT):
        make_dicom(place.source / f"p{number:02}.dcm", frames_of(1, seed=number)[0], patient_id=f"P{number}")
    place.run(split="50/0/50")
    return place


def split_of(place: Place) -> dict[str, str]:
    return dict(place.rows("SELECT filename, split FROM images"))


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def scores_of(place: Place) -> list[dict[str, object]]:
    """The later in the list, the surer the model is; of every other image that it shows `a`."""
    return [
        {"filename": name, "a": high if number % 2 else 1 - high, "b": 1 - high if number % 2 else high}
        for number, name in enumerate(sorted(split_of(place)))
        for high in [0.5 + (number + 1) / 40]
    ]


def imported(place: Place, *rows: dict[str, object], name: str = "model.csv", model: str = "m") -> tuple[int, str]:
    file = write(place.base / name, list(rows))
    done = cli(place.base, "predictions", "import", file, "--db", place.db, "--model", model)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def model(place: Place) -> str:
    code, said = imported(place, *scores_of(place), {"filename": "in/nowhere", "a": 0.5, "b": 0.5})
    assert (code, said.count("\n")) == (0, 4), said
    assert f"Imported m predictions for {COUNT} images" in said
    assert "filename in/nowhere" in said
    return "m"


def test_every_score_is_kept_but_no_page_has_those_of_the_test_split(place: Place, model: str) -> None:
    assert place.rows("SELECT count(*) FROM predictions WHERE model = ?", model) == [2 * COUNT]
    splits = split_of(place)
    shown = place.rows(
        "SELECT filename, label, score, margin FROM predicted JOIN frames ON frames.id = frame_id WHERE model = ?",
        model,
    )
    assert {name for name, *_ in shown} == {name for name, split in splits.items() if split != "test"}
    assert 0 < len(shown) < COUNT
    for (name, label, score, margin), given in (
        (row, g) for row in shown for g in scores_of(place) if g["filename"] == row[0]
    ):
        assert (label, score) == max((("a", given["a"]), ("b", given["b"])), key=lambda pair: pair[1]), name
        assert margin == pytest.approx(abs(given["a"] - given["b"]))


def test_one_row_for_each_class_says_the_same(place: Place, model: str) -> None:
    rows = [
        {"filename": row["filename"], "label": name, "score": row[name]}
        for name in ("a", "b")
        for row in scores_of(place)
    ]
    assert imported(place, *rows, model="long")[0] == 0
    read = "SELECT frame_id, label, score, margin FROM predicted WHERE model = ? ORDER BY frame_id"
    assert place.rows(read, "long") == place.rows(read, model)


def test_of_independent_classes_the_least_sure_one_counts(place: Place) -> None:
    shown = sorted(name for name, split in split_of(place).items() if split != "test")[:3]
    pairs = [(0.97, 0.97), (0.5, 0.03), (0.97, 0.3)]
    rows = [{"filename": name, "a": a, "b": b} for name, (a, b) in zip(shown, pairs, strict=True)]
    assert imported(place, *rows, model="independent")[0] == 0
    read = "SELECT margin FROM predicted JOIN frames ON frames.id = frame_id WHERE model = ? ORDER BY filename"
    assert place.rows(read, "independent") == pytest.approx([0.94, 0, 0.4])


def test_an_image_can_be_named_by_its_id(place: Place) -> None:
    ids = place.rows("SELECT id FROM images ORDER BY id")
    assert imported(place, *({"id": number, "a": 0.9} for number in ids), model="ids")[0] == 0
    assert {round(margin, 6) for margin in place.rows("SELECT margin FROM predicted WHERE model = 'ids'")} == {0.8}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"filename": "in/p00", "a": "high"}, "row 2, a: high is not a number"),
        ({"filename": "in/p00", "a": "nan"}, "is not a finite number"),
        ({"picture": "in/p00", "a": 1}, "`filename` or `id`"),
        ({"filename": "in/p00"}, "a column for each class"),
        ({"filename": "in/p00", "label": "", "score": 1}, "a column for each class"),
        ({"id": "x", "a": 1}, "the id x is not a number"),
    ],
)
def test_a_wrong_file_is_named_and_changes_nothing(place: Place, row: dict[str, object], said: str) -> None:
    before = place.tables("predictions", "predicted", "models")
    code, output = imported(place, row, model="wrong")
    assert (code, said in output) == (2, True), output
    assert place.tables("predictions", "predicted", "models") == before


def test_a_file_that_is_not_there_or_no_text_is_named(place: Place) -> None:
    (place.base / "x.csv").write_bytes(b"filename,a\n\xff\xfe,1\n")
    for name in ("none.csv", "x.csv"):
        done = cli(place.base, "predictions", "import", name, "--db", place.db)
        assert (done.returncode, "cannot be read" in done.stderr) == (2, True)


def test_parquet_files_are_taken_too(place: Place) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(scores_of(place)), place.base / "model.parquet")
    done = cli(place.base, "predictions", "import", "model.parquet", "--db", place.db)
    assert (done.returncode, f"{COUNT} images" in done.stdout) == (0, True)


@pytest.fixture(scope="module")
def uncertain(place: Place, model: str) -> Iterator[Pages]:
    options = ["--classes", "a,b", "--order", "uncertainty", "--model", model]
    with serving(place, *options) as pages:
        yield pages


def known(place: Place) -> list[str]:
    """The images whose predictions are shown, the least sure first."""
    return [name for name, split in sorted(split_of(place).items()) if split != "test"]


def test_the_least_sure_comes_first_and_shows_what_the_model_says(place: Place, uncertain: Pages) -> None:
    items = uncertain.post("/next", limit=20)["items"]
    assert [item["name"] for item in items] == known(place)
    assert all(item["prediction"] for item in items)
    uncertain.post("/leave")


def test_the_gallery_filters_by_what_is_predicted(place: Place, uncertain: Pages) -> None:
    ids = dict(place.rows("SELECT filename, id FROM images"))
    wanted = [
        ids[row["filename"]] for row in scores_of(place) if row["filename"] in known(place) and row["a"] > row["b"]
    ]
    assert [tile[0] for tile in uncertain.get("/gallery/tiles?prediction=a")] == sorted(wanted)
    assert uncertain.get("/gallery/count?prediction=a") == {"count": len(wanted), "complete": True}


def test_no_page_of_the_test_split_says_what_is_predicted(place: Place, uncertain: Pages) -> None:
    ids = {name: (number, split) for number, name, split in place.rows("SELECT id, filename, split FROM images")}
    for number, split in ids.values():
        said = b"<th>Prediction</th>" in uncertain.ask("GET", f"/frame/{number}")[1]
        assert said == (split != "test")


def test_the_surest_of_a_class_and_a_share_by_chance(place: Place, model: str) -> None:
    of_class = [row["filename"] for row in scores_of(place) if row["a"] > row["b"] and row["filename"] in known(place)]
    with serving(place, "--classes", "a,b", "--order", "confident:a", "--model", model) as pages:
        assert [item["name"] for item in pages.post("/next", limit=20)["items"]] == of_class[::-1]
        pages.post("/leave")
    options = ["--order", "confident:a", "--model", model, "--random-share", "100%"]
    with serving(place, *options) as pages:
        items = pages.post("/next", "anna", limit=24)["items"]
        assert {item["split"] for item in items} == {"train", "test"}
        assert all(item["prediction"] is None for item in items if item["split"] == "test")
        pages.post("/leave", "anna")


def test_where_labels_and_predictions_differ_comes_first_and_once(place: Place, model: str) -> None:
    rows = {row["filename"]: row for row in scores_of(place)}
    names = known(place)[:3]
    ids = dict(place.rows("SELECT filename, id FROM images"))
    with serving(place, "--classes", "a,b", "--order", "disagreement", "--model", model) as pages:
        assert pages.next(limit=5) == []
        for name in names:
            wrong = "b" if rows[name]["a"] > rows[name]["b"] else "a"
            pages.post("/label", "anna", frame=ids[name], label=wrong)
        assert pages.next(limit=5) == [ids[name] for name in reversed(names)]
        pages.post("/label", frame=ids[names[2]], label="a" if rows[names[2]]["a"] > rows[names[2]]["b"] else "b")
        assert pages.next(limit=5) == [ids[name] for name in reversed(names[:2])]
        pages.post("/label", frame=ids[names[1]], label="b" if rows[names[1]]["a"] > rows[names[1]]["b"] else "a")
        assert pages.next(limit=5) == [ids[names[0]]]

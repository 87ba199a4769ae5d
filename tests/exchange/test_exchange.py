"""Labels and predictions in and out, over a real database and the command line."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomprep.errors import ConfigError
from dicomprep.exchange.label_export import export_labels
from dicomprep.exchange.labels import import_labels
from dicomprep.exchange.predictions import Unit, aggregate, export_predictions, import_predictions
from dicomprep.exchange.pseudonyms import Pseudonyms, Shown
from dicomprep.exchange.tables import read_table, write_table
from tests.building import make_dicom
from tests.running import Place, cli, frames_of, make_files


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "place")
    make_files(place.source, "s/a.dcm", "s/b.dcm", "s/c.dcm", "t/cine.dcm:3")
    place.run()
    return place


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def labels_of(place: Place) -> dict[str, str]:
    return dict(place.rows("SELECT filename, label FROM images WHERE label IS NOT NULL"))


def identities(place: Place, kind: str) -> dict[str, str]:
    """The cells that name each image, by its file name."""
    query = "SELECT i.id, i.filename, f.sop_instance_uid, i.frame_number FROM images i JOIN frames USING (id)"
    rows = place.rows(f"{query} JOIN files f ON f.id = file_id")
    pseudonyms = Pseudonyms(place.workspace.key)
    shown = {
        "id": lambda row: str(row[0]),
        "filename": lambda row: row[1],
        "key": lambda row: pseudonyms.of_image(row[1]).decode(),
        "sop_instance_uid,frame_number": lambda row: f"{row[2]},{row[3]}",
    }[kind]
    return {row[1]: shown(row) for row in rows}


@pytest.mark.parametrize("kind", ["id", "filename", "key", "sop_instance_uid,frame_number"])
def test_labels_find_their_images(place: Place, tmp_path: Path, kind: str) -> None:
    cells = identities(place, kind)
    wanted = {"s/a": "mass", "t/cine_frame0002": "mag view"}
    file = table(tmp_path / "l.csv", f"{kind},label", *(f"{cells[name]},{label}" for name, label in wanted.items()))
    done = import_labels(place.workspace, file, annotator="ann")
    assert (done.recorded, done.unchanged, done.matched.unmatched) == (2, 0, [])
    assert labels_of(place) == wanted
    again = import_labels(place.workspace, file, annotator="ann")
    assert (again.recorded, again.unchanged) == (0, 2)
    assert place.rows("SELECT count(*) FROM labels") == [2]


def test_what_did_not_match_is_reported(place: Place, tmp_path: Path) -> None:
    table(tmp_path / "l.csv", "filename,label,annotator", "s/a,x,Ann", "s/none,y,Ann", "s/b,,", ",z,", "s/c,x,")
    arguments = ["labels", "import", "l.csv", "--db", place.db, "--annotator", "me", "--unmatched", "missing.csv"]
    done = cli(tmp_path, *arguments)
    assert done.returncode == 0
    assert "2 labels recorded, 0 unchanged, 1 row without a label skipped" in done.stdout
    assert (
        "2 of 5 rows match no image in this database:\n  row 3: filename s/none\n  row 5: filename is empty"
        in done.stdout
    )
    assert (tmp_path / "missing.csv").read_text() == "row,filename,label,annotator\n3,s/none,y,Ann\n5,,z,\n"
    assert place.rows("SELECT annotator FROM labels ORDER BY id") == ["Ann", "me"]


@pytest.mark.parametrize(("what", "column"), [("labels", "label"), ("predictions", "mass")])
def test_where_no_row_matches_nothing_is_recorded_and_the_exit_code_is_1(
    place: Place, tmp_path: Path, what: str, column: str
) -> None:
    table(tmp_path / "x.csv", f"filename,{column}", "s/none,1")
    done = cli(tmp_path, what, "import", "x.csv", "--db", place.db, "--unmatched", "missing.csv")
    assert (done.returncode, "1 of 1 row matches no image in this database" in done.stdout) == (1, True)
    assert (tmp_path / "missing.csv").read_text() == f"row,filename,{column}\n2,s/none,1\n"
    assert place.rows("SELECT count(*) FROM labels UNION ALL SELECT count(*) FROM models") == [0, 0]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_labels_come_back_as_they_went(place: Place, tmp_path: Path, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    labels = {"s/a": "=cmd()", "s/b": "mag view, 2", "t/cine_frame0000": "ü"}
    write_table(tmp_path / "in.csv", {"filename": "text", "label": "text"}, list(labels.items()))
    import_labels(place.workspace, tmp_path / "in.csv", annotator="a")
    assert labels_of(place) == labels
    out = tmp_path / f"out.{ending}"
    assert export_labels(place.workspace, out, shown=Shown(), history=False).rows == 3
    assert read_table(out).names == ("key", "label")
    assert "cine" not in out.read_bytes().decode("latin-1")
    for name in labels:
        import_labels(place.workspace, table(tmp_path / "x.csv", "filename,label", f"{name},other"), annotator="a")
    assert import_labels(place.workspace, out, annotator="a").recorded == 3
    assert labels_of(place) == labels
    export_labels(place.workspace, out, shown=Shown(with_paths=True, with_uids=True), history=True)
    history = read_table(out)
    assert history.names == ("key", "filename", "sop_instance_uid", "frame_number", "label", "annotator", "created_at")
    assert len(history.rows) == 9


def test_a_cell_that_a_spreadsheet_would_run_is_neutral(place: Place, tmp_path: Path) -> None:
    write_table(tmp_path / "in.csv", {"filename": "text", "label": "text"}, [("s/a", "=1+1")])
    import_labels(place.workspace, tmp_path / "in.csv", annotator="a")
    export_labels(place.workspace, tmp_path / "out.csv", shown=Shown(), history=False)
    ((_, label),) = list(csv.reader((tmp_path / "out.csv").read_text().splitlines()))[1:]
    assert label == "'=1+1"


@pytest.mark.parametrize("long", [True, False])
def test_predictions_are_recorded_and_replaced(place: Place, tmp_path: Path, long: bool) -> None:
    if long:
        lines = ["filename,label,score", "s/a,mass,0.25", "s/a,none,0.75", "s/b,mass,1e-3", "s/zz,mass,1"]
    else:
        lines = ["filename,mass,none", "s/a,0.25,0.75", "s/b,0.001,", "s/zz,1,"]
    done = import_predictions(place.workspace, table(tmp_path / "p.csv", *lines), model="m1")
    assert (done.scores, done.images, len(done.matched.unmatched)) == (3, 2, 1)
    query = "SELECT filename, p.label, score FROM predictions p JOIN images ON images.id = frame_id WHERE model = 'm1'"
    expected = {("s/a", "mass", 0.25), ("s/a", "none", 0.75), ("s/b", "mass", 0.001)}
    assert set(place.rows(query)) == expected
    import_predictions(place.workspace, table(tmp_path / "p.csv", "filename,mass", "s/b,0.5"), model="m1")
    assert set(place.rows(query)) == expected - {("s/b", "mass", 0.001)} | {("s/b", "mass", 0.5)}


def test_scores_of_a_study_are_any_max_and_mean(place: Place, tmp_path: Path) -> None:
    lines = [f"t/cine_frame000{frame},{score}" for frame, score in enumerate((0.1, 0.9, 0.2))]
    import_predictions(place.workspace, table(tmp_path / "p.csv", "filename,mass", *lines, "s/a,0.3"), model="m")
    done = cli(tmp_path, "predictions", "export", "s.csv", "--db", place.db, "--by", "study", "--threshold", "0.8")
    assert (done.returncode, "Wrote 2 rows to s.csv" in done.stdout) == (0, True)
    rows = sorted(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()), key=lambda row: row["images"])
    assert [(r["label"], r["images"], r["any"], r["max"]) for r in rows] == [
        ("mass", "1", "0", "0.3"),
        ("mass", "3", "1", "0.9"),
    ]
    assert float(rows[1]["mean"]) == pytest.approx(0.4)
    assert (
        export_predictions(
            place.workspace, tmp_path / "i.csv", model=None, unit=Unit.IMAGE, threshold=0.5, shown=Shown()
        )
        == 4
    )
    import_again = import_predictions(place.workspace, tmp_path / "i.csv", model="copy")
    assert import_again.scores == 4


def test_images_of_no_study_are_not_one_study(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for name, pixels in zip("ab", frames_of(2), strict=True):
        make_dicom(place.source / f"s/{name}.dcm", pixels, StudyInstanceUID="")
    place.run()
    import_predictions(place.workspace, table(tmp_path / "p.csv", "filename,mass", "s/a,0.1", "s/b,0.9"), model="m")
    export_predictions(
        place.workspace, tmp_path / "s.csv", model=None, unit=Unit.STUDY, threshold=0.5, shown=Shown(with_paths=True)
    )
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert sorted((row["images"], row["max"]) for row in rows) == [("1", "0.1"), ("1", "0.9")]
    pseudonyms = Pseudonyms(place.workspace.key)
    assert {row["study_key"] for row in rows} == {pseudonyms.of_image(name).decode() for name in ("s/a", "s/b")}


def test_aggregation_keeps_models_classes_and_units_apart() -> None:
    said = [
        ("u", "val", "m", "a", 0.5),
        ("u", "val", "m", "b", 0.1),
        ("u", "val", "n", "a", 0.0),
        ("v", "val", "m", "a", 1),
    ]
    assert list(aggregate(said, threshold=0.5)) == [
        ("u", "val", "m", "a", 1, 1, 0.5, 0.5),
        ("u", "val", "m", "b", 1, 0, 0.1, 0.1),
        ("u", "val", "n", "a", 1, 0, 0.0, 0.0),
        ("v", "val", "m", "a", 1, 1, 1, 1),
    ]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["label", "x"], "no column identifies the images"),
        (["filename", "s/a"], "no column .label."),
        (["filename,filename", "s/a,x"], "each once"),
        (["filename,label", "s/a"], "row 2: 1 cells, but the header has 2"),
        ([], "the first line must contain"),
        (["sop_instance_uid,frame_number,label", "1.2,x,y"], "frame_number x is not a whole number"),
    ],
)
def test_a_table_of_labels_that_is_none_is_refused(place: Place, tmp_path: Path, lines: list[str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        import_labels(place.workspace, table(tmp_path / "l.csv", *lines), annotator="a")
    assert place.rows("SELECT count(*) FROM labels") == [0]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["filename,label,score", "s/a,x,high"], "row 2, x: high is not a number"),
        (["filename,x", "s/a,nan"], "row 2, x: nan is not a finite number"),
        (["filename,label", "s/a,x"], "give a column for each class"),
        (["filename", "s/a"], "give a column for each class"),
        (["filename,label,score", "s/a,,1"], "label missing"),
        (["id,x", "s,1"], "the id s is not a number"),
    ],
)
def test_a_table_of_scores_that_is_none_is_refused(place: Place, tmp_path: Path, lines: list[str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        import_predictions(place.workspace, table(tmp_path / "p.csv", *lines), model="m")
    assert place.rows("SELECT count(*) FROM predictions") == [0]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_whose_rows_break_off_is_as_it_was(tmp_path: Path, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    out = tmp_path / f"out.{ending}"

    def rows(number: int) -> Iterator[tuple[int]]:
        yield (number,)
        if number:
            raise KeyboardInterrupt

    assert write_table(out, {"n": "integer"}, rows(0)) == 1
    with pytest.raises(KeyboardInterrupt):
        write_table(out, {"n": "integer"}, rows(1))
    assert read_table(out).rows == [("0",)]
    assert list(tmp_path.iterdir()) == [out]


def test_other_endings_and_missing_files_are_named(tmp_path: Path) -> None:
    for name, reason in (("x.xlsx", "ending in .csv or .parquet"), ("none.csv", "cannot be read")):
        with pytest.raises(ConfigError, match=reason):
            read_table(tmp_path / name)
    (tmp_path / "b.csv").write_bytes(b"id\n\xff\x00a")
    with pytest.raises(ConfigError, match="cannot be read as a table"):
        read_table(tmp_path / "b.csv")


@pytest.mark.parametrize("damage", ["lost", "of another data set", "cut"])
@pytest.mark.parametrize("history", [False, True])
def test_labels_leave_without_the_key(place: Place, tmp_path: Path, damage: str, *, history: bool) -> None:
    """They are a person's work; and they come back by the ids that they have then."""
    import_labels(
        place.workspace, table(tmp_path / "in.csv", "filename,label", "s/a,Ödem", "s/b,normal"), annotator="李雷"
    )
    before, key = labels_of(place), Path(f"{place.db}.key")
    key.unlink()
    if damage != "lost":
        key.write_text("5a" * (32 if damage == "of another data set" else 7))
    done = cli(place.base, "labels", "export", "out.csv", "--db", place.db, *(["--history"] if history else []))
    assert done.returncode == 0, done.stderr
    assert "missing or damaged: images are identified by their `id`" in done.stdout
    place.execute("DELETE FROM labels")
    import_labels(place.workspace, place.base / "out.csv", annotator="李雷")
    assert labels_of(place) == before

"""Tables as other programs write them, and images as other people name them."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomprep.database.writes.labels import add_classes
from dicomprep.database.writes.store import Store
from dicomprep.errors import ConfigError
from dicomprep.exchange.cells import neutral_cell
from dicomprep.exchange.dialects import read_delimited
from dicomprep.exchange.label_export import export_labels
from dicomprep.exchange.labels import LabelsImported, import_labels
from dicomprep.exchange.predictions import Unit, export_predictions, import_predictions
from dicomprep.exchange.pseudonyms import Pseudonyms, Shown
from dicomprep.exchange.row_report import report_rows
from dicomprep.exchange.tables import read_table
from tests.building import make_dicom
from tests.running import Place, cli, frames_of, make_files, set_labels

TWIN, ACCENTED = "copies/z.dcm", "Mü ller/50%.dcm"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("tables") / "place")
    make_files(place.source, "s/a.dcm", "s/b.dcm", "s/c.dcm", "u/c.dcm", "t/cine.dcm:3", ACCENTED)
    shutil.copy(place.source / "s/a.dcm", (place.source / TWIN).parent.mkdir() or place.source / TWIN)
    place.run()
    assert place.rows("SELECT count(*) FROM files WHERE duplicate_of IS NOT NULL") == [1]
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """A copy: labels are written into it. The images are only asked for their names."""
    copy = Place(tmp_path / "place")
    shutil.copytree(made.base, copy.base)
    copy.execute("UPDATE files SET root = ?", str(copy.source))
    return copy


def labeled(place: Place, content: str | bytes, *, annotator: str = "ann") -> LabelsImported:
    file = place.base / "l.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_labels(place.workspace, file, annotator=annotator)


def labels_of(place: Place) -> dict[str, str]:
    return dict(place.rows("SELECT filename, label FROM images WHERE label IS NOT NULL"))


def said_by(place: Place) -> set[tuple[str, str, str]]:
    return set(place.rows("SELECT filename, annotator, s.label FROM standing s JOIN frames ON frames.id = frame_id"))


def original(place: Place) -> str:
    """The one of the two copies that is shown."""
    (name,) = place.rows("SELECT filename FROM images WHERE filename IN ('s/a', 'copies/z')")
    return str(name)


def test_a_second_reader_is_compared_with_himself(place: Place) -> None:
    table = "filename,label,annotator\ns/b,x,A\ns/b,x,B\ns/c,y,A\ns/c,z,B\n"
    assert labeled(place, table).recorded == 4
    for _ in range(2):
        again = labeled(place, table)
        assert (again.recorded, again.unchanged, again.changes) == (0, 4, ())
    assert labeled(place, "filename,label\ns/b,x\n", annotator="C").recorded == 1
    assert {who for name, who, _ in said_by(place) if name == "s/b"} == {"A", "B", "C"}
    assert place.rows("SELECT count(*) FROM labels") == [5]


def test_what_changes_is_said(place: Place) -> None:
    labeled(place, "filename,label\ns/b,x\ns/c,y\n")
    done = labeled(place, "filename,label\n\ns/b,y\ns/c,y\n")
    assert (done.recorded, done.unchanged) == (1, 1)
    assert done.changes == (
        "1 label replaced: the annotator had given another label:",
        "  row 3: y instead of x",
    )


def test_an_older_history_flips_nothing(place: Place, tmp_path: Path) -> None:
    labeled(place, "filename,label\ns/b,x\n")
    labeled(place, "filename,label\ns/b,y\n")
    history = tmp_path / "h.csv"
    assert export_labels(place.workspace, history, shown=Shown(), history=True).rows == 2
    assert import_labels(place.workspace, history, annotator="other").recorded == 0
    assert labels_of(place) == {"s/b": "y"}
    done = labeled(place, "filename,label,created_at\ns/b,old,2020-01-01T00:00:00\ns/b,older,2019-01-01\n")
    assert (done.recorded, done.changes[1]) == (0, "  row 2: y, not old")
    assert labeled(place, "filename,label,created_at\ns/b,new,2099-01-01T00:00:00+02:00\n").recorded == 1


@pytest.mark.parametrize(
    ("head", "rows"),
    [
        ("filename", ("s/b", "s/b")),
        ("filename", ("s/b", "b.dcm")),
        ("filename", ("s/a.dcm", "copies/z.dcm")),
        ("path", ("s/b.dcm", "s\\b")),
    ],
)
@pytest.mark.parametrize("what", ["labels", "predictions"])
def test_rows_that_contradict_each_other_are_named(place: Place, head: str, rows: tuple[str, str], what: str) -> None:
    column, values = {"labels": ("label", ("one", "two")), "predictions": ("mass", ("0.25", "0.75"))}[what]
    lines = [f"{head},{column}", f"s/c,{values[0]}", "", *(f"{n},{v}" for n, v in zip(rows, values, strict=True))]
    (place.base / "x.csv").write_text("\n".join(lines) + "\n")
    done = cli(place.base, what, "import", "x.csv", "--db", place.db)
    assert (done.returncode, "rows 4 and 5 contradict" in done.stderr) == (2, True), done.stderr
    assert place.rows("SELECT count(*) FROM labels UNION ALL SELECT count(*) FROM predictions") == [0, 0]
    lines[-1] = f"{rows[1]},{values[0]}"
    (place.base / "x.csv").write_text("\n".join(lines) + "\n")
    assert cli(place.base, what, "import", "x.csv", "--db", place.db).returncode == 0
    assert place.rows(f"SELECT count(*) FROM {what}") == [2]


def test_what_is_said_of_a_hidden_duplicate_goes_to_its_original(place: Place) -> None:
    ids = dict(place.rows("SELECT filename, id FROM frames"))
    key = Pseudonyms(place.workspace.key).of_image("copies/z").decode()
    for number, (head, cell) in enumerate(
        [("filename", "copies/z"), ("filename", "s/a"), ("id", ids["copies/z"]), ("id", ids["s/a"]), ("key", key)]
    ):
        assert labeled(place, f"{head},label\n{cell},l{number}\n").recorded == 1
        assert labels_of(place) == {original(place): f"l{number}"}
    (place.base / "p.csv").write_text("filename,mass\ncopies/z.dcm,0.5\ns/a.dcm,0.5000001\n")
    assert import_predictions(place.workspace, place.base / "p.csv", model=None).scores == 1


def absolute(place: Place) -> str:
    return str(place.source / "s/b.dcm")


def thumbnail(place: Place) -> str:
    return str(place.output / "s/b.png")


def exported(place: Place) -> str:
    return f"train/x/{Pseudonyms(place.workspace.key).of_image('s/b').decode()}.png"


def uid(place: Place) -> str:
    return str(place.rows("SELECT sop_instance_uid FROM files WHERE path = 's/b.dcm'")[0])


@pytest.mark.parametrize("head", ["filename", "File Name", "PATH", "image_id", "Thumbnail Path"])
@pytest.mark.parametrize(
    "cell",
    [
        *(
            "s/b",
            "b",
            "b.dcm",
            "s/b.dcm",
            "./s/b.dcm",
            "../in/s/b.dcm",
            "s\\b.dcm",
            "in/s/b.DCM",
            "s/b.png",
        ),
        *("out/s/b.png", absolute, thumbnail, exported, uid),
    ],
)
def test_an_image_is_found_by_any_of_its_names(place: Place, head: str, cell: str | Callable[[Place], str]) -> None:
    text = cell if isinstance(cell, str) else cell(place)
    (place.base / "p.csv").write_text(f"{head},mass\n{text},0.5\n")
    done = import_predictions(place.workspace, place.base / "p.csv", model="any")
    assert place.rows("SELECT filename FROM frames WHERE id = ?", done.matched.frame_ids[0]) == ["s/b"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("cell", ["Mü ller/50%", "Mü ller/50%.dcm", "50%.dcm", "Mü ller\\50%.dcm"])
def test_names_in_other_scripts_and_with_percent_signs(place: Place, form: str, cell: str) -> None:
    (place.base / "p.csv").write_text(f"filename,mass\n{normalize(form, cell)},0.5\n", encoding="utf-8")  # type: ignore[arg-type]
    done = import_predictions(place.workspace, place.base / "p.csv", model="any")
    assert done.matched.unmatched == []


@pytest.mark.parametrize("head", ["SOPInstanceUID", "sop_instance_uid", "SOP Instance UID", "sopInstanceUid"])
def test_uids_with_and_without_frames(place: Place, head: str) -> None:
    cine = place.rows("SELECT sop_instance_uid FROM files WHERE path = 't/cine.dcm'")[0]
    done = labeled(place, f"{head},Frame Number,Label\n{uid(place)},,x\n{cine},2.0,y\n")
    assert done.recorded == 2
    assert labels_of(place) == {"s/b": "x", "t/cine_frame0002": "y"}


@pytest.mark.parametrize("cell", ["c.dcm", "c", "t/cine.dcm", "cine"])
def test_what_fits_several_images_is_none_of_them(place: Place, cell: str) -> None:
    done = labeled(place, f"filename,label\n{cell},x\ns/b,y\n")
    assert labels_of(place) == {"s/b": "y"}
    assert f"row 2: filename {cell} matches {3 if 'cine' in cell else 2} images" in report_rows(done.matched, None)


def test_an_absolute_path_elsewhere_is_no_image_here(place: Place) -> None:
    assert labeled(place, "filename,label\n/data/s/b.dcm,x\nC:\\in\\s\\b.dcm,x\nq/s/b.dcm,x\n").recorded == 0


@pytest.mark.parametrize("cell", ["STUDY_1/A.DCM", "MÜLLER Ä/im 1", "m\u00fcller a\u0308/IM 1.PNG"])
def test_capitals_are_no_matter_where_no_name_is_as_it_is_written(tmp_path: Path, cell: str) -> None:
    place = Place(tmp_path / "place")
    make_files(place.source, "study_1/a.dcm", "Müller Ä/IM 1.dcm")
    place.run()
    (place.base / "in.csv").write_text(f"filename,label\n{cell},Ödem\n")
    assert import_labels(place.workspace, place.base / "in.csv", annotator="t").recorded == 1


def test_the_number_of_a_row_is_no_id_where_there_are_names(place: Place) -> None:
    ids = dict(place.rows("SELECT filename, id FROM images"))
    labeled(place, f"id,filename,label\n{ids['s/c']},s/b,x\n")
    assert labels_of(place) == {"s/b": "x"}


PLAIN = "filename,label\ns/b,one\ns/c,tẅo\n"


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (PLAIN, ""),
        (PLAIN.encode("utf-8-sig"), ""),
        (PLAIN.replace("\n", "\r\n"), ""),
        (PLAIN.replace("\n", "\r"), ""),
        (PLAIN.replace(",", ";"), "semicolons"),
        (PLAIN.replace(",", "\t"), "tabs"),
        (PLAIN.replace(",", "|"), "vertical bars"),
        (PLAIN.replace(",", "\t").encode("utf-16"), "UTF-16 (little endian), separated by tabs"),
        (PLAIN.encode("utf-16-le"), "UTF-16 (little endian), separated by commas"),
        (PLAIN.encode("utf-16-be"), "UTF-16 (big endian)"),
        (b"\xfe\xff" + PLAIN.encode("utf-16-be"), "UTF-16 (big endian)"),
        ("sep=,\n" + PLAIN, ""),
        ("sep=^\r\n" + PLAIN.replace(",", "^"), "the separator ^"),
        ("\n\n" + PLAIN.replace("\n", "\n\n"), ""),
        (PLAIN.replace("\n", ",,\n"), ""),
        (PLAIN + ",\n ,\n", ""),
        (PLAIN.replace(",", " , ").replace("filename", ' "File Name"'), ""),
        ("filename;label;remark\ns/b;one;a, b, c\ns/c;tẅo;d, e\n", "semicolons"),
        ('filename,label,remark\ns/b,one,"two\nlines; more"\ns/c,tẅo,\n', ""),
    ],
)
def test_a_table_is_read_in_its_dialect(place: Place, content: str | bytes, note: str) -> None:
    done = labeled(place, content)
    assert (done.recorded, labels_of(place)) == (2, {"s/b": "one", "s/c": "tẅo"})
    assert (note in done.matched.table.note) if note else done.matched.table.note == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PLAIN.replace("ẅ", "ü").encode("cp1252"), "line 3 is not UTF-8 .*Windows-1252"),
        (PLAIN.encode("utf-16")[:-1], "is not UTF-16"),
        (b"PK\x03\x04 and more", "Excel"),
        (b"filename,label\ns/b,a\0b\n", "NUL"),
        ('filename,label\ns/b,"one\ns/c,two\n', "cannot be read as a table"),
        ("Label,filename,LABEL\nx,s/b,y\n", "two columns have the same name: Label, LABEL"),
        ("filename,label,label\ns/b,x,y\n", "Repeated: label"),
        ("filename,label\ns/b,one,more\n", "row 2: 3 cells"),
        ("filename;Class\ns/b;x\n", "no column .label.. Columns found: filename, Class"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_cause(place: Place, content: str | bytes, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        labeled(place, content)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_an_error(content: bytes) -> None:
    try:
        list(read_delimited(io.BytesIO(content), frozenset(["filename"]))[1])
    except Exception as error:  # noqa: BLE001
        assert type(error).__name__ in ("ValueError", "UnicodeDecodeError", "Error"), error


@given(st.text(st.sampled_from("'=+-@a ＝"), max_size=5).map(str.strip))
def test_a_neutral_cell_comes_back(text: str) -> None:
    cell = neutral_cell(text)
    content = f'x,y\n1,"{cell}"\n'.encode()
    assert next(read_delimited(io.BytesIO(content), frozenset())[1])[1][1] == cell
    assert not cell.startswith(("=", "+", "-", "@", "＝"))


def test_apostrophes_come_back_from_csv(place: Place, tmp_path: Path) -> None:
    set_labels(place, {"s/b": "'=1", "s/c": "=1", "u/c": "''x"})
    export_labels(place.workspace, tmp_path / "o.csv", shown=Shown(), history=False)
    assert set(read_table(tmp_path / "o.csv").column("label") or ()) == {"'=1", "=1", "''x"}
    assert import_labels(place.workspace, tmp_path / "o.csv", annotator="t").unchanged == 3


def test_numbers_of_pandas_and_cells_without_a_label(place: Place) -> None:
    done = labeled(place, "filename,label\ns/b,1.0\ns/c,\nu/c,  \nt/cine_frame0000,nan\n")
    assert (done.recorded, done.empty) == (1, 3)
    assert labeled(place, "filename,label\ns/b,1\ns/c,1.0\n").recorded == 1
    assert set(labels_of(place).values()) == {"1"}


def test_several_classes_in_any_order_and_none(place: Place, tmp_path: Path) -> None:
    store = Store(place.address)
    with store.transaction() as connection:
        add_classes(connection, ["Mass", "calc, fine", "cyst"])
    store.close()
    labeled(place, 'filename,label\ns/b,"cyst, Mass"\ns/c,"mass, left"\nu/c,"calc, fine"\n')
    assert labels_of(place) == {"s/b": "Mass,cyst", "s/c": "mass, left", "u/c": "calc, fine"}
    assert labeled(place, 'filename,label\ns/b,"cyst,Mass"\ns/b,"Mass,cyst"\n').recorded == 0
    set_labels(place, {"t/cine_frame0000": ""}, annotator="ann")
    for history in (False, True):
        out = tmp_path / "o.csv"
        export_labels(place.workspace, out, shown=Shown(), history=history)
        assert read_table(out).names[-1] == "negative"
        assert import_labels(place.workspace, out, annotator="ann").recorded == 0
        assert import_labels(place.workspace, out, annotator=f"new {history}").recorded == (0 if history else 4)
    assert labels_of(place)["t/cine_frame0000"] == ""


def scored(place: Place, content: str, model: str | None = "m") -> tuple[set[str], tuple[str, ...]]:
    file = place.base / "p.csv"
    file.write_text(content)
    done = import_predictions(place.workspace, file, model=model)
    return set(place.rows("SELECT DISTINCT label FROM predictions")), done.left_out


@pytest.mark.parametrize(
    ("more", "cells"),
    [
        *(("", "0"), ("Unnamed: 0", "0"), ("index", "7"), ("Fold", "1"), ("EPOCH", "0"), ("seed", "1"), ("study", "x")),
        *(("patient_id", "P1"), ("PatientID", "1"), ("comment", "blurred"), ("Age", "0"), ("n_slices", "12")),
        *(("target", "1"), ("split", "val"), ("label", "Mass"), ("unnamed: 0.1", "3")),
    ],
)
def test_a_column_beside_the_scores_is_no_class(place: Place, more: str, cells: str) -> None:
    for content in (
        f"{more},filename,Mass,mass\n{cells},s/b,0.25,0.75\n",
        f"filename;Mass;mass;{more};\ns/b;0,25;7,5e-1;{cells};\n",
    ):
        classes, left_out = scored(place, content)
        assert classes == {"Mass", "mass"}
        assert left_out[0] in (more, "column 1 (unnamed)", "column 4 (unnamed)")
        assert set(place.rows("SELECT score FROM predictions")) == {0.25, 0.75}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("filename,a,b\ns/b,-1.5,2.5\n", "row 2, a: -1.5 is outside 0…1"),
        ("filename,a,b\ns/b,0.5,0.5\ns/c,0.5,1.01\n", "row 3, b: 1.01 is outside"),
        ("filename,label,score\ns/b,a,3\n", "outside 0…1"),
        ("filename,a,a\ns/b,0,1\n", "Repeated: a"),
        ("filename,fold,epoch\ns/b,0,1\n", "Not classes: fold, epoch"),
        ("filename,a\ns/b,1_0\n", "1_0 is not a number"),
        ("filename,a\ns/b,0.5\ns/c,high\n", "row 3, a: high is not a number"),
    ],
)
def test_scores_that_are_none_are_refused(place: Place, content: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        scored(place, content)
    assert place.rows("SELECT count(*) FROM predictions") == [0]


def test_several_models_of_an_export_stay_apart(place: Place, tmp_path: Path) -> None:
    scored(place, "filename,Mass\ns/b,0.1\ns/c,0.2\n", "one")
    scored(place, "filename,Mass\ns/b,0.9\n", "two")
    out, db = tmp_path / "o.csv", place.workspace
    assert export_predictions(db, out, model=None, unit=Unit.IMAGE, threshold=0.5, shown=Shown()) == 3
    query = "SELECT frame_id, model, label, score FROM predictions ORDER BY 1, 2"
    before = place.rows(query)
    assert import_predictions(db, out, model=None).models == ("one", "two")
    assert place.rows(query) == before
    with pytest.raises(ConfigError, match="several models"):
        import_predictions(db, out, model="three")


def test_what_is_left_out_and_how_it_was_read_is_said(place: Place) -> None:
    (place.base / "p.csv").write_text("\tfilename\tfold\tA\n0\ts/b\t1\t0.5\n")
    done = cli(place.base, "predictions", "import", "p.csv", "--db", place.db)
    assert done.stdout.splitlines()[:3] == [
        "Imported p predictions for 1 image.",
        "Columns skipped, not classes: column 1 (unnamed), fold.",
        "Read as UTF-8, separated by tabs.",
    ]


def test_two_files_with_one_uid_are_two(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for name, pixels in zip("ab", frames_of(2), strict=True):
        make_dicom(place.source / f"s/{name}.dcm", pixels, SOPInstanceUID="1.2.3", InstanceNumber=ord(name))
    place.run()
    done = labeled(place, "sop_instance_uid,label\n1.2.3,x\n")
    assert (done.recorded, "matches 2 images" in report_rows(done.matched, None)) == (0, True)

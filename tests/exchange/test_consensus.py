"""Labels of several readers: all are kept, and the data set's rule decides which counts; on both kinds of database."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from dicomprep import Dataset
from dicomprep.database import connection, migrations
from dicomprep.database.consensus import Consensus
from dicomprep.database.migrations import m0024_units
from dicomprep.database.queries.queue import Order, Queue, next_images
from dicomprep.database.writes.catalogue import add_images
from dicomprep.exchange.kinds import Level
from dicomprep.exchange.label_export import export_labels
from dicomprep.exchange.labels import ImportOptions, LabelsImported, import_labels
from dicomprep.exchange.pseudonyms import Shown
from tests.building import make_dicom
from tests.running import Place, cli, frames_of, make_files

NAMES = ("s/a", "s/b", "s/c", "s/d")
VOTES = ["filename,label,annotator", "s/a,x,A", "s/a,x,B", "s/a,y,C", "s/b,x,A", "s/b,y,B", "s/c,x,A"]


@pytest.fixture
def place(any_place: Place) -> Place:
    make_files(any_place.source, *(f"{name}.dcm" for name in NAMES))
    any_place.run()
    return any_place


def imported(place: Place, lines: list[str], **options: object) -> LabelsImported:
    (place.base / "l.csv").write_text("\n".join(lines) + "\n")
    return import_labels(place.workspace, place.base / "l.csv", options=ImportOptions(**options))  # type: ignore[arg-type]


def decided(place: Place) -> dict[str, str | None]:
    """The view's label, which the pages' table and the loader must have as well."""
    labels = dict(place.rows("SELECT filename, label FROM images"))
    ids = dict(place.rows("SELECT filename, id FROM images"))
    catalogue = dict(place.rows("SELECT frame_id, label FROM catalogue"))
    assert all(catalogue.get(ids[name], label) == label for name, label in labels.items())
    data = Dataset(place.db)
    assert {data.record(n).filename: data.record(n).label or None for n in range(len(data))} == labels
    return labels


def disputed(place: Place) -> list[str]:
    """What an adjudicator is shown."""
    names = dict(place.rows("SELECT id, filename FROM images"))
    with place.workspace.reading() as reader:
        return [
            names[frame_id] for frame_id in next_images(reader, Queue(annotator="D", order=Order("disputed")), limit=9)
        ]


def test_the_rule_decides(place: Place, tmp_path: Path) -> None:
    with place.workspace.writing() as store, store.transaction() as writer:
        add_images(writer)
    done = imported(place, VOTES)
    assert (done.recorded, done.undecided) == (6, 1)
    assert decided(place) == {"s/a": "x", "s/b": None, "s/c": "x", "s/d": None}
    assert export_labels(place.workspace, tmp_path / "o.csv", shown=Shown(), history=False).undecided == 1
    assert disputed(place) == ["s/a", "s/b"]
    final = imported(place, ["filename,label", "s/a,y", "s/b,z"], annotator="C", adjudicated=True)
    assert (final.recorded, final.undecided, disputed(place)) == (2, 0, [])
    assert decided(place) == {"s/a": "y", "s/b": "z", "s/c": "x", "s/d": None}
    assert imported(place, VOTES[:1] + VOTES[3:4], consensus=Consensus.MAJORITY).recorded == 0
    assert decided(place) == {"s/a": "x", "s/b": None, "s/c": "x", "s/d": None}
    imported(place, ["filename,label", "s/c,late"], annotator="B", consensus=Consensus.NEWEST)
    assert decided(place) == {"s/a": "y", "s/b": "z", "s/c": "late", "s/d": None}
    assert place.rows("SELECT count(*) FROM labels") == [9]


def test_units_follow_the_rule_too(place: Place) -> None:
    rows = ["patient_id,label,annotator", "P0,x,A", "P0,y,B", "P1,x,A", "P1,x,B"]
    assert imported(place, rows).recorded == 4
    assert Dataset(place.db, unit="patient", labels="any").targets.tolist() == [0]
    imported(place, ["patient_id,label", "P0,y"], annotator="B", adjudicated=True)
    data = Dataset(place.db, unit="patient", labels="any")
    assert sorted(data.unit_record(n).label for n in range(len(data))) == ["x", "y"]
    again = imported(place, rows)
    assert (again.recorded, again.unchanged) == (0, 4)


def test_labels_before_the_rule_keep_the_newest(tmp_path: Path) -> None:
    steps = migrations.MIGRATIONS
    engine = create_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.begin() as writer:
        for step in steps[: steps.index(m0024_units.upgrade)]:
            step(writer)
        writer.exec_driver_sql("INSERT INTO labels (frame_id, label, annotator, created_at) VALUES (1, 'x', 'A', '')")
        m0024_units.upgrade(writer)
        assert connection.read_meta(writer, "consensus") == "newest"
    engine.dispose()


def test_known_files_get_their_keys_from_their_headers(new_place: Callable[[], Place]) -> None:
    place = new_place()
    for number, pixels in enumerate(frames_of(2)):
        make_dicom(place.source / f"{number}.dcm", pixels, AccessionNumber=f"A{number}", StudyID=str(number))
    place.run()
    place.execute("UPDATE files SET accession_key = NULL, study_number_key = NULL, header_due = 1")
    assert imported(place, ["accession,label", "A1,x"]).recorded == 0
    assert place.run().headers == 2
    done = imported(place, ["accession,label", "a1 ,x", "A2,y"])
    assert (done.recorded, done.matched.level) == (1, Level.STUDY)


def test_commands_know_levels_and_rules(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_files(place.source, *(f"{name}.dcm" for name in NAMES))
    place.run()
    (place.base / "l.csv").write_text("\n".join(VOTES) + "\n")
    done = cli(place.base, "labels", "import", "l.csv", "--db", place.db)
    assert "Images in this database that the table does not name: 1." in done.stdout
    assert "Images whose annotators disagree, so that no label counts: 1." in done.stdout
    (place.base / "p.csv").write_text("patient_id,a,b\nP0,1,0\nP1,0,-1\n")
    done = cli(place.base, "labels", "import", "p.csv", "--db", place.db, "--consensus", "newest")
    assert "Rows are about patients: `patient_id` was read as patients" in done.stdout
    assert "1 uncertain values (−1) were kept" in done.stdout
    assert cli(place.base, "labels", "import", "p.csv", "--db", place.db, "--multi", "--latest").returncode == 2
    done = cli(place.base, "export", "csv", "exported", "--db", place.db)
    assert done.returncode == 0, done.stderr
    tables = [path.read_text().splitlines() for path in place.base.glob("exported/*.csv")]
    assert all(table[0].endswith(",patient_label") for table in tables)
    assert sorted(row.rpartition(",")[2] for table in tables for row in table[1:]) == ["", "", "a", "b (uncertain)"]

"""Classes renamed, merged, put in order and hidden: all that has them follows; on both kinds of database."""

from pathlib import Path

import pytest

from dicomprep import Dataset, LabelError
from dicomprep.database.queries.classes import class_names, former_names, list_classes, shown_classes
from dicomprep.database.writes.catalogue import add_images
from dicomprep.database.writes.classes import Followed, hide_class, merge_class, order_classes, rename_class
from dicomprep.database.writes.predictions import summarize
from dicomprep.exchange.labels import ImportOptions, import_labels
from dicomprep.exchange.predictions import import_predictions
from dicomprep.exchange.versions import freeze as freeze_images
from tests.running import Place, cli, make_files

NAMES = ("s/a", "s/b", "s/c")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Images with labels of two readers, and scores of a model."""
    return filled(Place(tmp_path), tmp_path)


def filled(place: Place, folder: Path) -> Place:
    make_files(place.source, *(f"{name}.dcm" for name in NAMES))
    place.run(split="100/0/0")  # of images for the test split pages show no prediction
    with place.workspace.writing() as store, store.transaction() as writer:
        add_images(writer)
    rows = ["filename,label,annotator", 's/a,"große Masse,Zyste",A', "s/b,Masse,A", "s/b,große Masse,B", "s/c,Zyste,A"]
    imported(place, folder, rows)
    rows = ["filename,model,label,score", "s/a,m,Masse,0.2", "s/a,m,große Masse,0.7", "s/c,m,große Masse,0.9"]
    (folder / "p.csv").write_text("\n".join(rows) + "\n")
    import_predictions(place.workspace, folder / "p.csv", model=None)
    with place.workspace.writing() as store, store.transaction() as writer:
        summarize(writer)
    return place


def imported(place: Place, folder: Path, lines: list[str]) -> None:
    (folder / "l.csv").write_text("\n".join(lines) + "\n")
    import_labels(place.workspace, folder / "l.csv", options=ImportOptions())


def labels(place: Place) -> dict[str, str | None]:
    """The view's, which the pages' table must have as well."""
    found = dict(place.rows("SELECT filename, label FROM images"))
    assert found == dict(
        place.rows("SELECT filename, catalogue.label FROM catalogue JOIN frames ON frames.id = frame_id")
    )
    return found


def test_a_renamed_class_is_renamed_everywhere_and_back(place: Place) -> None:
    before = (labels(place), sorted(place.rows("SELECT label FROM labels")), place.rows("SELECT * FROM predicted"))
    freeze_images(place.workspace, "v1")
    with place.workspace.writing() as store, store.transaction() as writer:
        followed = rename_class(writer, "große Masse", "Masse/groß", annotator="A")
        assert followed == Followed(labels=2, unit_labels=0, annotations=0, predictions=2)
        assert former_names(writer) == {"große Masse": "Masse/groß"}
    assert labels(place) == {"s/a": "Masse/groß,Zyste", "s/b": None, "s/c": "Zyste"}
    assert place.rows("SELECT label FROM predicted ORDER BY frame_id") == ["Masse/groß", "Masse/groß"]
    assert place.rows("SELECT disagrees FROM predicted ORDER BY disagrees") == [0, 1]
    assert "große Masse,Zyste" in Dataset(place.db, version="v1").classes
    assert "Masse/groß,Zyste" in Dataset(place.db).classes
    with place.workspace.writing() as store, store.transaction() as writer:
        rename_class(writer, "Masse/groß", "große Masse", annotator="A")
        assert former_names(writer) == {"Masse/groß": "große Masse"}
    after = (labels(place), sorted(place.rows("SELECT label FROM labels")), place.rows("SELECT * FROM predicted"))
    assert after == before


def test_merged_classes_are_one_and_readers_of_one_mind(any_place: Place, tmp_path: Path) -> None:
    place = filled(any_place, tmp_path)
    assert labels(place)["s/b"] is None
    with place.workspace.writing() as store, store.transaction() as writer:
        merge_class(writer, "große Masse", "Masse", annotator="A")
        assert "große Masse" not in class_names(writer)
    assert labels(place) == {"s/a": "Masse,Zyste", "s/b": "Masse", "s/c": "Zyste"}
    assert place.rows("SELECT count(*) FROM catalogue WHERE disputed > 1") == [0]
    assert place.rows("SELECT label, score FROM predictions ORDER BY score") == [("Masse", 0.7), ("Masse", 0.9)]
    assert place.rows("SELECT label, disagrees FROM predicted ORDER BY disagrees") == [("Masse", 0), ("Masse", 1)]
    changed = dict(place.rows("SELECT before, after FROM class_changes"))
    assert changed == {"große Masse": "Masse", "große Masse,Zyste": "Masse,Zyste"}


def test_a_table_with_former_names_is_of_the_classes_of_today(place: Place, tmp_path: Path) -> None:
    with place.workspace.writing() as store, store.transaction() as writer:
        rename_class(writer, "Zyste", "cyst", annotator="A")
        merge_class(writer, "große Masse", "Masse", annotator="A")
    rows = ["filename,Masse,große Masse,Zyste,annotator", "s/a,0,1,1,E", "s/b,1,1,0,E"]
    (tmp_path / "l.csv").write_text("\n".join(rows) + "\n")
    done = import_labels(place.workspace, tmp_path / "l.csv", options=ImportOptions())
    assert "The class Zyste is called cyst now." in done.matched.notes
    given = place.rows("SELECT label FROM labels WHERE annotator = 'E' ORDER BY label")
    assert [sorted(label.split(",")) for label in given] == [["Masse"], ["Masse", "cyst"]]
    (tmp_path / "p.csv").write_text("filename,model,Masse,große Masse,Zyste\ns/b,n,0.3,0.6,0.1\n")
    scored = import_predictions(place.workspace, tmp_path / "p.csv", model=None)
    assert "The class große Masse is called Masse now." in scored.matched.notes
    given = place.rows("SELECT label, score FROM predictions WHERE model = 'n' ORDER BY label")
    assert given == [("Masse", 0.6), ("cyst", 0.1)]
    with place.workspace.reading() as reader:
        assert not {"Zyste", "große Masse"} & {*class_names(reader)}


def test_what_is_uncertain_stays_so_unless_it_is_certain_as_well(place: Place, tmp_path: Path) -> None:
    rows = ["filename,Masse,große Masse,annotator", "s/a,1,-1,C", "s/b,0,-1,C"]
    imported(place, tmp_path, rows)
    with place.workspace.writing() as store, store.transaction() as writer:
        merge_class(writer, "große Masse", "Masse", annotator="A")
    assert place.rows("SELECT label FROM labels WHERE annotator = 'C' ORDER BY id") == ["Masse", "Masse (uncertain)"]


def test_names_that_are_parts_or_patterns_of_others_are_left_alone(place: Place, tmp_path: Path) -> None:
    imported(place, tmp_path, ["filename,label,annotator", "s/a,100%,D", "s/b,100% sicher,D", "s/c,Mass_,D"])
    with place.workspace.writing() as store, store.transaction() as writer:
        for name in ("100%", "Mass_"):
            rename_class(writer, name, f"{name} neu", annotator="A")
    given = place.rows("SELECT label FROM labels WHERE annotator = 'D' ORDER BY id")
    assert given == ["100% neu", "100% sicher", "Mass_ neu"]


def test_the_order_is_of_the_pages_alone_and_what_is_hidden_keeps_its_labels(place: Place) -> None:
    classes = Dataset(place.db).classes
    with place.workspace.writing() as store, store.transaction() as writer:
        order_classes(writer, ["Zyste", "große Masse"], annotator="A")
        hide_class(writer, "Masse", hidden=True, annotator="A")
        assert shown_classes(writer) == ["Zyste", "große Masse"]
        assert list_classes(writer)[0].name == "Zyste"
    assert Dataset(place.db).classes == classes
    assert labels(place)["s/c"] == "Zyste"


def test_what_cannot_be_is_said(place: Place) -> None:
    with place.workspace.writing() as store:
        for wrong in (
            lambda writer: rename_class(writer, "nichts", "neu", annotator="A"),
            lambda writer: rename_class(writer, "Masse", "Zyste", annotator="A"),
            lambda writer: merge_class(writer, "Masse", "Masse", annotator="A"),
            lambda writer: merge_class(writer, "Masse", "nichts", annotator="A"),
            lambda writer: order_classes(writer, ["Masse", "Masse"], annotator="A"),
        ):
            with pytest.raises(LabelError), store.transaction() as writer:
                wrong(writer)
    assert place.rows("SELECT count(*) FROM class_events") == [0]


def test_the_command(place: Place) -> None:
    def said(*arguments: str) -> str:
        done = cli(place.base, "classes", *arguments, "--db", place.db)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Zyste" in said("list")
    would = said("merge", "große Masse", "--into", "Masse", "--dry-run")
    assert "Would merge große Masse into Masse: 2 labels of images, 2 scores of models." in would
    assert place.rows("SELECT count(*) FROM class_events") == [0]
    assert "Renamed Zyste to Cyste: 2 labels of images." in said("rename", "Zyste", "Cyste")
    refused = cli(place.base, "classes", "rename", "Cyste", "masse", "--db", place.db)
    assert (refused.returncode, "differ only in case" in refused.stderr) == (2, True)
    said("hide", "Cyste")
    assert "Cyste (hidden)" in said("list")

"""Versions: what was frozen comes back after later runs, or is named."""

import csv
import random
import warnings
from pathlib import Path

import pytest

import dicomprep
from dicomprep.checks.verify import verify_version
from dicomprep.errors import ConfigError
from dicomprep.exchange.export import export_frames
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.exchange.pseudonyms import Pseudonyms
from dicomprep.exchange.rows import read_rows
from dicomprep.exchange.versions import compare, freeze
from tests.running import Place, cli, make_files, set_labels

NAMES = [f"Müller Ä/IM {number:02d}.dcm" for number in range(12)]


def fill(place: Place) -> Place:
    make_files(place.source, *NAMES, "頭部/cine.dcm:4")
    place.run(split="60/20/20")
    set_labels(place, {f"Müller Ä/IM {number:02d}": ("a", "b")[number % 2] for number in range(8)}, annotator="Ann")
    return place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return fill(Place(tmp_path / "Daten"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One that no test changes but by freezing it."""
    return fill(Place(tmp_path_factory.mktemp("shared")))


def content(place: Place, version: str | None = None) -> dict[str, tuple[str, str | None, bytes]]:
    """Of every image by its key, as exports have them: split, label, and the bytes of the file."""
    rows = read_rows(place.workspace, ExportOptions(version=version), Pseudonyms(place.workspace.key))
    return {rows.key(n): (rows.value("split", n), rows.value("label", n), rows.image(n)) for n in range(len(rows))}


def relabel(place: Place, generator: random.Random) -> None:
    names = place.rows("SELECT filename FROM images")
    set_labels(place, {name: generator.choice(["a", "b", "new", None]) for name in names[::2]}, annotator="Ann")


def test_a_version_comes_back_after_rounds_of_changes_or_names_what_is_lost(any_place: Place) -> None:
    place = fill(any_place)
    generator = random.Random(5)
    version = freeze(place.workspace, "v1")
    frozen = content(place)
    assert version.images == len(frozen) == 16
    for number in range(5):
        make_files(place.source, f"new/IM{number}.dcm", f"Müller Ä/IM {number:02d}.dcm", seed=100 + number)
        (place.source / NAMES[11 - number]).unlink()
        place.run(split="60/20/20", prune=True)
        relabel(place, generator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = dicomprep.Dataset(place.db, version="v1")
        now = content(place, "v1")
        lost = {image.key for image in data.lost}
        assert now | {key: frozen[key] for key in lost} == frozen
        assert not lost & now.keys()
        assert data.classes == ("a", "b")
        assert [r.label for r in map(data.record, range(len(data)))] == [
            data.classes[target] if target >= 0 else "" for target in data.targets
        ]
    assert lost, "files were removed"


def test_what_returns_is_found_again(place: Place) -> None:
    freeze(place.workspace, "v1")
    before = content(place, "v1")
    kept = (place.source / NAMES[0]).read_bytes()
    (place.source / NAMES[0]).unlink()
    place.run(split="60/20/20", prune=True)
    with pytest.warns(UserWarning, match="1 image of the version cannot be given any more: 1 removed"):
        assert len(dicomprep.Dataset(place.db, version="v1")) == 15
    (place.source / NAMES[0]).write_bytes(kept)
    place.run(split="60/20/20")
    assert content(place, "v1") == before


def test_a_duplicate_takes_the_place_of_an_original(place: Place) -> None:
    """The image of a version is the same, whatever file it comes from."""
    freeze(place.workspace, "v1")
    before = content(place, "v1")
    (place.source / "zz.dcm").write_bytes((place.source / NAMES[0]).read_bytes())
    place.run(split="60/20/20")
    (place.source / NAMES[0]).unlink()
    place.run(split="60/20/20", prune=True)
    assert content(place, "v1") == before


def test_the_order_is_that_of_the_keys(shared: Place) -> None:
    freeze(shared.workspace, "by key")
    pseudonyms = Pseudonyms(shared.workspace.key)
    keys = [pseudonyms.of_image(r.filename) for _, _, r in dicomprep.Dataset(shared.db, version="by key")]
    assert keys == sorted(keys)


def test_a_version_does_not_change(place: Place) -> None:
    freeze(place.workspace, "v1")
    with pytest.raises(ConfigError, match="There is a version v1 already"):
        freeze(place.workspace, "v1")
    same = freeze(place.workspace, "v2")
    assert same.digest == freeze(place.workspace, "v3").digest
    set_labels(place, {"Müller Ä/IM 00": "b"}, annotator="Ann")
    assert freeze(place.workspace, "v4").digest != same.digest


@pytest.mark.parametrize("name", ["", " ", " v1", "a\nb", "x" * 101, "\x1b[2J"])
def test_names_that_are_none(shared: Place, name: str) -> None:
    with pytest.raises(ConfigError, match="A version's name is"):
        freeze(shared.workspace, name)


def test_an_unknown_version_is_answered_with_those_that_there_are(place: Place) -> None:
    with pytest.raises(ConfigError, match="There are none: `dicomprep freeze NAME` makes one"):
        dicomprep.Dataset(place.db, version="v9")
    freeze(place.workspace, "Fassung 1")
    with pytest.raises(ConfigError, match=r"There is no version v9\. There are: Fassung 1"):
        dicomprep.Dataset(place.db, version="v9")


def test_conditions_are_on_what_was_frozen(place: Place) -> None:
    freeze(place.workspace, "v1")
    before = [r.filename for _, _, r in dicomprep.Dataset(place.db, version="v1", where="label = 'a'")]
    set_labels(place, {"Müller Ä/IM 00": "b", "Müller Ä/IM 01": "a"}, annotator="Ann")
    for options in ({"where": "label = 'a'"}, {"labels": ["a"]}):
        assert [r.filename for _, _, r in dicomprep.Dataset(place.db, version="v1", **options)] == before  # type: ignore[arg-type]


def test_an_export_of_a_version_stays_as_it_was(place: Place, tmp_path: Path) -> None:
    freeze(place.workspace, "v1")
    options = ExportOptions(version="v1")
    export_frames(Format.CSV, tmp_path / "before", place.workspace, options=options)
    set_labels(place, {"Müller Ä/IM 00": "b"}, annotator="Ann")
    make_files(place.source, "new.dcm")
    place.run(split="60/20/20")
    again = export_frames(Format.CSV, tmp_path / "before", place.workspace, options=options)
    assert (again.added, again.changed, again.removed) == (0, 0, 0)
    export_frames(Format.CSV, tmp_path / "after", place.workspace, options=options)
    before, after = (table(tmp_path / name) for name in ("before", "after"))
    assert before == after
    assert freeze(place.workspace, "v2").digest not in (tmp_path / "after" / "README.md").read_text()
    assert "Version v1, as `dicomprep freeze` recorded it: SHA-256" in (tmp_path / "after" / "README.md").read_text()


def table(folder: Path) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows += csv.DictReader(file)
    return rows


def test_labels_of_studies_and_folds_are_frozen(tmp_path: Path) -> None:
    place = Place(tmp_path / "Daten")
    make_files(place.source, *NAMES)
    place.run(split="60/20/20", folds=3)
    table = place.base / "studies.csv"
    studies = place.rows("SELECT DISTINCT study_instance_uid FROM files ORDER BY 1")
    table.write_text("StudyInstanceUID,label\n" + "".join(f"{uid},{'ab'[n % 2]}\n" for n, uid in enumerate(studies)))
    assert cli(place.base, "labels", "import", table, "--db", place.db).returncode == 0
    freeze(place.workspace, "v1")
    before = units(place)
    assert {label for _, label in before} == {"a", "b"}
    table.write_text(f"StudyInstanceUID,label\n{studies[0]},b\n")
    assert cli(place.base, "labels", "import", table, "--db", place.db).returncode == 0
    place.execute("UPDATE groups SET fold = 0")
    assert units(place) == before
    difference = compare(place.workspace, "v1", None)
    assert [(old, new) for key, old, new in difference.relabeled if key.startswith("study ")] == [("a", "b")]
    assert difference.moved
    folds = {r.fold for _, _, r in dicomprep.Dataset(place.db, version="v1")}
    assert folds - {-1, 0}


def units(place: Place) -> list[tuple[str, str]]:
    data = dicomprep.Dataset(place.db, version="v1", unit="study")
    return [(record.records[0].filename, record.label) for _, _, record in data]


def test_differences_are_named(place: Place) -> None:
    freeze(place.workspace, "v1")
    set_labels(place, {"Müller Ä/IM 00": "b", "Müller Ä/IM 08": "a"}, annotator="Ann")
    (place.source / NAMES[1]).unlink()
    make_files(place.source, "new.dcm", seed=50)
    place.run(split="60/20/20", prune=True)
    freeze(place.workspace, "v2")
    for after in ("v2", None):
        difference = compare(place.workspace, "v1", after)
        assert (len(difference.added), len(difference.removed), difference.same) == (1, 1, 13)
        assert sorted((old or "", new or "") for _, old, new in difference.relabeled) == [("", "a"), ("a", "b")]
    assert not compare(place.workspace, "v2", None).is_one
    place.run(split="60/20/20", size=24)
    assert len(compare(place.workspace, "v2", None).rendered) == 16


def test_commands(place: Place) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = cli(place.base, *arguments, "--db", place.db)
        return done.returncode, done.stdout + done.stderr

    assert run("versions")[1].startswith("No version yet")
    assert run("freeze", "Ärztetag 2026")[1].startswith("Froze 16 images as version Ärztetag 2026.")
    assert "Ärztetag 2026\t" in run("versions")[1]
    assert run("diff", "Ärztetag 2026") == (0, "16 images unchanged.\n")
    assert run("verify", "--version", "Ärztetag 2026")[0] == 0
    image = next(place.output.rglob("*.png"))
    image.write_bytes(b"")
    code, said = run("verify", "--version", "Ärztetag 2026")
    assert code == 1
    assert "15 of 16 images of version Ärztetag 2026 are as they were frozen." in said
    assert run("freeze", "Ärztetag 2026")[0] == 2
    assert run("verify", "--version", "x", "--repair")[0] == 2


def test_held_images_are_named_and_not_given(place: Place) -> None:
    freeze(place.workspace, "v1")
    place.execute("UPDATE frames SET burned_in = 'high' WHERE filename = 'Müller Ä/IM 00'")
    place.execute("INSERT INTO meta VALUES ('hold_burned_in', '1')")
    with pytest.warns(UserWarning, match="1 held back"):
        data = dicomprep.Dataset(place.db, version="v1")
    assert len(data) == 15
    findings = verify_version(place.workspace, "v1", progress=lambda _done, _all: None)
    assert [image.filename for image in findings.lost] == ["Müller Ä/IM 00"]
    assert not findings.is_whole

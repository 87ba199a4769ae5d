"""A run with other options than the last one says what it processes again, before it does."""

from pathlib import Path

import pytest

import dicomprep
from tests.running import Place, cli, make_files


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    make_files(made.source, "Étude 1/a.dcm", "Étude 1/b.dcm")
    return made


def preprocess(place: Place, *options: str) -> str:
    done = cli(place.base, "preprocess", "in", "--output-dir", "out", "--db", place.db, "--workers", "1", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def sizes(place: Place) -> set[int]:
    return {int.from_bytes(png[16:20]) for png in place.images().values()}


def test_a_data_set_goes_on_with_its_options(place: Place) -> None:
    preprocess(place, "--size", "40", "--orient", "--split", "0/0/100", "--test-unidentified", "--tag", "StationName")
    before = place.images()
    make_files(place.source, "Étude 2/c.dcm", seed=9)
    said = preprocess(place)
    assert "rendered again" not in said
    assert "split so" not in said
    assert sizes(place) == {40}
    assert before.items() < place.images().items()
    assert set(place.rows("SELECT split FROM images")) == {"test"}
    assert place.rows("SELECT count(DISTINCT fingerprint) FROM files") == [1]


def test_a_given_option_changes_it_and_says_what_is_redone(place: Place) -> None:
    preprocess(place, "--size", "40", "--fit", "crop", "--orient", "--tag", "StationName")
    again = preprocess(place, "--size", "24", "--fit", "pad", "--no-orient", "--empty-tag")
    change = "size 40 → 24, fit crop → pad, orient yes → no, tag StationName → none"
    assert f"Warning: {change}: 2 images of 2 files are rendered again." in again
    assert sizes(place) == {24}
    assert "rendered again" not in preprocess(place)
    assert sizes(place) == {24}


@pytest.mark.parametrize("file", ["in/dicomprep.toml", "dicomprep.toml"])
def test_a_file_of_options_only_proposes(place: Place, file: str) -> None:
    preprocess(place, "--size", "40")
    (place.base / file).write_text("size = 24\n")
    said = preprocess(place)
    assert f"Options from {file}: size\n" in said
    assert "size 40 → 24: 2 images of 2 files would be rendered again. To do it: --rerender" in said
    assert sizes(place) == {40}
    assert "size 40 → 24: 2 images of 2 files are rendered again." in preprocess(place, "--rerender")
    assert sizes(place) == {24}
    assert "rendered again" not in preprocess(place)


def test_each_folder_goes_on_with_its_own_options(place: Place) -> None:
    make_files(place.base / "more", "s/x.dcm", seed=20)
    preprocess(place, "--size", "40")
    cli(place.base, "preprocess", "more", "--output-dir", "out", "--db", place.db, "--workers", "1", "--size", "24")
    assert "rendered again" not in preprocess(place)
    assert sizes(place) == {24, 40}


def test_python_goes_on_with_them_too(place: Place) -> None:
    known = {"output_dir": place.output, "db": place.db, "workers": 1}
    dicomprep.preprocess(place.source, **known, size=40, depth=16)
    assert dicomprep.preprocess(place.source, **known).processed == 0
    assert dicomprep.preprocess(place.source, **known, size=24).processed == 2
    assert sizes(place) == {24}


def test_other_shares_are_said(place: Place) -> None:
    preprocess(place, "--split", "0/0/100", "--test-unidentified")
    said = preprocess(place, "--split", "80/10/10")
    assert "split 0/0/100 → 80/10/10: only new patients are split so" in said
    assert "rendered again" not in said
    assert "only new patients" not in preprocess(place)


@pytest.mark.parametrize("options", ["", "[]", '{"image": 3}', '{"image": {"size": "x"}}', '{"image": {"size": -1}}'])
def test_damaged_options_of_the_last_run_are_no_matter(place: Place, options: str) -> None:
    preprocess(place, "--size", "40")
    place.execute("UPDATE runs SET options = ?", options)
    assert "2 recorded files to be processed again" in preprocess(place)
    assert sizes(place) == {224}


def test_images_of_older_rules_are_said_to_be_drawn_differently(place: Place) -> None:
    preprocess(place)
    place.execute("UPDATE files SET fingerprint = '0123456789abcdef'")
    assert "2 recorded files to be processed again: this version of dicomprep renders" in preprocess(place)

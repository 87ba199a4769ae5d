"""A run with other options than the last one says what it processes again, before it does."""

from pathlib import Path

import pytest

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


def test_another_option_is_said_with_its_number(place: Place) -> None:
    preprocess(place, "--size", "40")
    said = preprocess(place)
    assert "Warning: 2 recorded files to be processed again, with --size 224 instead of --size 40. To keep" in said
    assert sizes(place) == {224}
    assert "processed again" not in preprocess(place)
    assert sizes(place) == {224}


@pytest.mark.parametrize("file", ["in/dicomprep.toml", "dicomprep.toml"])
def test_options_in_files_are_said_alike(place: Place, file: str) -> None:
    preprocess(place, "--size", "40")
    (place.base / file).write_text("size = 24\n")
    assert "processed again, with --size 24 instead of --size 40." in preprocess(place)
    assert sizes(place) == {24}


def test_other_shares_are_said(place: Place) -> None:
    preprocess(place, "--split", "0/0/100", "--test-unidentified", "--tag", "StationName")
    said = preprocess(place, "--tag", "StationName")
    assert "New patients are split with --split 80/10/10 --test-unidentified=false; recorded ones keep" in said
    assert "processed again" not in said
    assert "New patients" not in preprocess(place, "--tag", "StationName")


def test_tags_are_said(place: Place) -> None:
    preprocess(place, "--tag", "StationName", "--fit", "crop")
    said = preprocess(place)
    assert "with --fit pad no --tag instead of --fit crop --tag StationName." in said


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

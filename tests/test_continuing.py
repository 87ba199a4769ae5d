"""A later run goes on as the data set was begun, and says what it does again."""

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


def test_options_not_given_are_those_of_the_last_run(place: Place) -> None:
    preprocess(place, "--size", "40", "--fit", "crop", "--tag", "StationName")
    before = place.images()
    make_files(place.source, "new/c.dcm", seed=7)
    said = preprocess(place)
    assert "As in the last run: --size 40 --fit crop --tag StationName\n" in said
    assert "2 unchanged" in said
    assert sizes(place) == {40}
    assert before.items() <= place.images().items()


def test_another_option_is_said_with_its_number(place: Place) -> None:
    preprocess(place, "--size", "40")
    said = preprocess(place, "--size", "224")
    assert "Warning: 2 inputs are processed again, with --size 224 (before: --size 40).\n" in said
    assert sizes(place) == {224}
    assert "processed again" not in preprocess(place)
    assert sizes(place) == {224}


@pytest.mark.parametrize("file", ["in/dicomprep.toml", "dicomprep.toml"])
def test_files_of_options_count_more_than_the_last_run(place: Place, file: str) -> None:
    preprocess(place, "--size", "40")
    (place.base / file).write_text("size = 24\n")
    assert "processed again, with --size 24 (before: --size 40)" in preprocess(place)
    assert sizes(place) == {24}


def test_shares_unit_and_links_stay_those_of_the_data_set(place: Place) -> None:
    preprocess(place, "--split", "0/0/100", "--group-by", "study", "--test-unidentified", "--follow-links")
    make_files(place.source, *(f"new {number}/c.dcm" for number in range(6)), seed=9)
    said = preprocess(place)
    assert "As in the last run: --split 0/0/100 --group-by study --test-unidentified --follow-links\n" in said
    assert place.rows("SELECT DISTINCT split FROM images") == ["test"]


def test_a_switch_can_be_turned_off(place: Place) -> None:
    preprocess(place, "--follow-links")
    assert "--follow-links" not in preprocess(place, "--follow-links=false")
    assert "As in the last run" not in preprocess(place)


def test_another_folder_of_the_data_set_is_drawn_alike(place: Place) -> None:
    preprocess(place, "--size", "40")
    make_files(place.base / "Second Delivery", "x.dcm", seed=3)
    done = cli(place.base, "preprocess", "Second Delivery", "--output-dir", "out", "--db", place.db)
    assert "As in the last run: --size 40" in done.stdout
    assert sizes(place) == {40}


def test_calls_go_on_too(place: Place) -> None:
    places = {"output_dir": place.output, "db": str(place.db), "workers": 1}
    dicomprep.preprocess(place.source, size=40, **places)
    assert dicomprep.preprocess(place.source, **places).unchanged == 2
    assert dicomprep.preprocess(place.source, size=224, **places).unchanged == 0


@pytest.mark.parametrize("options", ["", "[]", '{"image": 3}', '{"image": {"size": "x"}}', '{"image": {"size": -1}}'])
def test_damaged_options_of_the_last_run_are_not_gone_on_with(place: Place, options: str) -> None:
    preprocess(place, "--size", "40")
    place.execute("UPDATE runs SET options = ?", options)
    assert "2 inputs are processed again" in preprocess(place)
    assert sizes(place) == {224}


def test_images_of_older_rules_are_said_to_be_drawn_differently(place: Place) -> None:
    preprocess(place)
    place.execute("UPDATE files SET fingerprint = '0123456789abcdef'")
    assert "2 inputs are processed again: this version of dicomprep draws" in preprocess(place)

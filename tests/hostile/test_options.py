"""What a file of options in a folder of data, which may be anybody's, can bring about: nothing but how images look."""

import os
from pathlib import Path

import pytest

from tests.running import Place, cli, make_files

HERE = ("--workers", "1")
OPTIONS = (
    "db = 'theirs.db'",
    "output_dir = '/tmp/theirs'",
    "workers = 61",
    "tag = ['PatientName']",
    "hold_burned_in = false",
    "follow_links = true",
    "names = 'path'",
    "dicom_dir = '/'",
    "[label]\nhost = '0.0.0.0'",
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    make_files(place.source, "a.dcm")
    return place


def test_options_of_images_are_taken_and_their_file_is_named_once(place: Place) -> None:
    (place.source / "dicomprep.toml").write_text("size = 24\nfit = 'crop'\n")
    (place.base / "dicomprep.toml").write_text("size = 32\ndb = 'mine.db'\n")
    done = cli(place.base, "preprocess", "in", *HERE, "--fit", "stretch")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Options from in/dicomprep.toml: size\n") == 1
    assert (place.base / "mine.db").is_file()


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("folder", [".", "in"])
def test_everything_else_is_refused(place: Place, option: str, folder: str) -> None:
    (place.source / "dicomprep.toml").write_text(f"size = 24\n{option}\n")
    done = cli(place.base / folder, "preprocess", "in" if folder == "." else ".", *HERE)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "Beside the data" in done.stderr
    assert not list(place.base.rglob("*.db"))


def test_nothing_is_taken_from_a_current_folder_within_the_data(place: Place) -> None:
    (place.source / "pyproject.toml").write_text("[tool.dicomprep]\ndb = 'theirs.db'\n")
    assert cli(place.source, "preprocess", ".", "--output-dir", "../out", "--db", "../x.db", *HERE).returncode == 0
    assert cli(place.source, "preprocess", "..", "--output-dir", "../out2", *HERE).returncode == 0
    assert not list(place.base.rglob("theirs.db"))


@pytest.mark.parametrize("kind", ["pipe", "link", "device", "folder", "large", "deep", "encoding"])
def test_what_is_no_small_file_of_options_is_one_sentence(place: Place, kind: str) -> None:
    path = place.source / "dicomprep.toml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind in ("link", "device"):
        (place.base / "other.toml").write_text("size = 24\n")
        path.symlink_to("/dev/zero" if kind == "device" else place.base / "other.toml")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(
            {"large": b"#" * (2**16 + 1), "deep": b"size = " + b"[" * 20_000, "encoding": b"size = '\xff'"}[kind]
        )
    done = cli(place.base, "preprocess", "in", *HERE, timeout=20)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "dicomprep.toml cannot be read" in done.stderr


@pytest.mark.parametrize("option", ["host = '0.0.0.0'", "token = 'known-to-its-sender'", "allow_host = 'x.org'"])
@pytest.mark.parametrize("file", ["dicomprep.toml", "pyproject.toml"])
def test_who_may_open_the_page_is_said_on_the_command_line_alone(place: Place, option: str, file: str) -> None:
    heading = "[tool.dicomprep.label]" if file == "pyproject.toml" else "[label]"
    (place.base / file).write_text(f"{heading}\n{option}\n")
    done = cli(place.base, "label", timeout=20)
    assert (done.returncode, "can only be given on the command line" in done.stderr) == (2, True), done.stderr

"""An output folder on a shared disk, and a database that somebody sends: neither leads a run anywhere else."""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from dicomprep.workspace import MARK
from tests.running import Place, cli, make_files, wait_until

NAMES = ("Patient Ä/a.dcm", "Patient Ä/cine.dcm:3", "頭部/b.dcm", "c.dcm")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "data set")
    make_files(place.source, *NAMES)
    place.run()
    return place


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of somebody else, with what could be overwritten, removed or shown."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("a.png", "cine_frame0001.png", "b.png", "secret.txt"):
        (folder / name).write_bytes(b"not yours")
    return folder


def untouched(folder: Path) -> bool:
    names = {path.name: path.read_bytes() for path in folder.iterdir()}
    return names == dict.fromkeys(("a.png", "cine_frame0001.png", "b.png", "secret.txt"), b"not yours")


def preprocess(place: Place, *options: object) -> tuple[int, str]:
    paths = (place.source, "--output-dir", place.output, "--db", place.db, "--workers", 2)
    done = cli(place.base, "preprocess", *paths, *options)
    return done.returncode, done.stderr


def verify(place: Place, *options: object) -> tuple[int, str]:
    done = cli(place.base, "verify", "--db", place.db, *options)
    return done.returncode, done.stderr + done.stdout


# Links


@pytest.mark.parametrize("linked", ["Patient Ä", ".dicomprep-tmp"])
def test_a_linked_folder_is_neither_written_nor_removed_from(place: Place, elsewhere: Path, linked: str) -> None:
    link = place.output / linked
    if link.exists():
        link.rename(place.base / "moved")
    link.symlink_to(elsewhere)
    code, said = preprocess(place, "--size", "24")
    assert (code, "is a link" in said) == (3, True), said
    assert untouched(elsewhere)
    verify(place, "--repair")
    assert untouched(elsewhere)


def test_images_of_sources_that_changed_are_not_removed_through_a_link(place: Place, elsewhere: Path) -> None:
    (place.output / "Patient Ä").rename(place.base / "moved")
    (place.output / "Patient Ä").symlink_to(elsewhere)
    (place.source / "Patient Ä/cine.dcm").write_bytes(b"no image any more" * 100)
    assert preprocess(place)[0] == 3
    assert untouched(elsewhere)


@pytest.mark.parametrize("name", [MARK, f"{MARK}.new", f"{MARK}.draft", ".dicomprep.lock"])
def test_the_programs_own_files_are_not_written_through_links(place: Place, elsewhere: Path, name: str) -> None:
    (place.output / name).unlink(missing_ok=True)
    (place.output / name).symlink_to(elsewhere / "secret.txt")
    preprocess(place)
    assert untouched(elsewhere)


@pytest.mark.parametrize("ending", [".key.new", ".lock"])
def test_what_lies_beside_the_database_is_not_written_through_links(
    tmp_path: Path, elsewhere: Path, ending: str
) -> None:
    place = Place(tmp_path / "new")
    make_files(place.source, *NAMES)
    Path(f"{place.db}{ending}").symlink_to(elsewhere / "secret.txt")
    preprocess(place)
    assert untouched(elsewhere)


def test_a_linked_image_is_neither_shown_nor_loaded(place: Place, elsewhere: Path) -> None:
    from dicomprep import Dataset, EnvironmentFault

    image = place.output / "頭部/b.png"
    image.unlink()
    image.symlink_to(elsewhere / "b.png")
    with pytest.raises(EnvironmentFault, match=r"b\.png cannot be read"):
        list(Dataset(place.db))
    assert "altered" in verify(place)[1]


@pytest.mark.parametrize("what", ["mark", "lock", "key"])
def test_a_pipe_is_not_waited_for(place: Place, what: str) -> None:
    path = {"mark": place.output / MARK, "lock": place.output / ".dicomprep.lock"}.get(what)
    path = path or place.workspace.key_path
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    code, said = preprocess(place)
    assert code in (0, 2, 3), said
    assert what != "key" or (code == 3 and "is not a regular file" in said), said


# Databases that were made elsewhere

BAD_NAMES = (
    "../elsewhere/a.png",
    "Patient Ä/../../elsewhere/b.png",
    "/etc/passwd",
    "../elsewhere/secret.txt",
    "",
    "..",
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_lead_out_are_refused_wherever_they_are_read(place: Place, elsewhere: Path, name: str) -> None:
    place.execute("UPDATE frames SET thumbnail_path = ? WHERE filename = 'Patient Ä/a'", name)
    assert cli(place.base, "export", "folder", "x", "--db", place.db).returncode == 3
    assert verify(place)[0] == 1
    for done in (verify(place, "--repair"), preprocess(place, "--size", "24")):
        assert done[0] in (0, 1, 3), done
    assert untouched(elsewhere)


@pytest.mark.parametrize("name", ["../elsewhere/a", "/tmp/a", "Patient Ä/../../elsewhere/b"])
def test_a_recorded_name_of_an_input_leads_nowhere_else(place: Place, elsewhere: Path, name: str) -> None:
    place.execute("UPDATE files SET name = ? WHERE path = 'Patient Ä/a.dcm'", name)
    code, said = preprocess(place, "--size", "24")
    assert (code, "names an image" in said) == (3, True), said
    assert untouched(elsewhere)


@pytest.mark.parametrize(
    "listed", ['["../elsewhere/a.png"]', '["/etc/hostname"]', "not JSON", '{"a": 1}', "[1]", "[" * 9000]
)
def test_images_to_be_removed_are_checked(place: Place, elsewhere: Path, listed: str) -> None:
    place.execute("INSERT INTO meta (key, value) VALUES ('unnamed_images', ?)", listed)
    code, said = preprocess(place)
    assert code == 3, said
    assert untouched(elsewhere)


@pytest.mark.parametrize("command", [("verify", "--repair"), ("retry",)])
def test_a_database_does_not_choose_the_folder_that_is_written_to(
    place: Place, elsewhere: Path, command: tuple[str, ...]
) -> None:
    place.execute("UPDATE meta SET value = '../elsewhere' WHERE key = 'output_dir'")
    place.execute("UPDATE files SET status = 'failed', error_code = 'timeout' WHERE path = 'c.dcm'")
    done = cli(place.base, *command, "--db", place.db)
    assert (done.returncode, "is not marked" in done.stderr) == (2, True), done.stderr
    assert untouched(elsewhere)


def test_what_was_removed_before_its_mark_is_made_again(place: Place) -> None:
    """A data set's own folder that is gone as a whole is no stranger's."""
    before = place.images()
    place.output.rename(place.base / "moved away")
    assert verify(place, "--repair")[0] == 0
    assert place.images() == before


DAMAGED = ("", "null", "[]", "{}", '{"image": 3}', "{" * 20000, '{"image": {"size": "x"}, "budget": {}, "splits": {}}')


@pytest.mark.parametrize("options", DAMAGED)
def test_damaged_options_of_a_run_are_one_sentence(place: Place, options: str) -> None:
    place.execute("UPDATE runs SET options = ?", options)
    place.execute("UPDATE files SET status = 'failed', error_code = 'timeout' WHERE path = 'c.dcm'")
    (place.output / "頭部/b.png").unlink()
    for command in (("retry",), ("verify", "--repair")):
        done = cli(place.base, *command, "--db", place.db)
        assert done.returncode in (2, 3), (command, done.stdout, done.stderr)
        assert done.stderr.count("\n") == 1


# An output folder that goes away


def test_a_folder_that_is_moved_away_during_a_run_ends_it(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_files(place.source, *(f"s{number % 5}/{number:03}.dcm" for number in range(300)))

    def move() -> None:
        wait_until((place.output / "s0" / "020.png").exists, 60)
        place.output.rename(tmp_path / "moved")

    mover = threading.Thread(target=move)
    mover.start()
    code, said = preprocess(place)
    mover.join()
    assert (code, "was moved or replaced" in said) == (3, True), said
    shutil.rmtree(place.output, ignore_errors=True)
    (tmp_path / "moved").rename(place.output)
    assert preprocess(place)[0] == 0
    place.check()
    assert len(place.images()) == 300


@pytest.mark.parametrize("command", ["retry", "verify --repair"])
def test_a_folder_that_is_moved_away_during_a_retry_or_repair_ends_it(tmp_path: Path, command: str) -> None:
    place = Place(tmp_path)
    make_files(place.source, *(f"s{number % 5}/{number:03}.dcm" for number in range(300)))
    assert preprocess(place)[0] == 0
    for image in place.output.rglob("*.png"):
        image.unlink()
    if command == "retry":
        place.execute("UPDATE files SET status = 'failed', error_code = 'truncated', fingerprint = ''")

    def move() -> None:
        wait_until((place.output / "s0" / "020.png").exists, 60)
        place.output.rename(tmp_path / "moved")

    mover = threading.Thread(target=move)
    mover.start()
    done = cli(place.base, *command.split(), "--db", place.db, "--workers", 2)
    mover.join()
    assert (done.returncode, "was moved or replaced" in done.stderr) == (3, True), done.stderr
    shutil.rmtree(place.output, ignore_errors=True)
    (tmp_path / "moved").rename(place.output)
    cli(place.base, "verify", "--repair", "--db", place.db)
    preprocess(place)
    place.check()
    assert len(place.images()) == 300


def test_a_run_says_that_recorded_images_are_missing(place: Place) -> None:
    assert "verify --repair" not in preprocess(place)[1]
    (place.output / "頭部/b.png").unlink()
    code, said = preprocess(place)
    assert (
        code,
        "checked (a sample) are missing" in said,
        "dicomprep verify --repair" in said,
    ) == (0, True, True), said


def test_a_cut_or_strange_mark_is_none(place: Place) -> None:
    for content in (b"", b"{", b"[]", b"\xff\xfe", b"[" * 16000, json.dumps({"database": 1}).encode(), b"x" * 10**6):
        (place.output / MARK).write_bytes(content)
        assert preprocess(place)[0] == 0
        assert json.loads((place.output / MARK).read_text("utf-8"))["data_set"]

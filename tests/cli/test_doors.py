"""How commands are told things: values with a minus, defaults files, databases by URL; failures that stay; pools."""

import multiprocessing
import os
import pty
import shlex
import signal
import subprocess
import termios
import time
from contextlib import suppress
from pathlib import Path

import pytest

import dicomprep
from dicomprep.database.address import DatabaseAddress
from dicomprep.errors import ConfigError
from dicomprep.workspace import Workspace
from tests.running import Place, call, cli, dicomprep_command, make_files

HERE = ("--size", "16", "--workers", "1", "--output-dir", "out")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    make_files(made.source, "s/a.dcm", "s/b.dcm")
    return made


@pytest.mark.parametrize(
    "words", [("--window", "-600/1500"), ("--window", "-600/1500,40/400,400/1800"), ("--db", "-x.db")]
)
def test_a_value_may_begin_with_a_minus(place: Place, words: tuple[str, str]) -> None:
    assert cli(place.base, "preprocess", "in", *HERE, *words).returncode == 0


def test_inspect_takes_a_window_below_zero(place: Place) -> None:
    done = cli(place.base, "inspect", "in/s/a.dcm", "--window", "-600/1500")
    assert done.returncode == 0


@pytest.mark.parametrize("words", [("preprocess", ""), ("preprocess", "in", "--output-dir", ""), ("inspect", "")])
def test_an_empty_path_is_not_the_current_folder(place: Place, words: tuple[str, ...]) -> None:
    """`preprocess "$SCANS"` where SCANS is not set."""
    done = cli(place.base, *words)
    assert done.returncode == 2
    assert "the path is empty" in done.stderr
    assert not (place.base / "dicomprep.db").exists()


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&-", "0<&- 1>&- 2>&-"])
def test_standard_streams_may_be_closed(place: Place, closed: str) -> None:
    """As cron and some schedulers start programs; the database must not become the standard output."""
    command = f"{shlex.join(dicomprep_command('preprocess', 'in', *HERE))} {closed}"
    assert call(["sh", "-c", command], place.base).returncode == 0
    assert place.base.joinpath("dicomprep.db").read_bytes().startswith(b"SQLite format 3")
    assert sorted(path.name for path in place.output.rglob("*.png")) == ["a.png", "b.png"]


def test_a_terminal_of_80_columns_breaks_no_word(place: Place) -> None:
    """A pipe gets a line for each fact, as programs want it."""
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (24, 80))
    with subprocess.Popen(dicomprep_command("preprocess", "in", *HERE), cwd=place.base, stdout=inner, stderr=-3) as run:
        os.close(inner)
        shown = b""
        with suppress(OSError):  # the other end is closed
            while chunk := os.read(outer, 4096):
                shown += chunk
    os.close(outer)
    assert run.returncode == 0
    lines = shown.decode().splitlines()
    assert [line for line in lines if len(line) > 80 and " " in line.strip()] == []
    warning = next(number for number, line in enumerate(lines) if line.startswith("  Warning:  Splits with fewer"))
    assert lines[warning + 1].startswith(" " * 12) and len(lines[warning]) > 60
    assert max(map(len, cli(place.base, "preprocess", "in", *HERE).stdout.splitlines())) > 80


def test_an_option_is_no_value(place: Place) -> None:
    done = cli(place.base, "preprocess", "in", *HERE, "--window", "--strict")
    assert done.returncode != 0


@pytest.mark.parametrize("file", ["dicomprep.toml", "pyproject.toml"])
def test_a_byte_order_mark_is_no_part_of_the_options(place: Place, file: str) -> None:
    heading = b"[tool.dicomprep]\r\n" if file == "pyproject.toml" else b""
    (place.base / file).write_bytes(b"\xef\xbb\xbf" + heading + b"db = 'y.db'\r\n")
    assert cli(place.base, "preprocess", "in", *HERE).returncode == 0
    assert (place.base / "y.db").is_file()
    assert "Images by split" in cli(place.base, "status").stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [("size = 64".encode("utf-16"), "UTF-16"), (b"size = \n", "line 1"), (b"db = 'x'\nname = '\xe9'\n", "line 2")],
)
def test_what_cannot_be_read_is_one_sentence(place: Place, content: bytes, said: str) -> None:
    (place.base / "dicomprep.toml").write_bytes(content)
    done = cli(place.base, "status")
    assert done.returncode == 2
    assert said in done.stderr
    assert "dicomprep.toml" in done.stderr


@pytest.mark.parametrize(
    "url", ["sqlite:///u 1%.db", "sqlite+pysqlite:///u 1%.db", "{base}/u 1%.db", "sqlite:///{base}/u 1%.db"]
)
def test_a_database_is_the_same_however_it_is_written(place: Place, url: str) -> None:
    assert cli(place.base, "preprocess", "in", *HERE, "--db", url.format(base=place.base)).returncode == 0
    assert (place.base / "u 1%.db").is_file()
    assert (place.base / "u 1%.db.key").is_file()
    assert cli(place.base, "verify", "--db", url.format(base=place.base)).returncode == 0
    assert len(dicomprep.frames(f"sqlite:///{place.base}/u 1%.db")) == 2


def test_what_is_home_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert DatabaseAddress.parse("~/a.db").text == "/home/ann/a.db"
    assert DatabaseAddress.parse("postgres://ann@host/a").text == "postgresql://ann@host/a"


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://host/a.db", "sqlite:///a.db?mode=ro", " "]
)
def test_a_url_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="--db"):
        Workspace.open(url)


@pytest.mark.parametrize("command", ["status", "verify", "retry", "audit"])
def test_a_folder_is_no_database(place: Place, command: str) -> None:
    done = cli(place.base, command, "--db", "in")
    assert (done.returncode, "is a folder" in done.stderr) == (3, True)


def test_a_failure_that_stays_is_told_on_every_run(place: Place) -> None:
    bad = place.source / "s" / "b.dcm"
    content = bad.read_bytes()
    bad.write_bytes(content[:-50])
    runs = [place.run(strict=True) for _ in range(3)]
    assert [run.exit_code for run in runs] == [1, 1, 1]
    assert runs[2].unchanged_codes == {"truncated": 1}
    again = cli(place.base, "retry", "--db", place.db)
    assert again.returncode == 1
    bad.write_bytes(content)
    mended = place.run(strict=True)
    assert (mended.exit_code, mended.unchanged_codes.total()) == (0, 0)


def _images_made(base: str) -> int:
    return dicomprep.preprocess(f"{base}/in", output_dir=f"{base}/o", db=f"{base}/p.db", workers=2, size=16).frames


def test_what_others_start_after_a_run_can_be_ended(place: Place) -> None:
    """A pool, or torch's loaders: what they are copies of is not the process in which signals are held back."""
    place.run()
    process = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(120,))
    process.start()
    process.terminate()
    process.join(60)
    assert process.exitcode == -signal.SIGTERM


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_a_worker_of_a_pool_may_preprocess(place: Place, method: str) -> None:
    place.run()  # the process that workers are copies of is this one's, and none of the pool's
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply_async(_images_made, [str(place.base)]).get(60) == 2

"""The command line as a person or a script meets it: real processes, their output and exit codes."""

import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cyclopts import App

import dicomprep
from dicomprep.cli.app import app, main
from dicomprep.database.writes.store import Store
from tests.building import make_dicom
from tests.running import (
    Place,
    Started,
    call,
    cli,
    dicomprep_command,
    frames_of,
    make_files,
    script_command,
    started,
    wait_until,
)

Command = Callable[..., list[str]]
SMALL = ("--size", 16, "--workers", 1)


def preprocess_command(*arguments: object) -> list[str]:
    return dicomprep_command("preprocess", *arguments)


COMMANDS = pytest.mark.parametrize("command", [preprocess_command, script_command], ids=["dicomprep", "script"])


class DefaultPlace(Place):
    """As the command line's defaults have it, in its working directory."""

    @property
    def source(self) -> Path:
        return self.base / "samp_ds"

    @property
    def output(self) -> Path:
        return self.base / "thumbnails"

    @property
    def db(self) -> Path:
        return self.base / "dicomprep.db"

    def options(self) -> dict:
        """The options of the newest run, all in one."""
        (text,) = self.rows("SELECT options FROM runs ORDER BY id DESC LIMIT 1")
        options = json.loads(text)
        return options | options.pop("image") | options.pop("splits") | options.pop("budget")


@pytest.fixture
def place(tmp_path: Path) -> DefaultPlace:
    return DefaultPlace(tmp_path)


class Here:
    """The command line within this process: quick, and what it does not catch is raised."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def call(self, *arguments: object) -> tuple[object, str, str]:
        """Exit code, standard output, standard error."""
        with pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments])
        return ending.value.code, *self._capture.readouterr()


@pytest.fixture
def here(place: DefaultPlace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.chdir(place.base)
    return Here(capsys)


@pytest.fixture
def mixed(place: DefaultPlace) -> DefaultPlace:
    """Good files, and three that are bad in different ways."""
    make_files(place.source, "good.dcm", "s/many.dcm:3", "s/short.dcm:2")
    short = place.source / "s/short.dcm"
    os.truncate(short, short.stat().st_size - 50)
    (place.source / "false.dcm").write_text("no DICOM")
    make_dicom(place.source / "s/odd.dcm", frames_of(1)[0], PhotometricInterpretation="NONSENSE")
    make_dicom(place.source / "no image.dcm", PixelData=None)
    (place.source / "notes.txt").write_text("no DICOM")
    return place


# Options

OPTIONS = {
    "output_dir": "o",
    "db": "d.db",
    "workers": 2,
    "size": 20,
    "fit": "crop",
    "depth": 16,
    "window": "40/400",
    "frames": "first",
    "names": "hash",
    "split": "70/20/10",
    "group_by": "study",
    "timeout": 77.0,
    "max_memory": 777,
}


@COMMANDS
@pytest.mark.parametrize(
    "spell", [lambda name: f"--{name}", lambda name: f"--{name.replace('_', '-')}"], ids=["_", "-"]
)
def test_every_option_is_taken_in_both_spellings(
    place: DefaultPlace, command: Command, spell: Callable[[str], str]
) -> None:
    make_files(place.source, "s/a.dcm:3")
    options = [word for name, value in {"dicom_dir": "samp_ds", **OPTIONS}.items() for word in (spell(name), value)]
    done = call(command(*options, "--strict"), place.base)
    assert (done.returncode, done.stderr) == (0, "")
    (place.base / "d.db").rename(place.db)
    recorded = place.options()
    assert {name: recorded[name] for name in OPTIONS} == OPTIONS | {"output_dir": str(place.base / "o")}
    assert recorded["strict"] is True
    assert recorded["dicom_dir"] == str(place.source)
    assert len(list((place.base / "o").rglob("*.png"))) == 1


@COMMANDS
def test_defaults_are_the_seeds(place: DefaultPlace, command: Command) -> None:
    make_files(place.source, "study_001/image_a.dcm", "study_001/image_b.dcm:4")
    assert call(command("--dicom_dir", "samp_ds"), place.base).returncode == 0
    assert "study_001/image_b_frame0003.png" in place.images()
    assert cv2.imread(str(place.output / "study_001/image_a.png"), cv2.IMREAD_UNCHANGED).shape == (224, 224)
    place.check()


@pytest.mark.parametrize(
    "words",
    [
        preprocess_command("--test"),
        preprocess_command("--test", "True"),
        script_command("--test"),
        script_command("--test", "True"),
        script_command("--test=True"),
    ],
    ids=lambda words: " ".join(words[-2:])[-25:],
)
def test_test_uses_the_test_directory(place: DefaultPlace, words: list[str]) -> None:
    make_files(place.source, "a.dcm")
    done = call([*words, "--size", "16"], place.base)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Scanning samp_ds" in done.stdout
    assert list(place.images()) == ["samp_ds/a.png"]


@pytest.mark.parametrize("value", ["False", "0"])
def test_test_false_does_not(place: DefaultPlace, value: str) -> None:
    make_files(place.base / "mine", "a.dcm")
    done = call(script_command("--test", value, "--dicom_dir", "mine", *SMALL), place.base)
    assert done.returncode == 0
    assert list(place.images()) == ["mine/a.png"]


def test_the_test_directory_is_made_of_sample_files(place: DefaultPlace) -> None:
    done = cli(place.base, "preprocess", "--test", "--size", 16)
    assert done.returncode == 0
    assert (place.source / "CT_small.dcm").is_file()
    assert "samp_ds/CT_small.png" in place.images()
    place.check()


def commands_of(group: App, *before: str) -> Iterator[tuple[tuple[str, ...], App]]:
    """All commands as they are typed; a group such as `labels` stands for those in it."""
    for name, command in group.resolved_commands().items():
        if name.startswith("-"):
            continue
        if command.default_command is None:
            yield from commands_of(command, *before, name)
        else:
            yield (*before, name), command


def test_every_command_and_option_has_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = dict(commands_of(app))
    assert set(commands) >= {("preprocess",), ("status",), ("retry",), ("inspect",), ("predictions", "import")}
    for name, command in commands.items():
        app([*name, "--help"], exit_on_error=False, result_action="return_value")
        page = capsys.readouterr().out
        summary = command.help.strip().splitlines()[0]
        assert summary.split()[0] in page
        for argument in command.assemble_argument_collection():
            if argument.show:
                option = next((name for name in argument.names if name.startswith("--")), argument.names[0])
                assert re.search(rf"{option}\b[^│\n]* \w+ \w+", page), f"{' '.join(name)} {option} has no help"


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    from importlib.metadata import version

    assert cli(tmp_path, "--version").stdout.strip() == version("dicomprep")


# What it says


def test_the_summary_has_the_seeds_lines(mixed: DefaultPlace) -> None:
    done = cli(mixed.base, "preprocess", "samp_ds", *SMALL)
    rate = r"items in \d+\.\ds \(\d+\.\d/sec\)"
    wanted = rf"""Scanning samp_ds for DICOM files\.\.\.

Processing with 1 worker\.\.\.
    Processing: 5 {rate}

Updating database\.\.\.\.
  DB Insert: 5 {rate}
  Total in database: 5

={{50}}
SUMMARY
={{50}}
  Discover: 6 {rate}
  Processing: 5 {rate}
  DB Insert: 5 {rate}
={{50}}
(  .*\n)+
Preprocessing complete\. 5 frames ready for labeling\.
Run: python \S*scripts/02_label_server\.py
"""
    assert re.match(wanted, done.stdout), done.stdout
    assert "6 found: 2 done, 1 partial, 1 skipped (no pixel data), 2 failed" in done.stdout
    assert done.returncode == 0


def test_what_comes_next_can_be_typed_as_it_stands(mixed: DefaultPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is not the usual one is named; from a wheel, which has no scripts, the command is."""
    monkeypatch.chdir(mixed.base)
    given = ["preprocess", "samp_ds", *map(str, SMALL), "--output-dir", "other", "--db", "a b.db"]
    interpreter = Path(sys.executable)
    monkeypatch.setenv("PATH", "/usr/bin")
    said = cli(mixed.base, *given).stdout
    assert said.endswith(f"or:  {interpreter} -m dicomprep label --db 'a b.db'\n")
    assert f"again: {interpreter} -m dicomprep retry --db 'a b.db'\n" in said
    monkeypatch.setenv("PATH", str(interpreter.parent))
    assert "again: dicomprep retry --db 'a b.db'\n" in cli(mixed.base, *given).stdout
    code = "from dicomprep.cli import run; run.IN_CHECKOUT = False"
    code += f"; from dicomprep.cli.app import main; main({given})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Run: dicomprep label --db 'a b.db'\n" in done.stdout


def test_each_bad_file_has_one_line_with_its_name_reason_and_code(mixed: DefaultPlace) -> None:
    lines = cli(mixed.base, "preprocess", "samp_ds", *SMALL).stderr.splitlines()
    assert len(lines) == 3
    for name, reason, code in (
        ("samp_ds/false.dcm", "no DICM prefix", "not_dicom"),
        ("samp_ds/s/short.dcm", "frame 1; 1 of 2 frames failed", "truncated"),
        ("samp_ds/s/odd.dcm", "UNKNOWN", "unsupported_pixels"),
    ):
        (line,) = (line for line in lines if name in line)
        assert reason in line
        assert f"[{code}]" in line


@pytest.mark.parametrize("content", [None, "text"])
def test_without_dicoms_it_says_so(place: DefaultPlace, content: str | None) -> None:
    place.source.mkdir()
    if content:
        (place.source / "notes.txt").write_text(content)
    done = cli(place.base, "preprocess", "samp_ds")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("No DICOMs found. Exiting.\n")
    assert "SUMMARY" not in done.stdout


def test_off_a_terminal_there_is_no_bar_and_no_color(mixed: DefaultPlace) -> None:
    done = cli(mixed.base, "preprocess", "samp_ds", *SMALL)
    assert not re.search(r"[\x1b\r━█]", done.stdout + done.stderr)


def run_on_terminal(command: Sequence[str], cwd: Path) -> tuple[int, str]:
    """Exit code and what appeared on a pseudo-terminal."""
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "CI")} | {"TERM": "xterm-256color"}
    with subprocess.Popen(command, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        seen = b""
        while select.select([ours], [], [], 20)[0]:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
            seen += piece
    os.close(ours)
    return process.returncode, seen.decode()


def test_on_a_terminal_there_is_a_bar_that_goes_away(mixed: DefaultPlace) -> None:
    make_files(mixed.source, *(f"t/{number}.dcm" for number in range(8)), seed=50)
    code, seen = run_on_terminal(preprocess_command("samp_ds", "--size", "2048", "--workers", "1"), mixed.base)
    assert code == 0
    assert re.search(r"Files.*━.* \d+/(\d+|\?)", seen)
    assert "\x1b[2K" in seen.rpartition("Updating database")[0]
    assert "━" not in seen.rpartition("Updating database")[2]
    assert seen.count("[truncated]") == 1


EVIL = "\x1b[2J\x1b]0;owned\x07"
STRICT_UTF8 = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}


def test_the_bar_of_a_retry_counts_what_is_tried_again(mixed: DefaultPlace) -> None:
    cli(mixed.base, "preprocess", "samp_ds", *SMALL)
    _, seen = run_on_terminal(dicomprep_command("retry", "--workers", "1"), mixed.base)
    plain = re.sub(r"\x1b\[[\d;]*m", "", seen)
    assert set(re.findall(r"━ +\d+/(\d+|\?)", plain)) == {"3"}


"""As a terminal has it in most places; without a locale, Python is more lenient."""


def acted_upon(page: str) -> set[str]:
    """The characters that a terminal would act on, or that are no text."""
    return {c for c in page if not c.isprintable() and c not in "\n\t"}


def test_control_characters_in_names_and_headers_are_made_visible(place: DefaultPlace, here: Here) -> None:
    (place.source / EVIL).mkdir(parents=True)
    (place.source / EVIL / f"new\nline{EVIL}.dcm").write_text("no DICOM")
    filler = "X" * len(EVIL)
    for name, keyword in (("a.dcm", "PhotometricInterpretation"), ("b.dcm", "Modality")):
        path = make_dicom(place.source / name, frames_of(1)[0], **{keyword: filler})
        path.write_bytes(path.read_bytes().replace(filler.encode(), EVIL.encode()))
    first = cli(place.base, "preprocess", "samp_ds", *SMALL, env=STRICT_UTF8)
    assert first.stderr.count(r"\x1b[2J") == 2  # folder and file: what headers say is not repeated
    assert len(first.stderr.splitlines()) == 2
    pages = [first.stdout + first.stderr]
    for command in ("status --failures", "status", "inspect samp_ds/a.dcm", "inspect samp_ds/b.dcm", "retry"):
        _, out, err = here.call(*command.split())
        pages.append(out + err)
        assert (r"\x1b[2J" in pages[-1]) == (command in ("status --failures", "retry"))
    assert [acted_upon(page) for page in pages] == [set()] * len(pages)
    assert len(pages[1].splitlines()) == 2


@pytest.mark.parametrize("name", [f"x{EVIL}", os.fsdecode(b"latin\xe9")], ids=ascii)
@pytest.mark.parametrize("option", ["--dicom-dir", "--output-dir", "--db"])
def test_odd_names_of_folders_and_databases_are_taken_and_made_visible(
    place: DefaultPlace, option: str, name: str
) -> None:
    make_files(place.source, "a.dcm")
    paths = {"--dicom-dir": "samp_ds", "--output-dir": "o", "--db": "d.db", option: name}
    if option == "--dicom-dir":
        place.source.rename(place.base / name)
    options = [word for pair in paths.items() for word in pair]
    done = cli(place.base, "preprocess", *SMALL, *options, env=STRICT_UTF8)
    assert done.returncode == 0
    assert acted_upon(done.stdout + done.stderr) == set()


@pytest.mark.parametrize("command", ["preprocess {}", "status --db {}", "inspect {}"])
def test_what_was_mistyped_is_named_visibly(here: Here, command: str) -> None:
    code, _, err = here.call(*command.format(f"no{EVIL}such").split())
    assert code == 2
    assert r"no\x1b[2J" in err
    assert "\x1b" not in err


def test_output_goes_to_a_terminal_of_any_encoding(place: DefaultPlace) -> None:
    make_files(place.source, "a.dcm", "\u00e9 \N{BRAIN}.dcm")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    for command in (["preprocess", "samp_ds", *SMALL], ["status"], ["inspect", "samp_ds/a.dcm"]):
        assert cli(place.base, *command, env=environment).returncode == 0


def test_a_reader_that_leaves_early_is_no_traceback(mixed: DefaultPlace) -> None:
    cli(mixed.base, "preprocess", "samp_ds", *SMALL)
    read, write = os.pipe()
    os.close(read)
    done = call(
        dicomprep_command("status", "--failures"),
        mixed.base,
        capture_output=False,
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


# Exit codes


def test_strict_is_1_when_something_failed(mixed: DefaultPlace, here: Here) -> None:
    assert here.call("preprocess", "samp_ds", *SMALL)[0] == 0
    (mixed.source / "false.dcm").touch()
    assert here.call("preprocess", "samp_ds", *SMALL, "--strict")[0] == 1
    for bad in ("false.dcm", "s/short.dcm", "s/odd.dcm"):
        make_files(mixed.source, bad, seed=70)
    assert here.call("preprocess", "samp_ds", *SMALL, "--strict")[0] == 0


@pytest.mark.parametrize("kind", ["broken", "without an image"])
def test_a_folder_in_which_nothing_gave_an_image_is_1(place: DefaultPlace, here: Here, kind: str) -> None:
    place.source.mkdir()
    if kind == "broken":
        (place.source / "a.dcm").write_text("no DICOM")
    else:
        make_dicom(place.source / "a.dcm", PixelData=None)
    assert here.call("preprocess", "samp_ds")[0] == 1


MISTAKES = [
    "preprocess",
    "preprocess nowhere",
    "preprocess samp_ds/a.dcm",
    "preprocess samp_ds other",
    "preprocess samp_ds --nonsense",
    "preprocess samp_ds --size 7",
    "preprocess samp_ds --size big",
    "preprocess samp_ds --size",
    "preprocess samp_ds --fit tight",
    "preprocess samp_ds --depth 12",
    "preprocess samp_ds --window 40",
    "preprocess samp_ds --window 40/0",
    "preprocess samp_ds --window lung,bone",
    "preprocess samp_ds --frames every=0",
    "preprocess samp_ds --frames last",
    "preprocess samp_ds --names random",
    "preprocess samp_ds --split 80/10",
    "preprocess samp_ds --split 80/10/20",
    "preprocess samp_ds --group-by hospital",
    "preprocess samp_ds --workers 0",
    "preprocess samp_ds --timeout 0",
    "preprocess samp_ds --max-memory 1",
    "preprocess samp_ds --engine spark",
    "preprocess samp_ds --db mysql://host/name",
    "status --db nowhere.db",
    "retry --db nowhere.db",
    "retry --code nonsense",
    "inspect nowhere.dcm",
    "inspect samp_ds",
    "inspect samp_ds/a.dcm --frame 1",
    "inspect samp_ds/a.dcm --frame -1",
    "inspect samp_ds/a.dcm --window 40",
    "inspect samp_ds/a.dcm --png nowhere/a.png",
    "nonsense",
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_2_with_a_reason_before_any_work(place: DefaultPlace, here: Here, mistake: str) -> None:
    make_files(place.source, "a.dcm")
    code, _, err = here.call(*mistake.split())
    assert code == 2
    assert len(err) > 10
    assert [path.name for path in place.base.iterdir()] == ["samp_ds"]


@pytest.mark.parametrize("mistake", ["preprocess nowhere", "inspect nowhere.dcm --png a.png", "nonsense"])
def test_a_mistake_is_no_traceback(tmp_path: Path, mistake: str) -> None:
    assert cli(tmp_path, *mistake.split()).returncode == 2


@pytest.mark.parametrize("limit", ["--timeout=inf", "--timeout=1e12", "--max-memory=9999999999999999"])
def test_a_limit_beyond_all_bounds_is_none_or_refused(place: DefaultPlace, here: Here, limit: str) -> None:
    make_files(place.source, "a.dcm")
    code, _, _ = here.call("preprocess", "samp_ds", *SMALL, limit)
    assert code == 2 or (code, len(place.images())) == (0, 1)


@pytest.mark.parametrize(
    "command", ["inspect nowhere.dcm", "inspect samp_ds", "preprocess nowhere", "status --db no.db"]
)
def test_the_reason_names_what_is_wrong(place: DefaultPlace, here: Here, command: str) -> None:
    place.source.mkdir()
    assert command.rpartition(" ")[2] in here.call(*command.split())[2]


def test_what_stands_where_the_output_should_is_3(place: DefaultPlace) -> None:
    make_files(place.source, "a.dcm")
    place.output.write_text("in the way")
    done = cli(place.base, "preprocess", "samp_ds")
    assert done.returncode == 3
    assert "thumbnails cannot be written to" in done.stderr


def test_a_disk_too_full_for_the_database_is_3(place: DefaultPlace) -> None:
    make_files(place.source, *(f"s/{number}.dcm" for number in range(150)))
    command = ["preprocess", "samp_ds", *SMALL]
    Store(place.address).close()
    most = place.db.stat().st_size + 2**14  # its rows need more
    done = cli(place.base, *command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
    assert done.returncode == 3
    assert re.match(r"Error: The database .* run this again \(.*(full|disk I/O error)\)\.\n$", done.stderr), done.stderr
    assert set(place.rows("SELECT thumbnail_path FROM images")) <= set(place.images())
    assert cli(place.base, *command).returncode == 0
    place.check()


# Interrupts

SLOW = ("samp_ds", "--size", 4096, "--workers", 1)
"""Some twenty images a second."""


def slow_place(place: DefaultPlace) -> None:
    make_files(place.source, *(f"s/{number:03d}.dcm" for number in range(300)))


def wait_for_images(place: Place, run: Started) -> None:
    assert wait_until(lambda: place.recorded() > 3 or run.process.poll() is not None, 20)
    assert run.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to_group", [True, False], ids=["group", "parent"])
def test_an_interrupt_keeps_what_is_finished_and_ends_soon(place: DefaultPlace, number: int, to_group: bool) -> None:
    slow_place(place)
    with started(preprocess_command(*SLOW), place.base) as run:
        wait_for_images(place, run)
        run.signal(number) if to_group else run.process.send_signal(number)
        out, err = run.process.communicate(timeout=60)
        assert run.none_left(5)
    assert run.process.returncode == 130
    assert "Interrupted. Finished files are recorded" in err
    assert "Traceback" not in err
    assert "SUMMARY" in out
    assert "Preprocessing complete" not in out
    recorded = place.rows("SELECT thumbnail_path FROM images")
    assert 3 < len(recorded) < 300
    assert len(place.images()) - len(recorded) <= (number == signal.SIGTERM and to_group)  # its worker was killed, too
    assert place.rows("SELECT interrupted, finished_at IS NULL FROM runs") == [(1, 0)]


def workers_of(run: Started) -> list[int]:
    """The processes that the forkserver made."""
    parents = {pid: parent_of(pid) for pid in run.members()}
    servers = {pid for pid in parents if "forkserver" in command_line(pid)}
    return [pid for pid, parent in parents.items() if parent in servers]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_an_interrupt_does_not_wait_for_what_hangs(place: DefaultPlace) -> None:
    slow_place(place)
    with started(preprocess_command(*SLOW), place.base) as run:
        wait_for_images(place, run)
        for pid in workers_of(run):
            os.kill(pid, signal.SIGSTOP)
        run.signal(signal.SIGINT)
        _, err = run.process.communicate(timeout=60)
        assert run.none_left(5)
    assert run.process.returncode == 130
    assert "Traceback" not in err
    assert set(place.rows("SELECT thumbnail_path FROM images")) <= set(place.images())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_interrupt_ends_at_once(place: DefaultPlace, number: int) -> None:
    slow_place(place)
    with started(preprocess_command(*SLOW), place.base) as run:
        wait_for_images(place, run)
        for pid in workers_of(run):
            os.kill(pid, signal.SIGSTOP)  # so that it cannot finish what it is at
        run.process.send_signal(number)
        time.sleep(0.5)
        assert run.process.poll() is None
        run.process.send_signal(number)
        assert run.process.wait(60) in (130, -number)
        for pid in workers_of(run):
            os.kill(pid, signal.SIGCONT)
        assert run.none_left(5)
        out, err = run.process.communicate()
        assert "SUMMARY" not in out  # with which the first one ends it, after a grace
        assert "Traceback" not in err
    assert cli(place.base, "status").returncode == 0
    assert set(place.rows("SELECT thumbnail_path FROM images")) <= set(place.images())


def test_an_interrupt_while_workers_are_being_prepared_is_no_traceback(place: DefaultPlace) -> None:
    slow_place(place)
    with started(preprocess_command(*SLOW), place.base) as run:
        assert wait_until(lambda: any("forkserver" in command_line(pid) for pid in run.members()), 20)
        time.sleep(0.1)
        run.signal(signal.SIGINT)
        _, err = run.process.communicate(timeout=20)
        assert run.none_left(5)
    assert "Traceback" not in err
    assert run.process.returncode == 130


def test_an_interrupt_while_a_dataclass_is_made_is_no_death_by_signal(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        "from dicomprep.cli import app, console, preprocess\n"
        "preprocess.run_and_report = lambda *_: exec('raise KeyboardInterrupt')\n"
        "app.main(['preprocess', '.'])\n"
    )
    done = call([sys.executable, "-m", "interrupted"], tmp_path)
    assert (done.returncode, done.stderr) == (130, "Error: Interrupted.\n")


def test_an_interrupt_that_falls_into_a_finalizer_ends_the_run_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        "import os, signal\n"
        "from dicomprep.cli import app\n"
        "from dicomprep.pipeline import run as pipeline\n"
        "class Fragile:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGINT)\n"
        "def run(*_, **__):\n"
        "    Fragile()\n"
        "    raise AssertionError('it went on')\n"
        "pipeline.run = run\n"
        "app.main(['preprocess', '.'])\n"
    )
    done = call([sys.executable, "-m", "interrupted"], tmp_path)
    assert (done.returncode, done.stderr) == (130, "Error: Interrupted. Run the same command again to continue.\n")


def test_an_interrupt_while_the_program_is_loaded_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "cyclopts.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(20)\n")
    with started(dicomprep_command("preprocess", "."), tmp_path) as run:
        assert run.process.stdout is not None
        assert run.process.stdout.readline() == "loading\n"
        run.signal(signal.SIGINT)
        _, err = run.process.communicate(timeout=10)
    assert (run.process.returncode, err) == (-signal.SIGINT, "")


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


# The other commands


def test_status_counts_what_is_there(mixed: DefaultPlace, here: Here) -> None:
    here.call("preprocess", "samp_ds", *SMALL)
    code, page, _ = here.call("status")
    assert code == 0
    tables = re.findall(r"^(\S.+)\n((?:  .*\n)+)", page, re.MULTILINE)
    blocks = {title: dict(re.findall(r"^  (\S+) +([\d,]+)$", text, re.MULTILINE)) for title, text in tables}
    assert blocks["Files by status"] == {"done": "2", "failed": "2", "partial": "1", "skipped": "1"}
    assert blocks["Files by reason"] == {
        "no_pixel_data": "1",
        "not_dicom": "1",
        "truncated": "1",
        "unsupported_pixels": "1",
    }
    assert blocks["Images by modality"] == {"CT": "5"}
    assert sum(map(int, blocks["Images by split"].values())) == 5
    assert "finished: 6 found, 6 processed, 5 images" in page
    failures = [line.split("\t") for line in here.call("status", "--failures")[1].splitlines()]
    assert [(code, Path(path).name) for code, path, _ in failures] == [
        ("not_dicom", "false.dcm"),
        ("truncated", "short.dcm"),
        ("unsupported_pixels", "odd.dcm"),
    ]
    assert all(reason for _, _, reason in failures)


def attempts_of(place: Place) -> dict[str, int]:
    return {Path(path).name: attempts for path, attempts in place.rows("SELECT path, attempts FROM inputs")}


def test_retry_tries_just_what_failed_for_a_reason_with_the_options_of_the_last_run(
    mixed: DefaultPlace, here: Here
) -> None:
    here.call("preprocess", "samp_ds", "--size", 16, "--group-by", "folder")
    code, _, err = here.call("retry", "--code", "truncated", "--timeout", 55, "--max-memory", 555)
    assert code == 0
    assert "[truncated]" in err
    tries = {"good.dcm": 1, "many.dcm": 1, "short.dcm": 2, "false.dcm": 1, "odd.dcm": 1, "no image.dcm": 1}
    assert attempts_of(mixed) == tries
    options = mixed.options()
    assert {name: options[name] for name in ("size", "group_by", "timeout", "max_memory")} == {
        "size": 16,
        "group_by": "folder",
        "timeout": 55.0,
        "max_memory": 555,
    }
    make_files(mixed.source, "s/short.dcm:2", seed=70)
    _, out, _ = here.call("retry", "--code", "truncated", "--code", "not_dicom")
    assert "2 found: 1 done, 1 failed" in out
    assert re.match(r"Retrying 2 failed files in .*samp_ds\.\.\.\n", out)
    assert attempts_of(mixed) == tries | {"short.dcm": 3, "false.dcm": 2}
    here.call("retry")
    assert attempts_of(mixed) == tries | {"short.dcm": 3, "false.dcm": 3, "odd.dcm": 2}
    mixed.check()
    assert "6 unchanged" in here.call("preprocess", "samp_ds", "--size", 16, "--group-by", "folder")[1]


def test_retry_with_nothing_to_do_says_so(place: DefaultPlace, here: Here) -> None:
    make_files(place.source, "a.dcm")
    here.call("preprocess", "samp_ds", *SMALL)
    code, out, _ = here.call("retry")
    assert (code, out) == (0, "No failed files to retry.\n")
    assert place.rows("SELECT count(*) FROM runs") == [1]


def test_inspect_explains_a_file_and_draws_it(place: DefaultPlace) -> None:
    path = make_dicom(place.base / "a.dcm", frames_of(3), WindowCenter=40, WindowWidth=80, patient_id="ID-4711")
    done = cli(place.base, "inspect", "a.dcm", "--png", "a.png", "--frame", 2, "--size", 32)
    assert (done.returncode, done.stderr) == (0, "")
    for fact in (
        "CT",
        "Explicit VR Little Endian",
        "12×10, MONOCHROME2",
        "W 80 L 40, LINEAR (PS3.3 C.11.2.1.2.1)",
    ):
        assert fact in done.stdout
    assert "4711" not in done.stdout
    drawn = cv2.imread(str(place.base / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(drawn, dicomprep.process_dicom(path, size=32)[2].array)


@pytest.mark.parametrize(
    ("attributes", "options", "facts"),
    [
        (
            {"WindowCenter": [40, 300], "WindowWidth": [80, 1500], "WindowCenterWidthExplanation": ["BRAIN", "BONE"]},
            [],
            ["W 80 L 40, LINEAR", "Window Center (0028,1050) of the file, first of 2, “BRAIN”"],
        ),
        (
            {"WindowCenter": 40, "WindowWidth": 81},
            [],
            ["black ≤ -0.5 (", "white ≥ 79.5 (", "0.314 per gray level"],
        ),
        ({"WindowCenter": 40, "WindowWidth": 80, "VOILUTFunction": "LINEAR_EXACT"}, [], ["black ≤ 0 ("]),
        (
            {"WindowCenter": 40, "WindowWidth": 80, "RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"},
            ["--window", "lung"],
            ["W 1500 L −600", "; --window"],
        ),
        (
            {"Modality": "MR", "RescaleSlope": 2},
            [],
            ["none in header; measured", "(robust)", "value = 2 × stored value"],
        ),
        ({"RescaleIntercept": -1024}, [], ["HU = 1 × stored value − 1024; Rescale Slope (0028,1053) and Intercept of"]),
        (
            {"SharedFunctionalGroupsSequence": [{"PixelValueTransformationSequence": [{"RescaleSlope": 3}]}]},
            [],
            ["3 × stored value", "of all frames"],
        ),
        (
            {"PerFrameFunctionalGroupsSequence": [{"FrameVOILUTSequence": [{"WindowCenter": 9, "WindowWidth": 7}]}]},
            [],
            ["W 7 L 9", "of this frame"],
        ),
        (
            {"PixelSpacing": [2, 1]},
            [],
            ["2 × 1 mm (Pixel Spacing (0028,0030) of the file)", "pixel aspect ratio 2:1 made square"],
        ),
        (
            {"PhotometricInterpretation": "MONOCHROME1"},
            [],
            ["MONOCHROME1: low values bright", "white ≤", "none in header (stored values are used as they are)"],
        ),
        (
            {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"},
            [],
            ["MONOCHROME1, Presentation LUT Shape (2050,0020) IDENTITY: low values dark"],
        ),
        (
            {"WindowCenter": 40, "WindowWidth": 0},
            [],
            ["not usable; measured", "Window Width (0028,1051) 0 is invalid"],
        ),
        (
            {"VOILUTSequence": [{"LUTDescriptor": [2, 0, 16]}]},
            [],
            ["VOI LUT Sequence (0028,3010) ignored: no"],
        ),
        ({"PixelPaddingValue": 7}, [], ["stored values 7 … 7 (", " of the pixels), drawn as background"]),
        (
            {
                "LossyImageCompression": "01",
                "LossyImageCompressionRatio": 10,
                "LossyImageCompressionMethod": "ISO_10918_1",
            },
            [],
            ["native; lossy compression 10:1 (ISO_10918_1)"],
        ),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_inspect_says_which_transform_and_why(
    place: DefaultPlace, here: Here, attributes: dict[str, Any], options: list[str], facts: list[str]
) -> None:
    make_dicom(place.base / "a.dcm", frames_of(1)[0], **attributes)
    code, out, err = here.call("inspect", "a.dcm", *options)
    assert (code, err) == (0, "")
    assert all(fact in out for fact in facts)


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("short", ["only zeros", "not_dicom"]),
        ("truncated", ["of 120 bytes", "truncated", "CT", "12×10"]),
        ("empty", ["no Pixel Data", "no_pixel_data", "CT"]),
    ],
)
def test_inspect_says_why_there_is_no_picture(place: DefaultPlace, here: Here, kind: str, facts: list[str]) -> None:
    attributes: dict[str, None] = {"PixelData": None} if kind == "empty" else {}
    path = make_dicom(place.base / "a.dcm", frames_of(1)[0], **attributes)
    if kind != "empty":
        os.truncate(path, 40 if kind == "short" else path.stat().st_size - 30)
    code, out, err = here.call("inspect", "a.dcm", "--png", "a.png")
    assert (code, err) == (1, "")
    assert all(fact in out for fact in facts)
    assert not (place.base / "a.png").exists()


# Defaults from files


DEFAULTS = """
size = 24
fit = "crop"
group_by = "study"
max-memory = 512
strict = true
output_dir = "thumbnails"
"""


def write_defaults(place: Place, where: str, text: str) -> None:
    heading = "[tool.dicomprep]\n" if where.endswith("pyproject.toml") else ""
    (place.base / where).write_text(heading + text)


@pytest.mark.parametrize("where", ["dicomprep.toml", "pyproject.toml"])
def test_defaults_stand_in_a_file_and_the_command_line_overrides_them(
    place: DefaultPlace, here: Here, where: str
) -> None:
    make_files(place.source, "a.dcm")
    write_defaults(place, where, DEFAULTS)
    assert here.call("preprocess", "samp_ds", "--fit", "stretch")[0] == 0
    options = place.options()
    assert {name: options[name] for name in ("size", "fit", "group_by", "max_memory", "strict")} == {
        "size": 24,
        "fit": "stretch",
        "group_by": "study",
        "max_memory": 512,
        "strict": True,
    }


@pytest.mark.parametrize("where", ["samp_ds/dicomprep.toml", "pyproject.toml"])
@pytest.mark.parametrize(
    "text", ["color = true", "size = 'big'", "size = 1", "size =", "[image]\nsize = 24", "strict = 'perhaps'"]
)
def test_what_is_wrong_in_a_defaults_file_is_2_and_named(
    place: DefaultPlace, here: Here, where: str, text: str
) -> None:
    make_files(place.source, "a.dcm")
    if where == "pyproject.toml":
        text = text.replace("[image]", "[tool.dicomprep.image]")
    write_defaults(place, where, text)
    code, _, err = here.call("preprocess", "samp_ds")
    assert code == 2
    assert re.search(r"color|image|size|strict|toml", err)
    assert not place.db.exists()


def test_a_pyproject_of_something_else_changes_nothing(place: DefaultPlace) -> None:
    make_files(place.source, "a.dcm")
    (place.base / "pyproject.toml").write_text("[project]\nname = 'other'\n[tool.ruff]\nline-length = 120\n")
    assert cli(place.base, "preprocess", "samp_ds", *SMALL).returncode == 0


def test_it_runs_as_a_module_and_as_a_command(tmp_path: Path) -> None:
    installed = Path(sys.executable).with_name("dicomprep")
    pages = [
        call(command, tmp_path).stdout
        for command in ([sys.executable, "-m", "dicomprep", "--help"], [str(installed), "--help"])
    ]
    assert pages[0] == pages[1]
    assert "preprocess" in pages[0]

"""What arrives while a run watches is taken in a later round; it ends cleanly."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.running import Place, cli, dicomprep_command, make_files


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def next_line(process: "subprocess.Popen[str]", text: str) -> str:
    """The next line that holds a text; the others before it may be any."""
    assert process.stdout is not None
    return next(line for line in process.stdout if text in line)


def test_what_arrives_is_taken_in_a_later_round(place: Place) -> None:
    make_files(place.source, "a.dcm")
    command = dicomprep_command("preprocess", "in", "--db", "x.db", "--output-dir", "out", "--size", 16, "--watch", 0.2)
    with subprocess.Popen(command, cwd=place.base, text=True, stdout=-1, stderr=-1) as process:
        try:
            assert "every 0.2 s" in next_line(process, "Watching in")
            assert "1 file preprocessed (1 done); 1 image" in next_line(process, "preprocessed")
            next_line(process, "nothing new")
            make_files(place.source, "b.dcm", seed=5)
            assert "1 file preprocessed (1 done); 2 images" in next_line(process, "preprocessed")
            place.source.rename(place.base / "away")
            assert "does not exist" in next_line(process, "tried again")
            (place.base / "away").rename(place.source)
            next_line(process, "nothing new")
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert place.rows("SELECT count(*) FROM runs WHERE processed > 0") == [2]
    assert place.rows("SELECT count(*) FROM runs WHERE processed = 0 AND finished_at IS NOT NULL") == [0]
    place.check()


@pytest.mark.parametrize("seconds", ["0", "-1", "1e9"])
def test_a_watch_without_a_sensible_time_is_2(place: Place, seconds: str) -> None:
    done = cli(place.base, "preprocess", "in", f"--watch={seconds}")
    assert done.returncode == 2
    assert "--watch" in done.stderr

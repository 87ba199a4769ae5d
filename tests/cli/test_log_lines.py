"""Without a terminal a run says now and then how far it is."""

import re
from pathlib import Path

import pytest

from dicomprep.cli import bar
from dicomprep.cli.console import ConsoleListener
from tests.running import Place, make_files


def test_a_log_has_lines_with_files_rate_and_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bar, "LINE_SECONDS", 0.0)
    place = Place(tmp_path)
    make_files(place.source, *(f"s/{number}.dcm" for number in range(9)))
    place.run(listener=ConsoleListener(9), workers=1)
    lines = [line for line in capsys.readouterr().err.splitlines() if "images/s" in line]
    assert any(re.fullmatch(r"\d files? of 9, \d images? in \d+ s \(\d+ images/s, \d+ s left\)", one) for one in lines)


def test_a_short_run_has_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path)
    make_files(place.source, "s/1.dcm")
    place.run(listener=ConsoleListener(), workers=1)
    assert "images/s" not in capsys.readouterr().err

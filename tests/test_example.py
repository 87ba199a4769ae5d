"""The examples run, on as little as shows that they work."""

import csv
import re
import sys
from pathlib import Path

import pytest

from tests.running import PROJECT, call


def test_the_loop_closes(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    script = PROJECT / "examples" / "close_the_loop.py"
    command = [sys.executable, str(script), "--folder", "loop", "--patients", "24", "--seconds", "2"]
    done = call(command, tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "72 images of 24 patients" in done.stdout
    studies = list(csv.DictReader((tmp_path / "loop" / "studies.csv").read_text().splitlines()))
    assert {(row["label"], row["images"]) for row in studies} == {("clear", "3"), ("nodule", "3")}
    assert len(studies) == 48
    assert (tmp_path / "loop" / "least_certain.png").is_file()
    known = len((tmp_path / "loop" / "labels.csv").read_text().splitlines()) - 1
    (shown,) = re.findall(r"(\d+) images labeled on the page, the least certain first", done.stdout)
    assert 0 < int(shown) <= 12
    labeled = known + int(shown)
    assert f"{labeled} images in loop/export." in done.stdout

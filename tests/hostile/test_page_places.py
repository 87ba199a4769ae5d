"""The pages where nothing can be written: a sentence and an exit code, and labels wait until there is room."""

from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.faults.test_full_disks import mount, remount
from tests.pages import free_port, serving
from tests.running import Place, cli, make_files

__all__ = ["mount"]


@pytest.fixture
def small(mount: Callable[..., Path]) -> Place:
    place = Place(mount("small", "size=2m") / "base")
    make_files(place.source, "a.dcm", "b.dcm")
    place.run()
    return place


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_a_place_that_may_not_be_written_to(small: Place, host: str) -> None:
    remount(small.base.parent, "ro")
    options = ("--db", str(small.db), "--port", str(free_port()), "--host", host)
    done = cli(small.base.parent.parent, "label", *options, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1), done.stderr
    assert f"{small.db} is read-only" in done.stderr


def test_labels_wait_while_the_disk_is_full(small: Place) -> None:
    with serving(small) as pages:
        frame = pages.next()[0]
        body = {"annotator": "me", "frame": frame, "label": "normal", "command": "once"}
        with closing((small.base / "fill").open("wb", buffering=0)) as fill, suppress(OSError):
            while True:
                fill.write(b"x" * 512)
        for path in ("/label", "/next", "/classes"):
            status, said = pages.ask("POST", path, body | {"name": "third"}, Origin=pages.origin)
            assert (status, b"its disk is full" in said) == (503, True), said
        (small.base / "fill").unlink()
        assert pages.ask("POST", "/label", body, Origin=pages.origin)[0] == 200
        assert pages.labels()[frame] == "normal"


def test_a_report_on_a_full_disk(small: Place, mount: Callable[..., Path]) -> None:
    full = mount("full", "size=4k")
    (full / "fill").write_bytes(b"x" * 4096)
    done = cli(small.base, "report", full / "report.html", "--db", small.db, timeout=60)
    assert (done.returncode, done.stderr.count("\n"), "Free some space" in done.stderr) == (3, 1, True), done.stderr

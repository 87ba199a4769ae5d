"""Trees that hold more than files: nothing outside of them is opened, all of what they hold is accounted for."""

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.building import make_dicom
from tests.running import Place, call, cli, dicomprep_command, frames_of, make_files

NOBODY = 65534

NAMES = [
    *(b"new\nline.dcm", b"latin\xe9\xff.dcm", b"x" * 251 + b".dcm", "😀🏥.dcm".encode(), b"..dcm", b"...", b".dcm"),
    *(b"..hidden.dcm", b"esc\x1b[2J.dcm", b"-rf.dcm", b"a b'\"$(x);&|.dcm", b"back\\slash.dcm", b"%s%n.dcm", b"~.dcm"),
    *("e\u0301.dcm".encode(), "\u00e9.dcm".encode(), "\u202egnp.dcm".encode(), b"con.dcm", b"x.dcm.dcm", b"\x7f\x01"),
]
FOLDERS = [b"plain", b"....", b"..x", b"new\nline", b"\xff\xfe", b"y" * 255, "😀".encode(), b"is.dcm", b"a.png"]


@pytest.fixture
def place() -> Iterator[Place]:
    """Where any user may read and write."""
    base = Path(tempfile.mkdtemp(prefix="odd-tree-"))
    base.chmod(0o777)
    yield Place(base)
    for folder, _, _ in os.walk(base):
        Path(folder).chmod(0o777)
    shutil.rmtree(base)


def make_odd(place: Place) -> int:
    """Every odd name in every odd folder, and in the root; how many files that are."""
    template = make_dicom(place.base / "template", frames_of(1)[0])
    root = os.fsencode(place.source)
    for folder in (b"", *FOLDERS):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
        for name in NAMES:
            shutil.copy2(template, os.path.join(root, folder, name))
    return (len(FOLDERS) + 1) * len(NAMES)


def make_special(place: Place) -> tuple[int, int]:
    """Links in and out of the tree, pipes, sockets, devices; how many of links and of the others."""
    outside = place.base / "outside"
    make_files(outside, "secret.dcm", "deep/secret.dcm")
    root = place.source
    links = {
        "out.dcm": outside / "secret.dcm",
        "outside": outside,
        "loop": root,
        "self.dcm": root / "self.dcm",
        "dangling.dcm": outside / "none",
        "zero.dcm": Path("/dev/zero"),
        "terminal.dcm": Path("/dev/tty"),
        "within.dcm": root / "..dcm",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe.dcm")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "s.dcm"))
    special = 2
    try:
        os.mknod(root / "device.dcm", 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero
        special += 1
    except PermissionError:
        pass
    return len(links), special


def test_the_run_ends_and_accounts_for_all(place: Place) -> None:
    files = make_odd(place)
    links, special = make_special(place)
    done = cli(place.base, "preprocess", "in", "--output-dir", "out", "--db", "x.db", "--size", "16")
    assert done.returncode == 0, done.stderr
    assert f"{files} found: {files} done" in done.stdout
    assert f"{links} symbolic links not opened" in done.stdout
    assert f"{special} special files not opened" in done.stdout
    assert {c for c in done.stdout + done.stderr if not c.isprintable() and c != "\n"} == set()
    assert place.rows("SELECT count(*), count(DISTINCT path) FROM inputs WHERE status = 'done'") == [(files, files)]
    place.check()
    assert len(place.images()) == files
    beside = {"in", "out", "outside", "template", "x.db", "x.db.key", "x.db.lock"}
    assert {path.name for path in place.base.iterdir()} == beside
    again = cli(place.base, "preprocess", "in", "--output-dir", "out", "--db", "x.db", "--size", "16")
    assert f"{files} found: {files} unchanged" in again.stdout
    verified = cli(place.base, "verify", "--db", "x.db")
    assert verified.stdout.splitlines()[-1] == "All images OK."


def test_nothing_outside_of_the_tree_is_opened(place: Place, note: Callable[..., None]) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    make_files(place.source, "s/a.dcm", "s/b.dcm")
    (place.source / "..dcm").write_bytes((place.source / "s/a.dcm").read_bytes())
    links, special = make_special(place)
    traces = place.base / "traces"
    traces.mkdir()
    each = ["-ff", "-o", str(traces / "of")]  # a file for each process, where no call is cut in two by another's
    command = ["strace", *each, "-y", "-e", "trace=open,openat,openat2,execve"]
    done = call(
        [*command, *dicomprep_command("preprocess", "in", "--db", "x.db", "--size", "16")], place.base, timeout=300
    )
    trace = "".join(path.read_text(errors="surrogateescape") for path in traces.iterdir())
    if "ptrace" in done.stderr and not trace:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    opened = [line for line in trace.splitlines() if " = " in line]
    inputs = {line.split('"')[1] for line in opened if f'"{place.source}/' in line and "ENOENT" not in line}
    assert {os.path.relpath(path, place.source) for path in inputs} - {"."} == {"s", "s/a.dcm", "s/b.dcm", "..dcm"}
    assert [line for line in opened if "/outside" in line or "/dev/zero" in line or "/dev/tty" in line] == []
    note("a tree with links out of it and special files, traced", links=links, special_files=special, opened=0)


def test_directories_called_like_files_are_directories(place: Place) -> None:
    make_files(place.source, "x.dcm/a.dcm", "x.dcm/y.dcm/b.dcm")
    assert place.run().statuses == {"done": 2}
    assert set(place.statuses()) == {"x.dcm/a.dcm", "x.dcm/y.dcm/b.dcm"}


def test_what_may_not_be_read_is_an_input_until_it_may(place: Place) -> None:
    make_files(place.source, "s/open.dcm", "s/shut.dcm", "closed/in.dcm", "listed/in.dcm")
    shut = {"s/shut.dcm": 0, "closed": 0, "listed": 0o444}
    for name, mode in shut.items():
        (place.source / name).chmod(mode)
    command = dicomprep_command("preprocess", "in", "--output-dir", "out", "--db", "x.db", "--size", "16")
    prefix, options = _unprivileged(place)
    done = call([*prefix, *command], place.base, **options)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    unreadable = ("failed", "unreadable")
    expected = {"s/open.dcm": ("done", None), **dict.fromkeys(("s/shut.dcm", "closed", "listed/in.dcm"), unreadable)}
    assert place.statuses() == expected
    assert "4 found: 1 done, 3 failed" in done.stdout
    for name in shut:
        (place.source / name).chmod(0o777)
    done = call([*prefix, *command], place.base, **options)
    assert "4 found: 3 done, 1 unchanged" in done.stdout
    assert set(place.statuses().values()) == {("done", None)}
    assert len(place.statuses()) == 4
    place.check()


def _unprivileged(place: Place) -> tuple[list[str], dict[str, object]]:
    """How to call a command as someone for whom permissions count: a prefix and options of the call."""
    if os.geteuid() != 0:
        return [], {}
    nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "env": {**os.environ, "HOME": str(place.base)}}
    without_rights = [
        "setpriv",
        "--inh-caps=-all",
        "--bounding-set=-all",
    ]  # root still, but its files are not open to it
    for prefix, options in (([], nobody), (without_rights, {})):
        with suppress(OSError):
            if call([*prefix, *dicomprep_command("--version")], place.base, **options).returncode == 0:
                return prefix, options
    pytest.skip("no process can be started as another user who may read this checkout and its Python")

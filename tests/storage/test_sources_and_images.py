"""Where bytes come from and go to: sources read alike at any size, images whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomprep.errors import ErrorCode, InputError
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.paths import actual_path, readable_path
from dicomprep.storage.source import WHOLE_FILE_BYTES, MemoryFile, digest_bytes


@given(st.text(st.characters(exclude_categories=[])))
def test_readable_paths_lead_back(path: str) -> None:
    readable = readable_path(path)
    assert actual_path(readable) == path
    assert readable.isprintable()
    readable.encode("utf-8")  # no surrogate is left


@given(st.binary().map(os.fsdecode), st.text(alphabet="\\xu0123456789abcdef\n\udc80"))
def test_readable_paths_lead_back_from_any_bytes(from_bytes: str, like_an_escape: str) -> None:
    for path in (from_bytes, like_an_escape):
        assert actual_path(readable_path(path)) == path


@pytest.mark.parametrize(
    ("path", "readable"),
    [
        ("plain/Jürgen 日本.dcm", "plain/Jürgen 日本.dcm"),
        ("a\nb", "a\\x0ab"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("a\x7f", "a\\x7f"),
        ("a\u0085", "a\\u0085"),
        ("a\u202e", "a\\u202e"),
        ("a\U000e0001", "a\\U000e0001"),
        ("caf\udce9", "caf\\xe9"),
        ("a\\x0ab", "a\\\\x0ab"),
    ],
)
def test_readable_paths(path: str, readable: str) -> None:
    assert readable_path(path) == readable


# Sources


@pytest.fixture(scope="module", params=["small", "large"])
def source_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is read at once, or a sparse one that is read piece by piece."""
    path = tmp_path_factory.mktemp("source") / "file"
    content = bytes(range(256)) * 40
    with path.open("wb") as file:
        file.write(content)
        if request.param == "large":
            file.seek(WHOLE_FILE_BYTES)
            file.write(content[::-1] + b"end")
    return path


@given(st.integers(0, 11_000), st.integers(0, 5_000))
def test_any_piece_is_what_the_file_holds(source_file: Path, offset: int, length: int) -> None:
    size = source_file.stat().st_size
    with LocalSource.at(source_file).open() as source, source_file.open("rb") as plain:
        assert source.size == size
        for start in (offset, max(0, size - offset)):
            plain.seek(start)
            expected = plain.read(length)
            assert source.read_at(start, length) == expected
            stream = source.stream()
            stream.seek(start)
            assert stream.tell() == start
            assert stream.read(length) == expected
            assert stream.read(3) == plain.read(3)


def test_the_whole_file_and_its_digest(source_file: Path) -> None:
    content = source_file.read_bytes()
    with LocalSource.at(source_file).open() as source:
        assert source.digest() == digest_bytes(content)
        assert source.read_at(0, 2**40) == content
        assert source.read_at(source.size, 10) == b""
        stream = source.stream()
        assert stream.seek(-3, os.SEEK_END) == source.size - 3
        assert stream.read() == content[-3:]
        assert stream.seek(-5, os.SEEK_CUR) == source.size - 5
        assert not source.has_changed()


def test_inflated_reads_like_a_file() -> None:
    inflated = MemoryFile(b"0123456789")
    assert (inflated.size, inflated.read_at(3, 4), inflated.read_at(8, 9)) == (10, b"3456", b"89")
    assert inflated.stream().read() == b"0123456789"


def test_digests_tell_contents_apart() -> None:
    assert len(digest_bytes(b"")) == 16
    assert len({digest_bytes(bytes([n])) for n in range(256)}) == 256


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def replace(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[::-1])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def link(path: Path) -> None:
    moved = path.rename(path.with_name("moved"))
    path.symlink_to(moved)


@pytest.mark.parametrize("change", [append, touch, replace, link, Path.unlink, lambda path: os.truncate(path, 5)])
def test_changes_are_noticed(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with LocalSource.at(path).open() as source:
        assert not source.has_changed()
        change(path)
        assert source.has_changed()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(__file__), lambda path: None])
def test_what_is_no_regular_file_is_unreadable(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(InputError) as caught, LocalSource.at(path).open():
        pass
    assert caught.value.code == ErrorCode.UNREADABLE


def test_a_device_is_unreadable() -> None:
    with pytest.raises(InputError, match="not a regular file"), LocalSource.at("/dev/null").open():
        pass


def test_sources_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(ValueError, match="stop"), LocalSource.at(path).open():
            raise ValueError("stop")
    assert len(list(Path("/proc/self/fd").iterdir())) == before

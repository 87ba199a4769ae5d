"""The spool: each instance is there as a whole or not at all, whoever sends it, and nowhere else."""

import os
import threading
from pathlib import Path

import pytest

from dicomprep.errors import EnvironmentFault, InputError
from dicomprep.pipeline.stages.discover import discover
from dicomprep.storage import spool as module
from dicomprep.storage.spool import Kept, Spool

GB = 10**9


def paths(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_an_instance_lies_by_its_uids_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "in", max_bytes=GB)
    assert not spool.holds("1.2", "1.2.3")
    assert spool.keep("1.2", "1.2.3", (b"ab", memoryview(b"cd"))) is Kept.NEW
    assert spool.holds("1.2", "1.2.3")
    assert spool.keep("1.2", "1.2.3", (b"abcd",)) is Kept.KNOWN
    assert paths(spool.folder) == {"1.2/1.2.3.dcm"}
    assert (spool.folder / "1.2" / "1.2.3.dcm").read_bytes() == b"abcd"


@pytest.mark.parametrize("other", [b"abce", b"abc", b"abcde", b""])
def test_one_of_the_same_uid_with_other_bytes_replaces_nothing(tmp_path: Path, other: bytes) -> None:
    spool = Spool(tmp_path, max_bytes=GB)
    spool.keep("1.2", "1.2.3", (b"abcd",))
    assert spool.keep("1.2", "1.2.3", (other,)) is Kept.OTHER
    assert spool.keep("1.2", "1.2.3", (other,)) is Kept.KNOWN
    assert sorted(path.read_bytes() for path in tmp_path.rglob("*.dcm")) == sorted([b"abcd", other])


@pytest.mark.parametrize("uid", ["", "..", "../x", "1/2", "/etc/x", "1.2\n", "1.2\0", "１.2", "1" * 65, "CON", "-1"])
def test_what_is_no_uid_is_no_name(tmp_path: Path, uid: str) -> None:
    spool = Spool(tmp_path / "in", max_bytes=GB)
    with pytest.raises(InputError):
        spool.keep("1.2", uid, (b"x",))
    spool.keep(uid, "1.2", (b"x",))
    assert paths(tmp_path) == {"in/without-study/1.2.dcm"}


def test_a_limit_is_kept_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, max_bytes=20_000)
    spool.keep("1.2", "1.1", (bytes(12_000),))
    with pytest.raises(EnvironmentFault, match="--max-spool"):
        spool.keep("1.2", "1.2", (bytes(12_000),))
    spool.keep("1.2", "1.3", (bytes(10),))
    with pytest.raises(EnvironmentFault, match="limit"):  # each takes some room of the disk, however small it is
        Spool(tmp_path, max_bytes=20_000).keep("1.2", "1.4", (bytes(10),))
    monkeypatch.setattr(module, "MIN_FREE_BYTES", 2**62)
    with pytest.raises(EnvironmentFault, match="disk"):
        Spool(tmp_path, max_bytes=GB).keep("1.2", "1.5", (b"x",))


def test_what_could_not_be_written_takes_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, max_bytes=8192)

    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(EnvironmentFault, match="No space left"):
        patch.setattr(os, "fsync", fail)
        spool.keep("1.2", "1.1", (b"x",))
    assert paths(tmp_path) == set()
    spool.keep("1.2", "1.1", (b"x",))
    spool.keep("1.2", "1.2", (b"x",))


def test_many_may_send_the_same(tmp_path: Path) -> None:
    spool, kept = Spool(tmp_path, max_bytes=GB), list[Kept]()

    def send() -> None:
        kept.append(spool.keep("1.2", "1.2.3", (bytes(10**6),)))

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(kept) == [Kept.NEW, *[Kept.KNOWN] * 7]
    assert paths(tmp_path) == {"1.2/1.2.3.dcm"}


def test_drafts_are_no_inputs_and_old_ones_are_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=GB)
    spool.keep("1.2", "1.2.3", (b"x",))
    for name, age in (("new", 10), ("old", 7200)):
        draft = spool.scratch / name
        draft.write_bytes(bytes(128) + b"DICM")
        os.utime(draft, (draft.stat().st_mtime - age,) * 2)
    assert [source.path for source in discover(str(tmp_path))] == ["1.2/1.2.3.dcm"]
    Spool(tmp_path, max_bytes=GB)
    assert [path.name for path in spool.scratch.iterdir()] == ["new"]

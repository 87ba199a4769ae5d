"""The store of images in a folder: what every store promises, and what it does about links and strangers."""

import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dicomprep.errors import EnvironmentFault, ErrorCode, InputError
from dicomprep.storage.base import Stat
from dicomprep.storage.local_images import LocalImages
from dicomprep.storage.paths import SCRATCH
from tests.running import wait_until
from tests.storage.contract import NAMES, StoreContract


class TestLocalImages(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[LocalImages]:
        store = LocalImages(tmp_path / "new" / "Out put")
        yield store
        store.close()

    def test_nothing_is_left_behind(self, store: LocalImages) -> None:
        store.publish("s/a.png", b"first")
        store.clear_scratch()
        assert [path.name for path in Path(store.folder).iterdir()] == ["s"]
        store.clear_scratch()
        store.publish("s/b.png", b"after its folder was removed")
        assert store.read("s/b.png") == b"after its folder was removed"

    def test_workers_of_a_run_that_was_killed_give_no_image_to_the_next(self, store: LocalImages) -> None:
        """Whether they have written before or not; and those of the next run do."""
        store.publish("s/first.png", b"x")
        store.fence()
        at_work, late = pickle.loads(pickle.dumps(store)), pickle.loads(pickle.dumps(store))
        at_work.publish("s/a.png", b"before")
        following = LocalImages(store.folder)
        following.clear_scratch()
        following.fence()
        for left in (at_work, late):
            with pytest.raises(EnvironmentFault, match=r"was removed while images were written: by another run"):
                left.publish("s/a.png", b"too late")
        pickle.loads(pickle.dumps(following)).publish("s/b.png", b"of the next run")
        assert (store.read("s/a.png"), store.read("s/b.png")) == (b"before", b"of the next run")

    def test_a_scratch_folder_in_use_is_cleared(self, store: LocalImages) -> None:
        """Somebody puts a file into it all the time."""
        store.publish("s/first.png", b"x")
        store.fence()
        left, ended = pickle.loads(pickle.dumps(store)), []

        def publish() -> None:
            with suppress(EnvironmentFault):
                while True:
                    left.publish("s/a.png", b"x" * 2**16)
            ended.append(True)

        thread = Thread(target=publish)
        thread.start()
        assert wait_until(lambda: store.holds("s/a.png"), 10)
        store.clear_scratch()
        thread.join(10)
        assert ended == [True]
        assert not (Path(store.folder) / SCRATCH).exists()

    def test_descriptors_are_given_back(self, store: LocalImages) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for name in NAMES * 3:
            store.publish(name, b"x")
            store.read(name)
            list(store.list())
        store.close()
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_a_folder_that_was_removed_is_made_again(self, store: LocalImages) -> None:
        store.publish("s/a.png", b"a")
        (Path(store.folder) / "s/a.png").unlink()
        (Path(store.folder) / "s").rmdir()
        store.publish("s/b.png", b"b")
        assert (Path(store.folder) / "s/b.png").read_bytes() == b"b"

    def test_a_failed_write_keeps_the_old_image(self, store: LocalImages) -> None:
        store.publish("s/a.png", b"old")
        (scratch,) = (Path(store.folder) / SCRATCH).iterdir()
        (scratch / "image").mkdir()
        with pytest.raises(EnvironmentFault, match=r"a\.png cannot be written"):
            store.publish("s/a.png", b"new")
        assert store.read("s/a.png") == b"old"

    @pytest.mark.parametrize("name", ["taken.png", "file/a.png"])
    def test_a_place_that_is_taken_is_a_fault_of_the_surroundings(self, store: LocalImages, name: str) -> None:
        (Path(store.folder) / "taken.png").mkdir(parents=True)
        (Path(store.folder) / "file").write_bytes(b"x")
        with pytest.raises(EnvironmentFault, match="cannot be written"):
            store.publish(name, b"content")

    def test_a_name_that_is_too_long_is_a_fault_of_the_input(self, store: LocalImages) -> None:
        with pytest.raises(InputError) as caught:
            store.publish("n" * 300 + ".png", b"content")
        assert caught.value.code == ErrorCode.LIMIT_EXCEEDED

    def test_two_processes_of_one_number_do_not_meet(self, store: LocalImages) -> None:
        """As in two containers, where both are number 1."""
        other = LocalImages(store.folder)
        store.publish("a.png", b"a")
        other.publish("b.png", b"b")
        assert len(list((Path(store.folder) / SCRATCH).iterdir())) == 2

    def test_two_containers_that_both_claim_to_be_process_1(self, store: LocalImages) -> None:
        """They write the same images at the same time: each is whole, and is one that was meant for its name."""
        writer = (
            "import os, sys; os.getpid = lambda: 1\n"
            "from dicomprep.storage.local_images import LocalImages\n"
            "store = LocalImages(sys.argv[1]); print('ready', flush=True); sys.stdin.readline()\n"
            "for n in range(400): name = f's/{n % 7}.png'; store.publish(name, name.encode() * 20_000)"
        )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        writers = [subprocess.Popen([sys.executable, "-c", writer, store.folder], text=True, **pipes) for _ in range(2)]
        assert [process.stdout.readline() for process in writers if process.stdout] == ["ready\n"] * 2
        for process in writers:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.communicate()[1] for process in writers] == ["", ""]
        for n in range(7):
            assert store.read(f"s/{n}.png") == f"s/{n}.png".encode() * 20_000
        assert sorted(image.name for image in store.list()) == [f"s/{n}.png" for n in range(7)]

    # Links and other things that strangers may have put there

    @pytest.mark.parametrize("planted", ["s", SCRATCH, "s/t"])
    @pytest.mark.parametrize("dangling", [False, True])
    def test_a_linked_folder_is_not_written_into(
        self, store: LocalImages, tmp_path: Path, planted: str, *, dangling: bool
    ) -> None:
        elsewhere = tmp_path / "elsewhere"
        if not dangling:
            elsewhere.mkdir()
        place = Path(store.folder) / planted
        place.parent.mkdir(parents=True)
        place.symlink_to(elsewhere)
        with pytest.raises(EnvironmentFault, match=f"{planted} is a link"):
            store.publish("s/t/a.png", b"x")
        assert not elsewhere.exists() or not list(elsewhere.iterdir())

    def test_a_linked_folder_is_not_read_or_removed_from(self, store: LocalImages, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/a.png").write_bytes(b"secret")
        Path(store.folder).mkdir(parents=True)
        (Path(store.folder) / "s").symlink_to(tmp_path / "elsewhere")
        (Path(store.folder) / "a.png").symlink_to(tmp_path / "elsewhere/a.png")
        for name in ("s/a.png", "a.png"):
            with pytest.raises(OSError, match=r"."):
                store.read(name)
        with pytest.raises(EnvironmentFault, match="s is a link"):
            store.remove(["s/a.png"])
        assert list(store.list()) == []
        assert (tmp_path / "elsewhere/a.png").read_bytes() == b"secret"

    def test_a_linked_image_is_replaced_not_written_through(self, store: LocalImages, tmp_path: Path) -> None:
        (tmp_path / "other.png").write_bytes(b"kept")
        Path(store.folder).mkdir(parents=True)
        (Path(store.folder) / "a.png").symlink_to(tmp_path / "other.png")
        store.publish("a.png", b"new")
        assert ((tmp_path / "other.png").read_bytes(), store.read("a.png")) == (b"kept", b"new")

    def test_a_pipe_is_not_waited_for(self, store: LocalImages) -> None:
        Path(store.folder).mkdir(parents=True)
        os.mkfifo(Path(store.folder) / "a.png")
        with pytest.raises(OSError, match="regular file"):
            store.read("a.png")
        assert list(store.list()) == []

    def test_the_folder_itself_may_be_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "disk").mkdir()
        (tmp_path / "out").symlink_to(tmp_path / "disk")
        store = LocalImages(tmp_path / "out")
        store.publish("s/a.png", b"a")
        assert (tmp_path / "disk/s/a.png").read_bytes() == b"a"
        assert store.is_in_place()

    def test_a_folder_that_is_moved_away_is_noticed(self, store: LocalImages) -> None:
        store.publish("s/a.png", b"a")
        assert store.is_in_place()
        Path(store.folder).rename(f"{store.folder} moved")
        assert not store.is_in_place()
        Path(store.folder).mkdir()
        assert not store.is_in_place()

    def test_images_have_the_rights_that_the_umask_leaves(self, store: LocalImages) -> None:
        before = os.umask(0o027)
        try:
            store.publish("s/a.png", b"a")
        finally:
            os.umask(before)
        assert stat.S_IMODE((Path(store.folder) / "s/a.png").stat().st_mode) == 0o640

    def test_a_killed_writer_leaves_the_image_before(self, store: LocalImages) -> None:
        store.publish("s/a.png", b"whole")
        writer = (
            "import sys; from dicomprep.storage.local_images import LocalImages\n"
            "store = LocalImages(sys.argv[1]); print('ready', flush=True)\n"
            "while True: store.publish('s/a.png', b'w' * 3_000_000)"
        )
        for _ in range(3):
            with subprocess.Popen([sys.executable, "-c", writer, store.folder], stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.readline()
                process.kill()
            assert store.read("s/a.png") in (b"whole", b"w" * 3_000_000)
            assert [image.name for image in store.list()] == ["s/a.png"]


names = st.sampled_from(["a.png", "b.png", "S/a.png", "s/b.png", "s/t/c.png", "s/t/é.png"])


class Killed(BaseException):
    """Stands for SIGKILL: nothing tidies up."""


def _be_killed(*_places: object, **_options: object) -> None:
    raise Killed


class LocalImagesAgainstADict(RuleBasedStateMachine):
    """Whatever is done in whatever order, the store holds what a dict would."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self._place = tempfile.TemporaryDirectory()
        self.store = LocalImages(Path(self._place.name) / "out")
        self.known: dict[str, bytes] = {}

    @rule(name=names, content=st.binary(max_size=50))
    def publish(self, name: str, content: bytes) -> None:
        self.store.publish(name, content)
        self.known[name] = content

    @rule(chosen=st.lists(names))
    def remove(self, chosen: list[str]) -> None:
        if self.known:
            self.store.remove(chosen)
        for name in chosen:
            self.known.pop(name, None)

    @rule(folder=st.sampled_from(["s/t", "S", "s"]))
    def tidy_up(self, folder: str) -> None:
        self.store.remove_emptied(folder)

    @rule()
    def begin_again(self) -> None:
        self.store.close()
        self.store = LocalImages(self.store.folder)

    @rule()
    def a_killed_writer(self) -> None:
        scratch = Path(self.store.folder) / SCRATCH / "of another process"
        scratch.mkdir(parents=True, exist_ok=True)
        (scratch / "image").write_bytes(b"half")

    @rule()
    def clear_scratch(self) -> None:
        if self.known:
            self.store.clear_scratch()

    @invariant()
    def holds_what_it_should(self) -> None:
        if not Path(self.store.folder).exists():
            return
        assert {image.name: image.size for image in self.store.list()} == {n: len(c) for n, c in self.known.items()}
        assert {name: self.store.read(name) for name in self.known} == self.known

    @rule(name=names)
    def stat(self, name: str) -> None:
        if name in self.known:
            assert self.store.stat(name) == Stat(name, len(self.known[name]))
        else:
            with pytest.raises(FileNotFoundError):
                self.store.stat(name)

    @rule(name=names, content=st.binary(min_size=1, max_size=50))
    def publish_and_be_killed(self, name: str, content: bytes) -> None:
        """Right before the image gets its name: what was there stays, whoever comes next goes on."""
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            patch.setattr("dicomprep.storage.local_images.os.replace", _be_killed)
            self.store.publish(name, content)
        self.store.close()
        self.store = LocalImages(self.store.folder)

    def teardown(self) -> None:
        self.store.close()
        self._place.cleanup()


LocalImagesAgainstADict.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestLocalImagesAgainstADict = LocalImagesAgainstADict.TestCase

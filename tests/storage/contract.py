"""What every backend of sources and of images promises: a backend's test class inherits it and gives the fixtures."""

import hashlib
import os
import pickle
import threading
import unicodedata
from collections.abc import Callable

import pytest
import xxhash

from dicomprep.errors import EnvironmentFault, ErrorCode, InputError
from dicomprep.storage.base import ImageStore, Source, Stat, is_image_name
from dicomprep.storage.source import HEAD_BYTES, WHOLE_FILE_BYTES

NAMES = ("b.png", "Study 001/a.png", "Study 001/t/a.png", "頭部 CT/ÄÖ.png", unicodedata.normalize("NFD", "é/ü.png"))


class StoreContract:
    """Every store is held to this; a test class of a backend inherits it and gives the `store`."""

    def test_what_was_published_is_read(self, store: ImageStore) -> None:
        for name in NAMES:
            store.publish(name, b"first")
            store.publish(name, name.encode())
        assert {name: store.read(name) for name in NAMES} == {name: name.encode() for name in NAMES}
        assert store.read("b.png", most=2) == b"b."
        assert sorted(store.list()) == sorted(Stat(name, len(name.encode())) for name in NAMES)
        assert store.stat("b.png") == Stat("b.png", 5)

    def test_what_is_not_there(self, store: ImageStore) -> None:
        store.publish("s/a.png", b"a")
        for name in ("s/b.png", "t/a.png"):
            with pytest.raises(FileNotFoundError):
                store.read(name)
            with pytest.raises(FileNotFoundError):
                store.stat(name)
        store.remove(["s/b.png", "t/a.png"])
        assert list(store.list()) == [Stat("s/a.png", 1)]

    def test_what_was_removed_is_gone(self, store: ImageStore) -> None:
        store.publish("s/a.png", b"a")
        store.publish("s/b.png", b"b")
        store.remove(["s/a.png", "s/gone.png", "gone/c.png"])
        assert list(store.list()) == [Stat("s/b.png", 1)]

    def test_large_and_empty_ones(self, store: ImageStore) -> None:
        large = os.urandom(5_000_000)
        store.publish("l.png", large)
        store.publish("e.png", b"")
        assert (store.read("l.png"), store.read("e.png")) == (large, b"")

    def test_a_reader_never_sees_half_an_image(self, store: ImageStore) -> None:
        versions = [bytes([n]) * 400_000 for n in range(4)]
        store.publish("s/a.png", versions[0])
        done = threading.Event()
        seen: list[bytes] = []

        def read() -> None:
            while not done.is_set():
                seen.append(store.read("s/a.png"))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for number in range(100):
                store.publish("s/a.png", versions[number % 4])
        finally:
            done.set()
            reader.join()
        assert seen
        assert all(content in versions for content in seen)

    @pytest.mark.parametrize(
        "name",
        [
            "../a.png",
            "s/../../a.png",
            "/etc/a.png",
            "s//a.png",
            "./a.png",
            "s/./a.png",
            ".png/..",
            "a.txt",
            "s/",
            ".dicomprep-tmp/a.png",
            "a\x00.png",
        ],
    )
    def test_a_name_that_leads_elsewhere_is_refused(self, store: ImageStore, name: str) -> None:
        assert not is_image_name(name)
        for use in (store.read, store.stat, lambda name: store.publish(name, b"x"), lambda name: store.remove([name])):
            with pytest.raises(EnvironmentFault, match="names an image"):
                use(name)

    def test_it_goes_along_to_other_processes(self, store: ImageStore) -> None:
        store.publish("s/a.png", b"a")
        assert pickle.loads(pickle.dumps(store)).read("s/a.png") == b"a"


CONTENT = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(6000))

Put = Callable[[str, bytes], Source]
"""Makes a source of this content at this path, in the place of the one before, as it would be found."""


class SourceContract:
    """Every source is held to this; a test class of a backend inherits it and gives `put`."""

    @pytest.mark.parametrize("path", ["a.dcm", "Study 001/Ä ö.dcm", unicodedata.normalize("NFD", "頭部/é")])
    def test_what_is_there_is_read(self, put: Put, path: str) -> None:
        source = put(path, CONTENT)
        assert (source.path, source.error, source.version.size) == (path, None, len(CONTENT))
        with source.open() as file:
            assert file.head() == CONTENT[:HEAD_BYTES]
            assert (file.size, file.held_bytes) == (len(CONTENT), len(CONTENT))
            assert file.read_at(1000, 70_000) == CONTENT[1000:71_000]
            assert file.read_at(len(CONTENT) - 3, 10) == CONTENT[-3:]
            assert file.read_at(len(CONTENT), 10) == b""
            assert bytes(file.view_at(5, 7)) == CONTENT[5:12]
            assert file.stream().read() == CONTENT
            assert file.digest() == xxhash.xxh3_128_digest(CONTENT)
            assert file.version.has_content_of(source.version)
            assert not file.has_changed()

    def test_an_empty_one(self, put: Put) -> None:
        with put("empty.dcm", b"").open() as file:
            assert (file.head(), file.read_at(0, 5), file.stream().read()) == (b"", b"", b"")

    def test_a_large_one_is_read_piece_by_piece(self, put: Put) -> None:
        large = os.urandom(2**20) * (WHOLE_FILE_BYTES // 2**20 + 1)
        with put("large.dcm", large).open() as file:
            assert file.read_at(2**20 - 2, 4) == large[2**20 - 2 : 2**20 + 2]
            stream = file.stream()
            stream.seek(len(large) - 10)
            assert stream.read() == large[-10:]
            assert file.digest() == xxhash.xxh3_128_digest(large)

    def test_another_content_is_another_version(self, put: Put) -> None:
        before = put("a.dcm", CONTENT)
        with before.open() as file:
            after = put("a.dcm", CONTENT[1:])
            assert file.has_changed()
        assert not after.version.has_content_of(before.version)
        assert not after.version.is_same(before.version)
        assert before.version.is_same(before.version)

    def test_it_goes_along_to_other_processes(self, put: Put) -> None:
        source = put("a.dcm", CONTENT)
        copy = pickle.loads(pickle.dumps(source))
        assert copy == source
        with copy.open() as file:
            assert file.head() == CONTENT[:HEAD_BYTES]

    def test_what_is_gone_is_unreadable(self, put: Put, remove: Callable[[str], None]) -> None:
        source = put("a.dcm", CONTENT)
        remove("a.dcm")
        with pytest.raises(InputError) as caught, source.open():
            pass
        assert caught.value.code is ErrorCode.UNREADABLE

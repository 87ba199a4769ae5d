"""Stores of many keys and objects of many gigabytes take no more memory and bytes than what is wanted of them."""

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dicomprep.pipeline.remote import remote_sources
from dicomprep.pipeline.stages import listing
from dicomprep.storage.remote_roots import find_remote_tree
from tests.building import make_dicom
from tests.running import Place
from tests.services.stub_store import Stub, serving_stub

FRAMES, FRAME_BYTES = 8191, 2 * 512 * 512
TRAILING_BYTES = 2**30
"""A private element behind the pixels: these alone have no more than 4 GB."""


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def peak_of(count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes that a listing of so many keys takes, at most."""
    with serving_stub(Stub(lambda n: f"big/{n // 500:04d}/{n:07d}.dcm", count, 9, lambda *_: b"")) as stub:
        monkeypatch.setenv("AWS_ENDPOINT_URL", stub.endpoint)
        tree = find_remote_tree(f"s3://b{count}/big", [])  # a store is opened once for an address
        tracemalloc.start()
        found = remote_sources(tree, exclude=(), passed_over=Counter(), archives=True, spool=None)
        paths = (source.path for source in found if source is not None)
        last, number = "", 0
        for path in paths:
            assert path > last
            last, number = path, number + 1
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (number, stub.pages) == (count, count // 1000)
    return peak


def test_a_listing_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_HELD_ENTRIES", 2000)
    few, many = (peak_of(count, monkeypatch) for count in (6000, 18_000))
    assert many < 1.5 * few


def test_of_an_object_of_five_gigabytes_only_what_is_wanted_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.zeros((512, 512), np.uint16)
    made = make_dicom(
        tmp_path / "one.dcm", pixels, NumberOfFrames=FRAMES, BitsStored=12, WindowCenter=2000, WindowWidth=4000
    )
    head = made.read_bytes()[:-FRAME_BYTES]
    head = head[:-4] + (FRAMES * FRAME_BYTES).to_bytes(4, "little")
    noise = np.random.default_rng(0).integers(0, 4096, FRAME_BYTES // 2, dtype=np.uint16).tobytes()

    def read(start: int, end: int) -> bytes:
        begin = head[start:end]
        at = max(start, len(head)) - len(head)
        length = end - start - len(begin)
        return begin + (noise * (length // FRAME_BYTES + 2))[at % FRAME_BYTES :][:length]

    size = len(head) + FRAMES * FRAME_BYTES + TRAILING_BYTES
    with serving_stub(Stub(lambda _: "big/huge.dcm", 1, size, read)) as stub:
        monkeypatch.setenv("AWS_ENDPOINT_URL", stub.endpoint)
        place = Place(tmp_path / "place")
        result = place.run(dicom_dir="s3://b/big", frames="every=1000", workers=1)
        assert (result.found, result.frames) == (1, 9)
        assert size > 5 * 10**9
        assert stub.sent < 9 * FRAME_BYTES + 2**20
        assert place.run(dicom_dir="s3://b/big", frames="every=1000", workers=1).unchanged == 1
        assert stub.requests < 15

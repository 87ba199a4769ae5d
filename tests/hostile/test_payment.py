"""Files that ask for far more work than their bytes pay for: each is refused before the work, or read once a file."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from dicomprep.config import ImageOptions, Splits
from dicomprep.errors import ErrorCode
from dicomprep.models import Outcome, Settings, Status, Task
from dicomprep.pipeline.process_file import process
from dicomprep.pipeline.stages.decode import decode
from dicomprep.storage.local_images import LocalImages
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.source import Version
from tests.faults.bombs import (
    DEFLATED,
    FUNCTIONAL,
    ITEM,
    PIXELS,
    PLAIN,
    PRIVATE,
    UNDEFINED,
    Elements,
    make_element,
    make_file,
    make_fragments,
    make_groups,
    make_item,
    make_numbers,
    make_text,
)

SECONDS = 5.0
"""Of CPU, which is promised; what follows takes a tenth of it or less, and took from six seconds to hours."""

SIDE, FRAMES = 8, 400
JPEG, JPEG_XL, DEFLATED_FRAMES, JPEG_2000 = (f"1.2.840.10008.1.2.{end}" for end in ("4.50", "4.110", "8.1", "4.90"))
SHARED, VOI_LUTS = 0x52009229, 0x00283010
SMALL = PLAIN | make_numbers(rows=SIDE, columns=SIDE, frames=FRAMES)


def _processed(path: Path) -> Outcome:
    """What becomes of a file, within the CPU time that is promised."""
    os.utime(path, (1e9, 1e9))
    status, output = path.stat(), path.parent / "out"
    output.mkdir()
    task = Task(LocalSource(str(path.parent), path.name, Version(status.st_size, status.st_mtime_ns)), "s", "s/a")
    settings = Settings(ImageOptions(size=16), Splits(), LocalImages(output), b"k" * 32, 2**31, timeout=120)
    began = sum(os.times()[:2])
    outcome = process(task, settings)
    assert sum(os.times()[:2]) - began < SECONDS
    return outcome


def _frames(elements: Elements, count: int = FRAMES) -> bytes:
    pixels = {0x7FE00010: make_element(0x7FE00010, "OB", bytes(count * SIDE * SIDE))}
    return make_file(SMALL, make_numbers(frames=count), elements, pixels)


def _sequence(tag: int, *contents: Elements) -> Elements:
    items = [b"".join(content[key] for key in sorted(content)) for content in contents]
    return {tag: make_element(tag, "SQ", b"".join(make_item(ITEM, len(item)) + item for item in items))}


def _windows(count: int, *, vr: str = "UT") -> Elements:
    return {
        0x00281050: make_element(0x00281050, vr, b"40\\" * count),
        0x00281051: make_element(0x00281051, vr, b"80\\" * count),
    }


def _table(entries: bytes) -> Elements:
    return {
        0x00283002: make_element(0x00283002, "US", struct.pack("<3H", 0, 0, 16)),
        0x00283006: make_element(0x00283006, "US", entries),
    }


def _palette() -> Elements:
    """A supplemental one whose last channel is missing: the others are expanded before that shows."""
    elements = {0x00089205: make_text(0x00089205, "CS", "COLOR")}
    for number in range(3):
        tag = 0x00281101 + number
        elements[tag] = make_element(tag, "US", struct.pack("<3H", 0, 0, 16))
        segments = struct.pack("<5H", 0, 1, 0, 1, 65535) + struct.pack("<H", 5)
        if number < 2:
            elements[tag + 0x120] = make_element(tag + 0x120, "OW", segments)
    return elements


READ_BY_EVERY_FRAME: dict[str, Callable[[], bytes]] = {
    "300,000 windows of the file": lambda: _frames(_windows(300_000)),
    "300,000 windows, as numbers": lambda: _frames(_windows(300_000, vr="UN")),
    "100,000 windows of all frames": lambda: _frames(_sequence(SHARED, _sequence(0x00289132, _windows(100_000)))),
    "200 windows of each frame": lambda: _frames(
        _sequence(FUNCTIONAL, *[_sequence(0x00289132, _windows(200))] * FRAMES)
    ),
    "500,000 slopes": lambda: _frames({0x00281053: make_element(0x00281053, "UT", b"1\\" * 500_000)}),
    "500,000 spacings": lambda: _frames({0x00280030: make_element(0x00280030, "UT", b"1\\" * 500_000)}),
    "500,000 values of padding": lambda: _frames({0x00280120: make_element(0x00280120, "UT", b"1\\" * 500_000)}),
    "a VOI LUT written as numbers": lambda: _frames(_sequence(VOI_LUTS, _table(bytes(range(240)) * 270))),
    "a supplemental palette with a channel missing": lambda: _frames(_palette()),
}


@pytest.mark.parametrize("name", READ_BY_EVERY_FRAME)
def test_what_every_frame_asks_for_is_read_once(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(READ_BY_EVERY_FRAME[name]())
    outcome = _processed(path)
    assert (outcome.status, len(outcome.written)) == (Status.DONE, FRAMES)


def test_a_huge_profile_is_not_applied(tmp_path: Path) -> None:
    profile = imagecodecs.cms_profile("srgb")
    elements = {
        0x00280004: make_text(0x00280004, "CS", "RGB"),
        0x00282000: make_element(0x00282000, "OB", profile + bytes(2**26)),
        0x7FE00010: make_element(0x7FE00010, "OB", bytes(3 * FRAMES * SIDE * SIDE)),
    }
    path = tmp_path / "a.dcm"
    path.write_bytes(make_file(SMALL, make_numbers(samples=3, planar=0), elements))
    outcome = _processed(path)
    assert (outcome.status, len(outcome.written)) == (Status.DONE, FRAMES)
    assert "ICC profile of" in outcome.written[0].transform


# Elements and items


def _empty_elements(count: int) -> bytes:
    return b"".join(struct.pack("<2H2sH", 0x10, number & 0xFFFF, b"LO", 0) for number in range(count))


MANY_ELEMENTS: dict[str, Callable[[], bytes]] = {
    "2,000,000 items without a length": lambda: make_file(PLAIN, make_groups(2_000_000, PRIVATE), PIXELS),
    "300,000 items for each frame of one": lambda: make_file(PLAIN, make_groups(300_000, FUNCTIONAL), PIXELS),
    "260,000 items with a length": lambda: make_file(PLAIN, make_groups(260_000, FUNCTIONAL, defined=True), PIXELS),
    "260,000 codes of a view": lambda: make_file(PLAIN, make_groups(260_000, 0x00540220, defined=True), PIXELS),
    "260,000 VOI LUTs": lambda: make_file(PLAIN, make_groups(260_000, VOI_LUTS, defined=True), PIXELS),
    "100,000 items in each of five sequences": lambda: make_file(
        PLAIN,
        *(
            make_groups(100_000, tag, defined=True)
            for tag in (FUNCTIONAL, 0x00540220, 0x00082218, VOI_LUTS, 0x00480105)
        ),
        PIXELS,
    ),
    "1,000,000 elements in an item": lambda: make_file(
        PLAIN,
        {SHARED: make_element(SHARED, "SQ", make_item(ITEM, 8_000_000) + _empty_elements(1_000_000))},
        PIXELS,
    ),
    "1,000,000 elements": lambda: make_file(PLAIN, {0x00100030: _empty_elements(1_000_000)}, PIXELS),
    "30 sequences in each of 20,000 items": lambda: make_file(
        PLAIN,
        _sequence(
            FUNCTIONAL,
            *[{tag: make_element(tag, "SQ", make_item(ITEM)) for tag in range(0x00089123, 0x00089141)}] * 20_000,
        ),
        PIXELS,
    ),
    "3,000,000 items in half a megabyte": lambda: make_file(
        PLAIN, make_groups(3_000_000, FUNCTIONAL, defined=True), PIXELS, syntax=DEFLATED
    ),
    "in a sequence within UN": lambda: make_file(
        PLAIN,
        {PRIVATE: make_element(PRIVATE, "UN", (make_item(ITEM, 0)) * 1_000_000 + make_item(0xFFFEE0DD), UNDEFINED)},
        PIXELS,
    ),
}


@pytest.mark.parametrize("name", MANY_ELEMENTS)
def test_no_more_elements_are_read_than_a_file_pays_for(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(MANY_ELEMENTS[name]())
    outcome = _processed(path)
    assert (outcome.status, outcome.error_code) == (Status.FAILED, ErrorCode.LIMIT_EXCEEDED)
    assert "too many header elements" in (outcome.error_detail or "")


def test_frames_with_pixels_pay_for_their_items(tmp_path: Path) -> None:
    """15,000 frames with seven groups each: 465,000 elements and items, and 61 MB of pixels behind them."""
    group = {tag: make_element(tag, "SQ", make_item(ITEM)) for tag in range(0x00089123, 0x0008912A)}
    elements = _sequence(FUNCTIONAL, *[group] * 15_000)
    path = tmp_path / "a.dcm"
    rows = make_numbers(rows=64, columns=64, frames=15_000)
    head = make_file(PLAIN, rows, elements, {0x7FE00010: make_element(0x7FE00010, "OB", b"", 15_000 * 4096)})
    path.write_bytes(head + b"\1" * 15_000 * 4096)
    with LocalSource.at(path).open() as file:
        assert decode(file, max_bytes=2**31).frame_count == 15_000


# Holes


@pytest.mark.parametrize(
    "head",
    [
        b"",
        make_file(PLAIN, make_numbers(rows=1000, columns=1000, frames=4000))
        + struct.pack("<2H2s2xI", 0x7FE0, 0x10, b"OB", 4_000_000_000),
        make_file(PLAIN) + make_element(PRIVATE, "OB", b"", UNDEFINED),
        make_file(PLAIN) + make_element(0x00081030, "UT", b"", 2**32 - 2),
        make_file({}, syntax=DEFLATED),
    ],
    ids=["nothing", "pixels", "undefined length", "a text of 4 GB", "deflated"],
)
def test_holes_are_not_read(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(21 * 2**30)
    outcome = _processed(path)
    assert (outcome.status, outcome.error_code) == (Status.FAILED, ErrorCode.LIMIT_EXCEEDED)
    assert "the rest are holes" in (outcome.error_detail or "")


def test_a_file_with_some_holes_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    head = make_file(PLAIN, make_numbers(rows=4096, columns=4096), {0x7FE00010: b""})
    with path.open("wb") as file:
        file.write(head + struct.pack("<2H2s2xI", 0x7FE0, 0x10, b"OB", 2**24))
        file.truncate(len(head) + 12 + 2**24)
    assert _processed(path).status is Status.DONE


# Codestreams


def _black(side: int, count: int, *, syntax: str, code: bytes) -> bytes:
    return make_file(
        PLAIN, make_numbers(rows=side, columns=side, frames=count), make_fragments([code] * count), syntax=syntax
    )


def _black_jpegxl(side: int) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(np.zeros((side, side), np.uint8), usecontainer=False, lossless=True))


def _black_jpeg2000(side: int) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(np.zeros((side, side), np.uint8), codecformat="j2k", reversible=True))


PIXELS_OF_NOTHING: dict[str, Callable[[], bytes]] = {
    "100 deflated frames of 8,000²": lambda: _black(
        8000, 100, syntax=DEFLATED_FRAMES, code=zlib.compress(bytes(8000 * 8000), 9, wbits=-zlib.MAX_WBITS)
    ),
    "20 frames of JPEG 2000 of 8,000²": lambda: _black(8000, 20, syntax=JPEG_2000, code=_black_jpeg2000(8000)),
    "80 frames of JPEG XL of 2,048²": lambda: _black(2048, 80, syntax=JPEG_XL, code=_black_jpegxl(2048)),
}


@pytest.mark.parametrize("name", PIXELS_OF_NOTHING)
def test_a_file_decodes_to_no_more_than_it_pays_for(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(PIXELS_OF_NOTHING[name]())
    outcome = _processed(path)
    assert (outcome.status, outcome.error_code) == (Status.FAILED, ErrorCode.LIMIT_EXCEEDED)
    assert "more than is decoded" in (outcome.error_detail or "")


def _jpeg_with(segments: bytes) -> bytes:
    code = bytes(imagecodecs.jpeg8_encode(np.zeros((64, 64), np.uint8)))
    return _black(64, 1, syntax=JPEG, code=code[:2] + segments + code[2:])


def _jpeg2000_with(segments: bytes) -> bytes:
    code = bytes(imagecodecs.jpeg2k_encode(np.zeros((64, 64), np.uint8), codecformat="j2k", level=0))
    at = code.index(b"\xff\x52")
    return _black(64, 1, syntax=JPEG_2000, code=code[:at] + segments + code[at:])


@pytest.mark.parametrize(
    "content", [_jpeg_with(b"\xff\xfe\0\2" * 2_000_000), _jpeg2000_with(b"\xff\x64\0\4\0\0" * 2_000_000)]
)
def test_segments_before_the_code_are_counted(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    outcome = _processed(path)
    assert (outcome.status, outcome.error_code) == (Status.FAILED, ErrorCode.LIMIT_EXCEEDED)
    assert "segments" in (outcome.error_detail or "")


def test_fill_bytes_are_passed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(_jpeg_with(b"\xff" * 40_000_000))
    assert _processed(path).status is Status.DONE

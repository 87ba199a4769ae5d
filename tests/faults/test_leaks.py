"""Memory of workers: none gets more than its limit, and decoding thousands of files does not make them grow."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from tests.building import make_dicom
from tests.faults import measuring
from tests.reference_table import FOLDER
from tests.running import PROJECT, Place, call, make_files

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own count of memory is needed")

UID = "1.2.840.10008.1.2"
SAMPLES = {
    "native": "MR_small.dcm",
    "Deflated": "image_dfl.dcm",
    "RLE": "MR_small_RLE.dcm",
    "JPEG": "SC_rgb_jpeg_dcmtk.dcm",
    "JPEG Lossless": "SC_rgb_jpeg_gdcm.dcm",
    "JPEG-LS": "MR_small_jpeg_ls_lossless.dcm",
    "JPEG 2000": "MR_small_jp2klossless.dcm",
}
GENERATED: dict[str, tuple[str, Callable[[np.ndarray], bytes]]] = {
    "JPEG of 12 bits": (f"{UID}.4.51", lambda pixels: imagecodecs.jpeg8_encode(pixels >> 4, bitspersample=12)),
    "JPEG 2000, reduced": (
        f"{UID}.4.90",
        lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True),
    ),
    "HTJ2K": (f"{UID}.4.201", imagecodecs.htj2k_encode),
    "JPEG XL": (f"{UID}.4.110", lambda pixels: imagecodecs.jpegxl_encode(pixels, level=0)),
}
QUICK = ("JPEG-LS", "JPEG 2000", "HTJ2K")
TIMES, QUICK_TIMES = 2500, 100
GROWTH_MEGABYTES = 30
"""Between the first tenth and the end. A leak of 8 KB a file would show."""


def test_decoding_again_and_again_does_not_grow_a_worker(
    thorough: bool, note: Callable[..., None], tmp_path: Path
) -> None:
    grown = {}
    for codec in (*SAMPLES, *GENERATED) if thorough else QUICK:
        file = _file(codec, tmp_path)
        command = [sys.executable, "-m", "tests.faults.leaking", str(file), str(TIMES if thorough else QUICK_TIMES)]
        done = call(command, PROJECT, timeout=1200)
        assert done.returncode == 0, done.stderr
        early, late = json.loads(done.stdout)
        grown[codec] = late - early
    figures = {codec: f"{growth:+.1f} MB" for codec, growth in grown.items()}
    note(f"memory of one process after {2 * TIMES:,} decodes of each codec", **figures)
    assert {codec: growth for codec, growth in grown.items() if growth > GROWTH_MEGABYTES} == {}


def _file(codec: str, folder: Path) -> Path:
    """A small file of a codec."""
    path = folder / "x.dcm"
    if codec in SAMPLES:
        path.write_bytes((FOLDER / SAMPLES[codec]).read_bytes())
        return path
    syntax, encode = GENERATED[codec]
    rng = np.random.default_rng(3)
    pixels = (np.add.outer(np.arange(128), np.arange(128)) * 200 + rng.integers(0, 500, (128, 128))).astype(np.uint16)
    stored = pixels >> 4 if codec == "JPEG of 12 bits" else pixels
    return make_dicom(path, stored, transfer_syntax=syntax, codestreams=[encode(pixels)])


@linux_only
@pytest.mark.parametrize("megabytes", [128])
def test_a_worker_gets_no_more_memory_than_its_limit(megabytes: int, note: Callable[..., None], tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_files(place.source, "memory-1.dcm", "memory-2.dcm", *(f"good-{n}.dcm" for n in range(6)))
    place.run(work=measuring.FAULTY, max_memory=megabytes)
    failed = {
        Path(path).stem: code for path, code in place.rows("SELECT path, error_code FROM inputs WHERE error_code > ''")
    }
    assert failed == {"memory-1": "out_of_memory", "memory-2": "out_of_memory"}
    growth = [json.loads(path.read_text())["growth"] for path in Path(f"{place.source}.costs").glob("memory-*")]
    assert max(growth) <= megabytes + 16
    assert min(growth) >= megabytes * 0.8
    note(f"a worker that takes all it gets, of {megabytes} MB", most=f"{max(growth):.0f} MB")

"""Small files that ask for much cost little: each ends in a state, in seconds, within its memory."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import JPEGBaseline8Bit

import dicomprep
from dicomprep.dicom import header, items
from dicomprep.errors import InputError
from tests.building import make_dicom
from tests.faults import measuring
from tests.faults.bombs import BOMBS, open_sequence
from tests.running import Place

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own count of peak memory is needed")

SLOW = (
    "10⁵",
    "10⁶ e",
    "10⁶ w",
    "10⁶ c",
    "10⁶ l",
    "10⁷",
    "2¹⁹",
    "without an end",
    "Deflated: ",
    "both claim what",
    "rubbish",
)
"""What takes most of a second to make or to refuse."""

MEGABYTES = 2048
PARENT_MEGABYTES = 50
SECONDS, TOLERATED_SECONDS = 5, 15
"""CPU time that each may take, and what it may take on a machine that others use."""

DRAWN = {
    "RLE: both claim what the budget allows", "palette: descriptors that lie", "palette: linear segments without end",
    "ICC profile: rubbish", "ICC profile: tags", "ICC profile: curves", "ICC profile: size",
    "items: 10⁵ in a sequence that is read", "items: 10⁵ with lengths", "items: 10⁵ in a private sequence",
    "items: 10⁵ as optical paths", "nested 50,000 deep: with lengths",
    "nested 50,000 deep: with lengths, VOI LUT", "nested 50,000 deep: 400 deep, with lengths",
    "value: 10⁷ window centers", "value: 10⁷ cosines of a plane",
}  # fmt: skip
"""There is an image in them all the same."""

FIRST_FRAME_DRAWN = {
    "frames: 2²⁰, native, one there", "frames: 2²⁰, encapsulated, one there",
    "frames: 2²⁰ of a dose, native, one there", "offset table: 10⁶ entries for one fragment",
}  # fmt: skip


def test_no_bomb_costs_more_than_its_budget(thorough: bool, note: Callable[..., None], tmp_path: Path) -> None:
    names = [name for name in BOMBS if thorough or not any(word in name for word in SLOW)]
    place = Place(tmp_path)
    place.source.mkdir()
    for number, name in enumerate(names):
        (place.source / f"{number:03}.dcm").write_bytes(BOMBS[name]())
    before = measuring.resident_megabytes()
    measuring.forget_peak()
    place.run(work=measuring.WORK, max_memory=MEGABYTES, timeout=600)
    growth = measuring.peak_megabytes() - before

    states = {names[int(file[:3])]: state for file, state in place.statuses().items()}
    costs = {name: _costs(place, number) for number, name in enumerate(names)}
    wrong = {name: state for name, state in states.items() if state[0] != _expected(name)}
    assert not wrong
    assert len(states) == len(names)
    assert {name for name, (_, code) in states.items() if code in ("internal", "worker_crashed", "timeout")} == set()
    assert {name: cost for name, cost in costs.items() if cost["seconds"] > TOLERATED_SECONDS} == {}
    assert {name: cost for name, cost in costs.items() if cost["growth"] > MEGABYTES} == {}
    assert growth < PARENT_MEGABYTES
    place.check()
    slowest, largest = (max(costs, key=lambda name, by=by: costs[name][by]) for by in ("seconds", "growth"))
    note(
        "bombs",
        files=len(names),
        most_CPU_seconds_in_a_worker=f"{costs[slowest]['seconds']:.1f} ({slowest})",
        above_5_s=sum(cost["seconds"] > SECONDS for cost in costs.values()),
        most_memory_in_a_worker=f"{costs[largest]['growth']:.0f} MB of {MEGABYTES} MB ({largest})",
        growth_of_the_parent=f"{growth:.1f} MB",
    )


def _expected(name: str) -> str:
    if name == "undefined length without an end: other bytes":
        return "skipped"  # a value that goes on to the end of the file: there are no pixels
    return "done" if name in DRAWN else "partial" if name in FIRST_FRAME_DRAWN else "failed"


def _costs(place: Place, number: int) -> dict[str, float]:
    """What a file cost: all tries and shares together, and the most memory of any."""
    lines = Path(f"{place.source}.costs/{number:03}.dcm.json").read_text().splitlines()
    costs = [json.loads(line) for line in lines]
    return {"seconds": sum(c["seconds"] for c in costs), "growth": max(c["growth"] for c in costs)}


@pytest.mark.parametrize(("empty", "frames"), [(999, 1), (1000, 0)])
def test_after_a_thousand_failures_in_a_row_no_frame_is_tried(empty: int, frames: int, tmp_path: Path) -> None:
    place = Place(tmp_path)
    good = imagecodecs.jpeg8_encode(np.arange(256, dtype=np.uint8).reshape(16, 16))
    streams = [b"\xff\xd8\xff\xd9"] * empty + [good]
    layout = np.zeros((len(streams), 16, 16), np.uint8)
    make_dicom(place.source / "a.dcm", layout, transfer_syntax=JPEGBaseline8Bit, codestreams=streams)
    place.run()
    assert place.rows("SELECT status, frames FROM inputs") == [("partial" if frames else "failed", frames)]
    assert f"{empty + 1 - frames:,} of {empty + 1:,} frames failed" in place.rows("SELECT error_detail FROM inputs")[0]
    place.check()


def test_a_header_is_read_only_so_far(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(BOMBS["nested 50,000 deep: 400 deep, with lengths"]())
    assert len(dicomprep.process_dicom(path)) == 1
    path.write_bytes(open_sequence(items=300))
    assert len(dicomprep.process_dicom(path)) == 1
    monkeypatch.setattr(header, "FREE_ELEMENTS", 300)
    monkeypatch.setattr(items, "FREE_ELEMENTS", 300)
    with pytest.raises(InputError, match="too many header elements") as caught:
        dicomprep.process_dicom(path)
    assert caught.value.code == "limit_exceeded"

"""Which slices the viewer runs through, and what there is of the patient to compare with."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dicomprep.web
from dicomprep.pixels.windows import WINDOW_PRESETS
from tests.building import make_dicom
from tests.pages import Pages, serving
from tests.running import Place, frames_of, wait_until

AXIAL, CORONAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A series of two planes in no order, with a duplicate and a cine beside; a volume of several frames."""
    place = Place(tmp_path_factory.mktemp("stack"))
    uids = {"SeriesInstanceUID": "1.5", "StudyInstanceUID": "1.4", "FrameOfReferenceUID": "1.6"}
    for number, at in enumerate((30, 0, 20, 10)):
        slice_at(place.source / "ct" / f"{number}.dcm", at, seed=at, InstanceNumber=number + 1, **uids)
        slice_at(
            place.source / "ct" / f"c{number}.dcm", at, seed=at + 5, plane=CORONAL, InstanceNumber=number + 9, **uids
        )
    slice_at(place.source / "of it" / "copy.dcm", 20, seed=20, InstanceNumber=3, SOPInstanceUID="1.99", **uids)
    make_dicom(place.source / "ct" / "wide.dcm", frames_of(1)[0], WindowCenter=-600, WindowWidth=1500, Modality="CR")
    make_dicom(place.source / "ct" / "cine.dcm", frames_of(4, seed=70), patient_id="Groß", InstanceNumber=40, **uids)
    groups = [{"PlanePositionSequence": [{"ImagePositionPatient": [0, 0, at]}]} for at in (8, 0, 4)]
    shared = [{"PlaneOrientationSequence": [{"ImageOrientationPatient": AXIAL}]}]
    more = {"PerFrameFunctionalGroupsSequence": groups, "SharedFunctionalGroupsSequence": shared, "Modality": "MR"}
    make_dicom(place.source / "mr" / "volume.dcm", frames_of(3, seed=90), patient_id="Weiß", **more)
    place.run()
    return place


def slice_at(path: Path, position: float, *, seed: int, plane: list[int] = AXIAL, **attributes: Any) -> None:
    pixels = np.random.default_rng(seed).integers(0, 4000, (24, 24), np.uint16)
    along = 2 if plane is AXIAL else 1
    point = [position * (axis == along) for axis in range(3)]
    make_dicom(path, pixels, patient_id="Groß", ImagePositionPatient=point, ImageOrientationPatient=plane, **attributes)


@pytest.fixture(scope="module")
def pages(place: Place) -> Iterator[Pages]:
    with serving(place) as pages:
        yield pages


def stack(pages: Pages, name: str) -> tuple[list[str], int, dict[str, Any]]:
    (frame, digest) = pages.place.rows("SELECT id, thumbnail_path FROM images WHERE filename = ?", name)[0]
    assert digest
    found = pages.get(f"/original/{frame}/stack")
    names = dict(pages.place.rows("SELECT id, filename FROM images"))
    return [f"{names[one[0]]}:{one[1]}" for one in found["slices"]], found["at"], found


def test_a_series_is_in_order_along_its_normal_plane_by_plane(pages: Pages) -> None:
    names, at, found = stack(pages, "ct/2")
    assert [name for name in names if "/c" not in name] == ["ct/1:0", "ct/3:0", "ct/2:0", "ct/0:0"]
    assert sorted(names[4:]) == [f"ct/c{number}:0" for number in range(4)]
    assert names[at] == "ct/2:0"
    assert [one[3] for one in found["slices"]][:4] == [0, 10, 20, 30]
    assert found["orientation"] == "1\\0\\0\\0\\1\\0"
    assert found["space"]


def test_each_slice_is_had_by_the_digest_that_is_named(pages: Pages) -> None:
    _, _, found = stack(pages, "ct/2")
    for frame, number, digest, _ in found["slices"]:
        assert pages.ask("GET", f"/original/{frame}/pixels?frame={number}&v={digest}")[0] == 200
        assert pages.ask("GET", f"/original/{frame}/pixels?frame={number}&v={digest[::-1]}")[0] == 404


def test_a_cine_is_by_itself_and_a_volume_in_its_order(pages: Pages) -> None:
    assert stack(pages, "ct/cine_frame0002")[:2] == ([f"ct/cine_frame000{number}:{number}" for number in range(4)], 2)
    assert stack(pages, "mr/volume_frame0000")[0] == [f"mr/volume_frame000{number}:{number}" for number in (1, 2, 0)]


def test_series_of_the_same_patient_can_be_compared(pages: Pages) -> None:
    (frame,) = pages.place.rows("SELECT id FROM images WHERE filename = 'ct/2'")
    assert wait_until(lambda: len(pages.get(f"/original/{frame}/patient")["series"]) == 2, 30)
    series = pages.get(f"/original/{frame}/patient")["series"]
    assert [(one["images"], one["is_own"], one["study"]) for one in series] == [(8, True, 1), (4, False, 1)]
    assert not {"study_key", "patient_key"} & {*series[0]}
    assert pages.get("/original/99999/patient") == {"series": []}


def test_windows_are_written_as_viewers_write_them(pages: Pages) -> None:
    (frame,) = pages.place.rows("SELECT id FROM images WHERE filename = 'ct/wide'")
    page = pages.ask("GET", f"/frame/{frame}")[1].decode()
    assert "W 1500 L −600" in page
    assert "1500.0" not in page


def test_the_legend_has_every_key() -> None:
    web = Path(dicomprep.web.__path__[0])
    listed = (web / "static" / "keys.js").read_text().partition("const KEYS = {")[2].partition("};")[0]
    keys = re.findall(r"^  (?:\"(.+)\"|(\w+)):", listed, re.MULTILINE)
    legend = (web / "templates" / "_viewer_keys.html").read_text()
    shown = set(" ".join(re.findall(r"^  \(\"(.+?)\",", legend, re.MULTILINE)).split())
    names = {"ArrowUp": "↑", "ArrowDown": "↓", " ": "Space", "Escape": "Esc", "Delete": "Backspace"}
    assert len(keys) > 20
    assert {names.get(key, key) for pair in keys for key in pair if key} <= shown
    assert f"Shift+1…{len(WINDOW_PRESETS)}" in shown

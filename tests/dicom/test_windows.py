"""Which window an image is drawn with: a preset, or one of the file's own by its name or number."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicomprep import preprocess, process_dicom
from dicomprep.checks.inspect import inspect_file
from dicomprep.config import ImageOptions
from dicomprep.dicom.windows import NO_SUCH_WINDOW, PRESET_NOT_USED
from dicomprep.errors import ConfigError
from tests.building import gradient, make_dicom

NAMED = {
    "WindowCenter": [1000, 2000, 500],
    "WindowWidth": [900, 800, 700],
    "WindowCenterWidthExplanation": ["NORMAL", "Softer ", "Hard\u00e9r"],
    "SpecificCharacterSet": "ISO_IR 192",
}
CLASSIC = {"Modality": "MG", **NAMED}
FIRST, SECOND, THIRD = (1000, 900), (2000, 800), (500, 700)


def table(scale: int, explanation: str) -> dict[str, Any]:
    """A VOI LUT of 4096 entries of 12 bits, told from others by its first entry."""
    entries = np.minimum(np.arange(4096) + scale, 4095).astype("<u2")
    return {"LUTDescriptor": [4096, 0, 12], "LUTData": entries.tobytes(), "LUTExplanation": explanation}


def window_of(path: Path, window: str) -> Any:
    """Center and width of what a file is drawn with; the first entry's number where it is a table."""
    (frame,) = process_dicom(path, size=64, window=window)
    voi = frame.transform["intensity"]["voi"]
    return (voi["center"], voi["width"]) if "center" in voi else voi


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("auto", FIRST),
        ("index=1", FIRST),
        ("index=2", SECOND),
        ("INDEX=3", THIRD),
        ("index=4", FIRST),
        ("explanation=NORMAL", FIRST),
        ("explanation=SOFTER", SECOND),
        ("explanation=s o f t e r", SECOND),
        ("Explanation=HARD\u00c9R", THIRD),
        ("explanation=SOFT", FIRST),
    ],
)
def test_a_window_of_the_file_by_name_or_number(tmp_path: Path, window: str, expected: tuple[int, int]) -> None:
    assert window_of(make_dicom(tmp_path / "a.dcm", **CLASSIC), window) == expected


def test_what_was_used_is_recorded(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", **CLASSIC)
    notes = [
        process_dicom(path, window=window)[0].transform.decoded.notes for window in ("explanation=Softer", "index=9")
    ]
    assert notes == [("--window explanation=softer: window 2 of the file",), (NO_SUCH_WINDOW,)]


def test_tables_count_before_windows(tmp_path: Path) -> None:
    tables = [table(0, "NORMAL"), table(1000, "SOFTER")]
    path = make_dicom(tmp_path / "a.dcm", **CLASSIC, VOILUTSequence=tables)
    normal, softer = (process_dicom(path, window=f"index={number}")[0].array for number in (1, 2))
    np.testing.assert_array_equal(normal, process_dicom(path)[0].array)
    assert softer.mean() > normal.mean() + 20
    np.testing.assert_array_equal(softer, process_dicom(path, window="explanation=softer")[0].array)
    assert window_of(path, "index=3") == THIRD
    assert window_of(path, "explanation=Hard\u00e9r") == THIRD


def enhanced(path: Path, *, shared: bool) -> Path:
    """Two frames whose windows are in functional groups."""
    first = {"FrameVOILUTSequence": [NAMED | {"SpecificCharacterSet": None}]}
    second = {"FrameVOILUTSequence": [{"WindowCenter": [300, 301], "WindowWidth": [200, 201],
                                       "WindowCenterWidthExplanation": ["SOFTER", "OTHER"]}]}  # fmt: skip
    groups = (
        {"SharedFunctionalGroupsSequence": [first]} if shared else {"PerFrameFunctionalGroupsSequence": [first, second]}
    )
    pixels = np.stack([gradient(), gradient()])
    return make_dicom(path, pixels, SpecificCharacterSet="ISO_IR 192", WindowCenter=7, WindowWidth=8, **groups)


@pytest.mark.parametrize(
    ("shared", "window", "expected"),
    [
        (False, "explanation=SOFTER", [SECOND, (300, 200)]),
        (False, "index=2", [SECOND, (301, 201)]),
        (False, "index=3", [THIRD, (300, 200)]),
        (True, "explanation=SOFTER", [SECOND, SECOND]),
    ],
)
def test_functional_groups_have_windows_of_their_own(
    tmp_path: Path, shared: bool, window: str, expected: list[tuple[int, int]]
) -> None:
    frames = process_dicom(enhanced(tmp_path / "a.dcm", shared=shared), window=window)
    vois = [frame.transform["intensity"]["voi"] for frame in frames]
    assert [(voi["center"], voi["width"]) for voi in vois] == expected


def test_a_window_of_the_file_may_be_one_of_three(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", **CLASSIC | {"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024})
    (frame,) = process_dicom(path, window="lung, explanation=softer, 40/400")
    channels = [channel["voi"]["center"] for channel in frame.transform["intensity"]["channels"]]
    assert channels == [-600, 2000, 40]


@pytest.mark.parametrize("window", ["lung,mediastinum,bone", "medgemma", "index=7,explanation=a,index=9"])
def test_three_windows_that_do_not_apply_are_one_grayscale_image(tmp_path: Path, window: str) -> None:
    path = make_dicom(tmp_path / "a.dcm", **CLASSIC)
    (frame,), (own,) = process_dicom(path, size=64, window=window), process_dicom(path, size=64)
    np.testing.assert_array_equal(frame.array, own.array)


def test_inspect_says_of_each_channel_whose_window_it_is(tmp_path: Path) -> None:
    options = ImageOptions(window="lung,40/400,index=2")
    path = make_dicom(tmp_path / "a.dcm", **CLASSIC)
    rows = inspect_file(path, options, frame_number=0, max_bytes=2**28).rows
    windows = [text.rpartition("; ")[2] for name, text in rows if name == "Window"]
    assert windows[1:] == ["--window", "--window"]
    assert windows[0].startswith("Window Center (0028,1050) of the file")


def test_a_model_names_its_three_windows(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    (named,), (spelled,) = (process_dicom(path, window=text) for text in ("medgemma", "0/2048,40/350,40/80"))
    np.testing.assert_array_equal(named.array, spelled.array)
    assert named.array.shape[-1] == 3


@pytest.mark.parametrize(
    "says",
    [
        {},  # without a rescale, 0 is the lowest value: there is no air
        {"RescaleSlope": 1, "RescaleIntercept": 0},
        {"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "US"},
        {"RescaleSlope": 1, "RescaleIntercept": -1024, "Modality": "PT"},
    ],
)
def test_what_cannot_be_air_is_not_in_hounsfield_units(tmp_path: Path, says: dict[str, Any]) -> None:
    path = make_dicom(tmp_path / "a.dcm", **{"WindowCenter": 1000, "WindowWidth": 900, **says})
    assert window_of(path, "lung") == FIRST
    signed = make_dicom(tmp_path / "b.dcm", gradient().astype(np.int16) - 1024, Modality=says.get("Modality", "CT"))
    assert (PRESET_NOT_USED in process_dicom(signed, window="lung")[0].transform.decoded.notes) == ("Modality" in says)


def test_the_summary_counts_images_without_the_window_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dicomprep.cli.summary import print_summary

    make_dicom(tmp_path / "in" / "named.dcm", **CLASSIC)
    make_dicom(tmp_path / "in" / "unnamed.dcm", gradient() + np.uint16(1), Modality="MR")
    enhanced(tmp_path / "in" / "two.dcm", shared=False)
    result = preprocess(
        *(tmp_path / "in",),
        output_dir=tmp_path / "out",
        db=str(tmp_path / "a.db"),
        workers=1,
        window="explanation=normal",
    )
    assert (result.without_window, result.without_preset) == (2, 0)
    print_summary(result, label="", program="dicomprep", given="")
    assert "2 images without the window asked for: the file's first one is used" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize(
    "window", ["index=0", "index=-1", "index=x", "explanation=", "explanation= ", "index=1,index=2"]
)
def test_what_is_no_window_is_refused(window: str) -> None:
    with pytest.raises(ConfigError, match="--window"):
        ImageOptions(window=window)


def test_presets_alone_have_rules_of_their_own() -> None:
    """Data sets that were made with other windows are not made again."""
    assert ImageOptions().fingerprint() == "3f13565e1a6bbd70"
    assert ImageOptions(window="40/400").fingerprint() == "2b2723d71ade8470"

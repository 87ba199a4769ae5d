"""What is drawn, held against DCMTK's `dcmj2pnm` on every sample file that it decodes; skipped where it is missing."""

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dicomprep.config import ImageOptions
from dicomprep.pipeline.stages.normalize import normalize
from dicomprep.pixels.intensity import ValueRange, Window
from tests.reading import decoded_frames
from tests.reference_table import FOLDER, REFERENCE

DEVIATIONS = {
    "SC_ybr_full_422_uncompressed.dcm": (
        2,
        0.5,
        "DCMTK converts YBR_FULL by integers; pydicom agrees with us to the bit",
    ),
    "examples_overlay.dcm": (255, 0.7, "DCMTK draws the overlay plane into the picture"),
    "liver_1frame.dcm": (127, 18, "DCMTK draws the ones of single-bit pixels as half gray; a segment is white"),
    "liver_expb_1frame.dcm": (127, 18, "the same, in big endian"),
}
"""How far each may be off, at most and on average, in gray levels of 255; and who is right."""

NOT_DECODED = ("J2K", "j2k", "jp2k", "JPEG2000", "gdcm_KY", "jpeg2k")
"""DCMTK has no decoder for JPEG 2000."""

DECODED = [
    path
    for path, expected in REFERENCE.items()
    if expected.has_images and not any(part in path for part in NOT_DECODED)
]

pytestmark = pytest.mark.skipif(shutil.which("dcmj2pnm") is None, reason="DCMTK is not installed")


def drawn_by_dcmtk(path: Path, options: list[str], place: Path) -> NDArray[np.uint8]:
    """The first frame as (rows, columns[, 3]) of 8 bits."""
    command = ["dcmj2pnm", "+F", "1", *options, "--write-raw-pnm", str(path), str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("DCMTK does not decode it")
    picture = cv2.imread(str(place), cv2.IMREAD_UNCHANGED)
    return picture[..., ::-1] if picture.ndim == 3 else picture


@pytest.mark.parametrize("path", DECODED)
def test_the_picture_is_that_of_dcmtk(path: str, tmp_path: Path) -> None:
    drawn = normalize(decoded_frames(FOLDER / path)[0], ImageOptions())
    options = []
    for channel in drawn.intensity.channels:
        voi = channel.voi
        if isinstance(voi, ValueRange) and voi.rule != "all stored values":
            pytest.skip(f"the file states no window, and DCMTK has no rule like ours ({voi.low:g} … {voi.high:g})")
        options = ["+Ww", str(voi.center), str(voi.width)] if isinstance(voi, Window) else ["-W"]
    expected = drawn_by_dcmtk(FOLDER / path, options, tmp_path / "x.pnm")
    assert drawn.pixels.shape == expected.shape
    difference = np.abs(drawn.pixels.astype(int) - expected.astype(int))
    most, mean, _ = DEVIATIONS.get(Path(path).name, (1, 1, ""))
    assert difference.max() <= most
    assert difference.mean() <= mean

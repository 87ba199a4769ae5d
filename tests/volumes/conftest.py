"""One data set with all series that volumes are tested on; nothing changes it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.building import make_dicom
from tests.running import Place
from tests.volumes.scenes import AXIAL, OBLIQUE, OFFSET, even, make_enhanced, make_nuclear, make_stack, uid_of

NORMAL = np.cross(OBLIQUE[:3], OBLIQUE[3:])
DECUBITUS = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Generated series by the names of their folders."""
    place = Place(tmp_path_factory.mktemp("volumes of scènes"))
    make_all(place.source)
    place.run(hold_burned_in=True)
    return place


def make_all(root: Path) -> None:
    straight = even(5, (0, 0, 3))
    make_stack(root, "ascending", straight)
    make_stack(root, "descending", straight[::-1])
    make_stack(root, "decubitus", straight, DECUBITUS, PatientPosition="HFDR")
    make_stack(root, "oblique", even(5, NORMAL * 2.5), OBLIQUE)
    make_stack(root, "scaled", straight, RescaleSlope=2, RescaleIntercept=-7)
    make_stack(root, "fractions", straight, RescaleSlope=0.25)
    make_stack(root, "large", straight, RescaleSlope=1000)
    make_stack(root, "thin", even(12, (0, 0, 0.006)))
    make_stack(root, "single", straight[:1], SliceThickness=4)
    make_stack(root, "tilted", even(6, (0, 0.9, 3)))
    make_stack(root, "gapped", np.delete(even(8, (0, 0, 3)), [3, 4], axis=0))
    make_stack(root, "half", np.delete(even(9, (0, 0, 1.5)), [1, 3, 6], axis=0))
    make_stack(root, "rounded", even(12, (0, 0, 1.25), (0, 0, 0.017)).round(1))
    make_stack(root, "rounded oblique", even(9, NORMAL * 1.25).round(1), OBLIQUE)
    make_stack(root, "doubled", np.insert(straight, 2, straight[2], axis=0))
    make_stack(root, "mosaic", straight, ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
    make_stack(root, "unplaced", straight, ImagePositionPatient=None)
    make_stack(root, "unscaled", straight, RescaleSlope=0)
    make_stack(root, "held", straight, BurnedInAnnotation="YES")
    make_dicom(root / "color/a.dcm", np.zeros((8, 8, 3), np.uint8), color=True, SeriesInstanceUID=uid_of("color"))
    make_enhanced(root, "enhanced", even(5, NORMAL * -2.5), OBLIQUE, [_content(k, 0) for k in range(5)])
    make_divided(root, straight)
    make_nuclear(root, "nuclear static", even(5, NORMAL * 2.5), OBLIQUE, gates=1)
    make_nuclear(root, "nuclear", even(5, NORMAL * -2.5), OBLIQUE, gates=2)
    make_enhanced(root, "enhanced 4D", np.tile(straight, (2, 1)), AXIAL, [_content(k % 5, k // 5) for k in range(10)])


def make_divided(root: Path, straight: np.ndarray) -> None:
    """Series with several images at each place."""
    two, four = np.tile(straight, (2, 1)), np.tile(straight, (4, 1))
    parts: dict[str, Any] = {"raised": OFFSET}
    mr: dict[str, Any] = parts | {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}
    echoes = [4.6] * 5 + [9.2] * 5
    make_stack(root, "echoes", two, each=[{"EchoTime": echo} for echo in echoes], **mr)
    make_stack(root, "echoes that vary", two, each=[{"EchoTime": echoes[k] + k / 100} for k in range(10)], **mr)
    jitter = np.array([[0, 0, 0.004 * (k // 5)] for k in range(10)])
    make_stack(root, "echoes that jitter", two + jitter, each=[{"EchoTime": echo} for echo in echoes], **mr)
    kinds = [{"ImageType": ["ORIGINAL", "PRIMARY", "MP"[k // 5], "ND"]} for k in range(10)]
    make_stack(root, "components", two, each=kinds, **mr)
    contents = [{"AcquisitionTime": "100000", "ContentTime": f"1000{k:02d}"} for k in range(10)]
    make_stack(root, "contents", two, each=contents, **mr)
    gradients = [None, [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    weighted = [
        {"DiffusionBValue": 1000.0 * (k > 4), "DiffusionGradientOrientation": gradients[k // 5]} for k in range(20)
    ]
    make_stack(root, "diffusion", four, each=weighted, **mr)
    make_stack(root, "times", two, each=[{"TemporalPositionIdentifier": k // 5 + 1} for k in range(10)], **mr)
    make_stack(root, "phases", two, each=[{"TriggerTime": 300 * (k // 5) + k} for k in range(10)], **mr)
    make_stack(root, "moments", two, each=[{"AcquisitionTime": f"1000{k // 5}{k % 5}.5"} for k in range(10)], **mr)
    make_stack(root, "kernels", two, each=[{"ConvolutionKernel": ("B30f", "B70f")[k // 5]} for k in range(10)], **parts)
    other = [{"ImageOrientationPatient": [1, 0, 0, 0, 0, -1] if k > 4 else list(AXIAL)} for k in range(8)]
    make_stack(root, "planes", np.concatenate([straight, even(3, (0, 3, 0))]), each=other)
    blocks = np.concatenate([straight, even(4, (0, 0, 3), (-20, 30, 100))])
    make_stack(root, "blocks", blocks, each=[{"AcquisitionNumber": 1 + (k > 4)} for k in range(9)], **parts)


def _content(slice_number: int, time: int) -> dict[str, object]:
    place = {"StackID": "1", "InStackPositionNumber": slice_number + 1, "TemporalPositionIndex": time + 1}
    return {"FrameContentSequence": [place | {"DimensionIndexValues": [1, slice_number + 1, time + 1]}]}

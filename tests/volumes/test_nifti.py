"""NIfTI files of volumes, as nibabel reads them."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

import dicomprep
from dicomprep.volumetric.nifti import write_nifti
from tests.running import Place
from tests.volumes.scenes import sample, uid_of


@pytest.mark.parametrize("name", ["descending", "decubitus", "oblique", "enhanced", "fractions", "single"])
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_values_lie_where_nibabel_says(scenes: Place, tmp_path: Path, name: str, ending: str) -> None:
    volume = dicomprep.volume(uid_of(name), db=scenes.db, values="hu")
    write_nifti(volume, tmp_path / f"v.{ending}")
    image = nibabel.load(tmp_path / f"v.{ending}")
    assert image.get_data_dtype() == volume.array.dtype
    assert image.header.get_slope_inter() in ((None, None), (1.0, 0.0))
    assert image.header.get_xyzt_units()[0] == "mm"
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
    assert image.get_qform() == pytest.approx(image.get_sform(), abs=1e-4)
    values = np.asarray(image.dataobj, np.float64)
    ras = np.moveaxis(np.indices(values.shape), 0, -1) @ image.affine[:3, :3].T + image.affine[:3, 3]
    scale = 0.25 if name == "fractions" else 1
    assert np.abs(values / scale - sample(ras * [-1, -1, 1])).max() <= 0.501
    again = tmp_path / "again" / f"v.{ending}"
    again.parent.mkdir()
    write_nifti(volume, again)
    assert again.read_bytes() == (tmp_path / f"v.{ending}").read_bytes()


def test_what_nifti_cannot_hold_is_refused(scenes: Place, tmp_path: Path) -> None:
    tilted = dicomprep.volume(uid_of("tilted"), db=scenes.db)
    with pytest.raises(dicomprep.ExportError, match="tilted against each other"):
        write_nifti(tilted, tmp_path / "v.nii")

"""The same volumes as dcm2niix and SimpleITK read them: values exact, in one place of the patient."""

import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from nibabel import orientations
from numpy.typing import NDArray

import dicomprep
from dicomprep.volumetric.nifti import nifti_affine
from tests.running import Place
from tests.volumes.scenes import uid_of

EVEN = ["ascending", "descending", "decubitus", "oblique", "scaled", "fractions", "enhanced"]
DIVIDED = ["echoes", "components", "times", "phases", "enhanced 4D"]


def compare(volume: dicomprep.Volume, values: NDArray[np.float64], affine: NDArray[np.float64]) -> None:
    """Values (columns, rows, slices) of another program, whose axes may be turned the other way."""
    own = nifti_affine(volume)
    other = nibabel.Nifti1Image(values.astype(np.float64), affine)
    turns = orientations.ornt_transform(orientations.io_orientation(affine), orientations.io_orientation(own))
    turned = other.as_reoriented(turns)
    axes = [0, 1, 3] if len(volume.array) == 1 else [0, 1, 2, 3]  # of one slice programs differ in how thick it is
    assert np.abs(turned.affine - own)[:, axes].max() <= 1e-4
    assert np.array_equal(np.asarray(turned.dataobj), volume.array.transpose(2, 1, 0))


@pytest.fixture(scope="module")
def converted(scenes: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What dcm2niix makes of all series at once, by their UIDs."""
    if shutil.which("dcm2niix") is None:
        pytest.skip("dcm2niix is not installed (Debian's package dcm2niix)")
    folder = tmp_path_factory.mktemp("converted")
    options = ["-b", "n", "-z", "n", "-m", "n", "-p", "n", "-f", "%j", "-o"]
    command = ["dcm2niix", *options, str(folder), str(scenes.source)]
    subprocess.run(command, check=False, capture_output=True, timeout=120)  # it fails where one series does
    return folder


@pytest.mark.parametrize("name", [*EVEN, *DIVIDED, "single"])
def test_dcm2niix(scenes: Place, converted: Path, name: str) -> None:
    volumes = list(dicomprep.volumes(uid_of(name), db=scenes.db))
    images = [nibabel.load(path) for path in sorted(converted.glob(f"{uid_of(name)}*.nii"))]
    others = [part for image in images for part in (nibabel.four_to_three(image) if image.ndim == 4 else [image])]
    assert len(others) == len(volumes)
    for volume, other in zip(volumes, others, strict=True):
        compare(volume, np.asarray(other.dataobj), other.affine)


def test_dcm2niix_straightens_tilted_slices_onto_the_same_grid(scenes: Place, converted: Path) -> None:
    """Values that rise evenly are the same, but for its rounding, wherever a slice covers them."""
    volume = dicomprep.volume(uid_of("tilted"), db=scenes.db, values="hu", resample=True)
    (path,) = converted.glob(f"{uid_of('tilted')}*Tilt*.nii")
    other = nibabel.load(path)
    turns = orientations.ornt_transform(orientations.io_orientation(other.affine), [[0, -1], [1, -1], [2, 1]])
    turned = other.as_reoriented(turns)
    assert turned.affine == pytest.approx(nifti_affine(volume), abs=1e-4)
    own, its = volume.array.transpose(2, 1, 0), np.asarray(turned.dataobj, np.float64)
    covered = (own > own.min()) & (its > its.min())
    inner = covered & np.roll(covered, 1, axis=1) & np.roll(covered, -1, axis=1)
    assert inner.sum() > 0.4 * own.size
    assert np.abs(own - its)[inner].max() <= 0.51


@pytest.mark.parametrize("name", [*EVEN, "single", "nuclear static"])
def test_simpleitk(scenes: Place, name: str) -> None:
    volume = dicomprep.volume(uid_of(name), db=scenes.db, values="auto")
    files = [str(path) for path in sorted((scenes.source / name).iterdir())]
    ordered = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(scenes.source / name))
    image = SimpleITK.ReadImage(ordered if len(files) > 1 else files[0])
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    values = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    compare(volume, values, np.diag([-1, -1, 1, 1]) @ affine)

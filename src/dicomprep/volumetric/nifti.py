"""A volume as NIfTI-1: in RAS, with the affine as both qform and sform, in millimeters."""

import os

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ExportError
from dicomprep.extras import load_extra
from dicomprep.volumetric.volume import Volume

__all__ = ["nifti_affine", "write_nifti"]

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SCANNER = 1
"""NIFTI_XFORM_SCANNER_ANAT: coordinates of the scanner."""


def nifti_affine(volume: Volume) -> NDArray[np.float64]:
    """From (column, row, slice, 1) to the patient's right, front and head (RAS) in mm; ExportError without one."""
    if volume.affine is None:
        raise ExportError("The volume has no affine: its headers lack Image Position, Orientation or Pixel Spacing.")
    return np.asarray(_LPS_TO_RAS @ volume.affine[:, [2, 1, 0, 3]], np.float64)


def write_nifti(volume: Volume, path: str | os.PathLike[str]) -> None:
    """Write a volume as `.nii` or `.nii.gz`; the values as they are, without a scale.

    Axes are columns, rows and slices of the source. The same volume gives the same bytes. Raises ExportError where it
    has no affine, is in color or tilted (NIfTI's qform has no shear), ConfigError without nibabel.
    """
    nibabel = load_extra("nibabel", extra="volumes", purpose="NIfTI")
    affine = nifti_affine(volume)
    if volume.array.ndim != 3:
        raise ExportError("The volume is in color, which NIfTI readers do not take for values.")
    if volume.shear_mm not in (None, (0.0, 0.0)):
        remedy = "load it with values= and resample=True"
        raise ExportError(f"The slices of the volume are tilted against each other: {remedy}.")
    image = nibabel.Nifti1Image(volume.array.transpose(2, 1, 0), affine)
    image.set_sform(affine, code=_SCANNER)
    image.set_qform(affine, code=_SCANNER)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = (volume.unit or "").encode("ascii", "replace")[:79]
    nibabel.save(image, path)

"""What must become of each DICOM file in pydicom's wheel (`pydicom/data/test_files`), as its content says.

The README.txt there tells where the files come from.
"""

from pathlib import Path
from typing import NamedTuple

import pydicom.data

__all__ = ["FOLDER", "OTHER_FILES", "REFERENCE", "Expected"]

FOLDER = Path(pydicom.data.__file__).parent / "test_files"


class Expected(NamedTuple):
    """A row of the view `inputs`."""

    status: str
    error_code: str | None
    frames: int

    @property
    def has_images(self) -> bool:
        """Whether all of it gives images; a file that describes images gives none."""
        return self.status == "done" and self.frames > 0


def done(frames: int = 1) -> Expected:
    """All frames give an image."""
    return Expected("done", None, frames)


NO_IMAGE = Expected("skipped", "no_pixel_data", 0)
DESCRIBES_IMAGES = Expected("done", None, 0)
CORRUPT_HEADER = Expected("failed", "corrupt_header", 0)
CORRUPT_PIXELS = Expected("failed", "corrupt_pixels", 0)
NOT_DICOM = Expected("failed", "not_dicom", 0)
TRUNCATED = Expected("failed", "truncated", 0)

_FILES = {
    "693_J2KI.dcm": done(),  # 14 bits stored, but 16 in the codestream
    "CT_small.dcm": done(),
    "ExplVR_BigEnd.dcm": done(),
    "ExplVR_BigEndNoMeta.dcm": NO_IMAGE,  # an RT Plan
    "ExplVR_LitEndNoMeta.dcm": NO_IMAGE,
    "GDCMJ2K_TextGBR.dcm": done(),  # the codestream has a JP2 header, which DICOM forbids
    "J2K_pixelrep_mismatch.dcm": done(),  # the codestream is unsigned, the header says signed
    "JPEG-lossy.dcm": done(),  # 12 bits; the scan header has a wrong spectral selection
    "JPEG2000-embedded-sequence-delimiter.dcm": CORRUPT_PIXELS,  # written over the size in the codestream
    "JPEG2000.dcm": done(),
    "JPEGLSNearLossless_08.dcm": done(),
    "JPEGLSNearLossless_16.dcm": done(),
    "JPGExtended.dcm": done(),
    "MR_small.dcm": done(),
    "MR_small_RLE.dcm": done(),
    "MR_small_bigendian.dcm": done(),
    "MR_small_expb.dcm": done(),
    "MR_small_implicit.dcm": done(),
    "MR_small_jp2klossless.dcm": done(),
    "MR_small_jpeg_ls_lossless.dcm": done(),
    "MR_small_padded.dcm": done(),  # Data Set Trailing Padding
    "MR_truncated.dcm": TRUNCATED,  # 62 bytes of 8,192 are missing
    "SC_jpeg_no_color_transform.dcm": done(),
    "SC_jpeg_no_color_transform_2.dcm": done(),
    "SC_rgb_dcmtk_+eb+cr.dcm": done(),
    "SC_rgb_dcmtk_+eb+cy+n1.dcm": done(),
    "SC_rgb_dcmtk_+eb+cy+n2.dcm": done(),
    "SC_rgb_dcmtk_+eb+cy+np.dcm": done(),
    "SC_rgb_dcmtk_+eb+cy+s2.dcm": done(),
    "SC_rgb_dcmtk_+eb+cy+s4.dcm": done(),
    "SC_rgb_gdcm_KY.dcm": done(),
    "SC_rgb_jls_lossy_line.dcm": done(),
    "SC_rgb_jls_lossy_sample.dcm": done(),
    "SC_rgb_jpeg.dcm": done(),  # implicit VR, although the transfer syntax is an explicit one
    "SC_rgb_jpeg_app14_dcmd.dcm": done(),
    "SC_rgb_jpeg_dcmd.dcm": done(),
    "SC_rgb_jpeg_dcmtk.dcm": done(),
    "SC_rgb_jpeg_gdcm.dcm": done(),
    "SC_rgb_jpeg_lossy_gdcm.dcm": done(),
    "SC_rgb_rle.dcm": done(),
    "SC_rgb_rle_16bit.dcm": done(),
    "SC_rgb_rle_16bit_2frame.dcm": done(2),
    "SC_rgb_rle_2frame.dcm": done(2),
    "SC_rgb_rle_32bit.dcm": done(),
    "SC_rgb_rle_32bit_2frame.dcm": done(2),
    "SC_rgb_small_odd.dcm": done(),  # 27 bytes of pixels and one of padding
    "SC_rgb_small_odd_big_endian.dcm": done(),
    "SC_rgb_small_odd_jpeg.dcm": done(),
    "SC_ybr_full_422_uncompressed.dcm": done(),
    "UN_sequence.dcm": NO_IMAGE,
    "badVR.dcm": CORRUPT_HEADER,  # Number of Frames is 1A
    "dicomdirtests/77654033/CR1/6154": done(),
    "dicomdirtests/77654033/CR2/6247": done(),
    "dicomdirtests/77654033/CR3/6278": done(),
    "dicomdirtests/77654033/CT2/17106": done(),
    "dicomdirtests/77654033/CT2/17136": done(),
    "dicomdirtests/77654033/CT2/17166": done(),
    "dicomdirtests/77654033/CT2/17196": done(),
    "dicomdirtests/98892001/CT2N/6293": done(),
    "dicomdirtests/98892001/CT2N/6924": done(),
    "dicomdirtests/98892001/CT5N/2062": done(),
    "dicomdirtests/98892001/CT5N/2392": done(),
    "dicomdirtests/98892001/CT5N/2693": done(),
    "dicomdirtests/98892001/CT5N/3023": done(),
    "dicomdirtests/98892001/CT5N/3353": done(),
    "dicomdirtests/98892003/MR1/15820": done(),
    "dicomdirtests/98892003/MR1/4919": done(),
    "dicomdirtests/98892003/MR1/5641": done(),
    "dicomdirtests/98892003/MR2/15970": done(),
    "dicomdirtests/98892003/MR2/4950": done(),
    "dicomdirtests/98892003/MR2/4981": done(),
    "dicomdirtests/98892003/MR2/5011": done(),
    "dicomdirtests/98892003/MR2/6273": done(),
    "dicomdirtests/98892003/MR2/6605": done(),
    "dicomdirtests/98892003/MR2/6935": done(),
    "dicomdirtests/98892003/MR700/4467": done(),
    "dicomdirtests/98892003/MR700/4528": done(),
    "dicomdirtests/98892003/MR700/4558": done(),
    "dicomdirtests/98892003/MR700/4588": done(),
    "dicomdirtests/98892003/MR700/4618": done(),
    "dicomdirtests/98892003/MR700/4648": done(),
    "dicomdirtests/98892003/MR700/4678": done(),
    "dicomdirtests/DICOMDIR": NO_IMAGE,
    "dicomdirtests/DICOMDIR-bigEnd": NO_IMAGE,
    "dicomdirtests/DICOMDIR-empty.dcm": NO_IMAGE,
    "dicomdirtests/DICOMDIR-implicit": NO_IMAGE,
    "dicomdirtests/DICOMDIR-nooffset": NO_IMAGE,
    "dicomdirtests/DICOMDIR-nopatient": NO_IMAGE,
    "dicomdirtests/DICOMDIR-reordered": NO_IMAGE,
    "dicomdirtests/TINY_ALPHA/DICOMDIR": NO_IMAGE,
    "empty_charset_LEI.dcm": NO_IMAGE,
    "examples_jpeg2k.dcm": done(),
    "examples_overlay.dcm": done(),
    "examples_palette.dcm": done(),
    "examples_rgb_color.dcm": done(),
    "examples_ybr_color.dcm": done(30),
    "image_dfl.dcm": done(),  # Deflated Explicit VR Little Endian
    "liver_1frame.dcm": done(),  # a segmentation of single bits
    "liver_expb_1frame.dcm": done(),
    "meta_missing_tsyntax.dcm": CORRUPT_HEADER,  # two bytes of pixels without Rows or Columns
    "nested_priv_SQ.dcm": CORRUPT_HEADER,
    "no_meta.dcm": NOT_DICOM,  # neither preamble nor meta, and one stray byte before the data set
    "no_meta_group_length.dcm": NO_IMAGE,
    "priv_SQ.dcm": NO_IMAGE,
    "reportsi.dcm": DESCRIBES_IMAGES,
    "reportsi_with_empty_number_tags.dcm": DESCRIBES_IMAGES,
    "rtdose.dcm": done(15),  # 32-bit integers
    "rtdose_1frame.dcm": done(),
    "rtdose_expb.dcm": done(15),
    "rtdose_expb_1frame.dcm": done(),
    "rtdose_rle.dcm": done(15),
    "rtdose_rle_1frame.dcm": done(),
    "rtplan.dcm": NO_IMAGE,
    "rtplan_truncated.dcm": TRUNCATED,  # it ends within a sequence: what it might have held cannot be said
    "rtstruct.dcm": DESCRIBES_IMAGES,  # neither preamble nor meta, but whole
    "test-SR.dcm": DESCRIBES_IMAGES,
    "waveform_ecg.dcm": NO_IMAGE,
}

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TINY_ALPHA = "dicomdirtests/TINY_ALPHA/PT000000/ST000000/SE000000/IM0000{}{}"

REFERENCE: dict[str, Expected] = {
    **_FILES,
    **{_TINY_ALPHA.format(n // 36, _DIGITS[n % 36]): NO_IMAGE for n in range(50)},
}

OTHER_FILES = {
    "README.txt",
    "crayons.icc",
    "dicomdirtests/README.txt",
    "dicomdirtests/TINY_ALPHA/README",
    "rtplan.dump",
    "rtstruct.dump",
    "test1.json",
    "test_PN.json",
    "zipMR.gz",  # DICOM only when unpacked
}

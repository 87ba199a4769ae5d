"""Data sets of pydicom that a caller has at hand, as the bytes of a file."""

import struct
import zlib
from copy import deepcopy
from io import BytesIO

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from dicomprep.errors import ErrorCode, InputError

__all__ = ["encode_dataset"]

_NOT_ENCODED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
"""What pydicom raises for values that no element can have."""

PREAMBLE = b"\0" * 128 + b"DICM"


def encode_dataset(dataset: Dataset) -> bytes:
    """The file (PS3.10) that holds `dataset`, in the encoding of its Transfer Syntax UID (0002,0010).

    Where none is stated, in the one that it was read with, else in Explicit VR Little Endian. Elements are written as
    they stand, and `dataset` stays as it is. Raises InputError `corrupt_header` where pydicom cannot encode it.
    """
    meta = deepcopy(getattr(dataset, "file_meta", None)) or FileMetaDataset()
    syntax = meta.get("TransferSyntaxUID")
    start, body = BytesIO(), BytesIO()
    try:
        if meta:
            start.write(PREAMBLE)
            write_file_meta_info(DicomIO(start), meta, enforce_standard=False)
        writer = DicomIO(body)
        writer.is_implicit_VR, writer.is_little_endian = _encoding(dataset, syntax)
        write_dataset(writer, dataset)
    except _NOT_ENCODED as error:
        detail = f"the data set cannot be encoded ({type(error).__name__})"
        raise InputError(ErrorCode.CORRUPT_HEADER, detail) from error
    content = body.getvalue()
    return start.getvalue() + (_deflate(content) if syntax == DeflatedExplicitVRLittleEndian else content)


def _encoding(dataset: Dataset, syntax: UID | None) -> tuple[bool, bool]:
    """(implicit VR, little endian): VRs as those elements have them that nobody has looked at yet."""
    implicit, little = dataset.original_encoding
    if syntax is not None and syntax.is_transfer_syntax and not syntax.is_private:
        implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
    elements = map(dataset.get_item, dataset.keys())
    raw = next((element for element in elements if isinstance(element, RawDataElement)), None)
    return bool(implicit) if raw is None else raw.is_implicit_VR, little is not False


def _deflate(content: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()

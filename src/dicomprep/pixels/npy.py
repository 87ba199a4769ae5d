"""Arrays to files of NumPy and back, format version 1.0 (NEP 1): uncompressed, of any depth."""

import ast
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIGNATURE", "decode_npy", "encode_npy", "is_own_npy"]

SIGNATURE = b"\x93NUMPY"
_VERSION = b"\x01\x00"
HEADER_BYTES = 256
"""Of all before the pixels. Other programs fill up to 128: by this and the blanks a file is known as ours."""

_HEADER = re.compile(r"\{'descr': '(\|u1|<u2)', 'fortran_order': False, 'shape': (\([0-9, ]+\)), \} *\n")


def encode_npy(pixels: NDArray[Any]) -> bytes:
    """Encode pixels as `numpy.load` reads them: the same bytes for the same pixels.

    `pixels` is (rows, columns) or (rows, columns, 3), uint8 or uint16.
    """
    kind = "|u1" if pixels.itemsize == 1 else "<u2"
    shape = tuple(map(int, pixels.shape))
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(HEADER_BYTES - 11) + "\n"
    start = SIGNATURE + _VERSION + len(header).to_bytes(2, "little") + header.encode()
    return start + np.ascontiguousarray(pixels, kind.replace("|", "")).tobytes()


def is_own_npy(content: bytes) -> bool:
    """Whether a file of NumPy, of which the first bytes are enough, is as `encode_npy` makes them."""
    return content.startswith(SIGNATURE + _VERSION + (HEADER_BYTES - 10).to_bytes(2, "little"))


def decode_npy(content: bytes) -> NDArray[Any]:
    """Decode what `encode_npy` made. Returns (rows, columns[, 3]), uint8 or uint16. Raises ValueError for others."""
    header = _HEADER.fullmatch(content[10:HEADER_BYTES].decode("latin-1"))
    if not is_own_npy(content) or header is None:
        raise ValueError("no file of NumPy as dicomprep writes them")
    kind, shape = np.dtype(header[1]), ast.literal_eval(header[2])
    if len(content) != HEADER_BYTES + kind.itemsize * int(np.prod(shape)):
        raise ValueError("no whole file of NumPy: its length is not what it says")
    pixels = np.frombuffer(content, kind, offset=HEADER_BYTES).reshape(shape)
    return pixels.astype(kind.newbyteorder("="))  # may be written to

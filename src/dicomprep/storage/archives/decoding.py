"""Decompressing, piece by piece, what comes from anybody: neither memory nor time is what the stream asks for."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from dicomprep.errors import ErrorCode, InputError
from dicomprep.extras import load_extra
from dicomprep.storage.archives.kinds import ArchiveKind
from dicomprep.storage.source import SourceFile

__all__ = ["PIECE", "Decode", "decode_stream", "inflate", "pieces_of", "unbzip2", "unzstandard"]

PIECE = 2**18
"""Compressed bytes read, and decompressed bytes given, at a time."""

MAX_WINDOW_BYTES = 2**29
"""Bytes of memory that a stream may ask for; xz -9 and zstd --long=27 take a fraction of it."""

FREE_BYTES, BYTES_FOR_A_BYTE = 2**32, 100
"""Bytes that any stream may decompress to, and additional ones per compressed byte; bounds memory."""

_FAULTS = (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, MemoryError)

Decode = Callable[[Iterator[bytes]], Iterator[bytes]]
"""Compressed pieces → decompressed pieces; InputError `corrupt_archive` where they are cut or damaged."""


class _Decompressor(Protocol):
    """As `lzma` and `bz2` have them."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Inflater:
    """zlib in the form of the others."""

    def __init__(self, window: int) -> None:
        self._zlib, self._waiting = zlib.decompressobj(window), b""
        self.eof, self.needs_input, self.unused_data = False, True, b""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        out = self._zlib.decompress(self._waiting + data, max_length)
        self._waiting, self.unused_data, self.eof = self._zlib.unconsumed_tail, self._zlib.unused_data, self._zlib.eof
        self.needs_input = not self._waiting and len(out) < max_length
        return out


def _decode(make: Callable[[], _Decompressor], pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Several streams may follow each other, with zeros between them."""
    decoder: _Decompressor | None = None
    for piece in pieces:
        data = piece
        while data or (decoder is not None and not decoder.needs_input):
            if decoder is None:
                data = data.lstrip(b"\0")
                if not data:
                    break
                decoder = make()
            out = _decompress(decoder, data)
            data = b""
            if decoder.eof:
                data, decoder = decoder.unused_data, None
            if out:
                yield out
    if decoder is not None:
        raise InputError(ErrorCode.CORRUPT_ARCHIVE, "its compressed data end too early: it is cut")


def _decompress(decoder: _Decompressor, data: bytes) -> bytes:
    try:
        return decoder.decompress(data, PIECE)
    except _FAULTS as error:
        raise _fault(error) from error


def _fault(error: Exception) -> InputError:
    if "memory" in str(error).lower():
        message = f"it asks for more than {MAX_WINDOW_BYTES:,} bytes of memory to be decompressed"
        return InputError(ErrorCode.LIMIT_EXCEEDED, message)
    return InputError(ErrorCode.CORRUPT_ARCHIVE, f"its compressed data are damaged: {error}")


class _Source:
    """Pieces as zstandard reads them."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def read(self, size: int) -> bytes:
        data = self._left or next(self._pieces, b"")
        self._left = data[size:]
        return data[:size]


def unzstandard(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Zstandard; ConfigError where the library is missing."""
    library = load_extra("zstandard", extra="archives", purpose="Reading what is compressed with Zstandard")
    decoder = library.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    reader = decoder.stream_reader(_Source(pieces), read_size=PIECE, read_across_frames=True)
    try:
        while out := reader.read(PIECE):
            yield out
    except library.ZstdError as error:
        raise _fault(error) from error


inflate: Decode = partial(_decode, partial(_Inflater, -zlib.MAX_WBITS))
"""Deflate as zip files have it."""

unbzip2: Decode = partial(_decode, bz2.BZ2Decompressor)

_DECODERS: dict[ArchiveKind, Decode] = {
    ArchiveKind.GZIP: partial(_decode, partial(_Inflater, 16 + zlib.MAX_WBITS)),
    ArchiveKind.SINGLE: partial(_decode, partial(_Inflater, 16 + zlib.MAX_WBITS)),
    ArchiveKind.XZ: partial(_decode, partial(lzma.LZMADecompressor, memlimit=MAX_WINDOW_BYTES)),
    ArchiveKind.BZIP2: unbzip2,
    ArchiveKind.ZSTANDARD: unzstandard,
}


def decode_stream(archive: SourceFile, kind: ArchiveKind) -> Iterator[bytes]:
    """The decompressed bytes of a whole file, a piece at a time.

    Raises InputError: `corrupt_archive` where it is cut or damaged, `limit_exceeded` where it grows without bounds.
    """
    fed = given = 0

    def pieces() -> Iterator[bytes]:
        nonlocal fed
        for piece in pieces_of(archive, 0, archive.size):
            fed += len(piece)
            yield piece

    for out in _DECODERS[kind](pieces()):
        given += len(out)
        if given > FREE_BYTES + BYTES_FOR_A_BYTE * fed:
            message = f"{fed:,} compressed bytes are more than {given:,} already: it is not read any further"
            raise InputError(ErrorCode.LIMIT_EXCEEDED, message)
        yield out


def pieces_of(archive: SourceFile, offset: int, length: int) -> Iterator[bytes]:
    """Bytes of an archive as they lie in it."""
    end = min(offset + length, archive.size)
    for start in range(offset, end, PIECE):
        yield archive.read_range(start, min(PIECE, end - start))

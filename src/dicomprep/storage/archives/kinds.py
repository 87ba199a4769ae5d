"""Which files are archives: by their name, and by their first bytes."""

import os
from enum import StrEnum

__all__ = ["SEPARATOR", "ArchiveKind", "archive_kind", "archive_stem", "is_archive", "split_member"]

SEPARATOR = "!"
"""Behind the name of an archive where a path goes on in it: `export.zip!/study_001/IM1`."""


class ArchiveKind(StrEnum):
    """How an archive is read."""

    ZIP = "zip"
    TAR = "tar"
    GZIP = "tar.gz"
    XZ = "tar.xz"
    BZIP2 = "tar.bz2"
    ZSTANDARD = "tar.zst"
    SINGLE = "dcm.gz"
    """One compressed file."""

    @property
    def is_stream(self) -> bool:
        """Whether it can only be read from its beginning, in order."""
        return self not in (ArchiveKind.ZIP, ArchiveKind.TAR, ArchiveKind.SINGLE)


_SINGLE = ".dcm.gz"
_SUFFIXES = (
    *(".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lz4", _SINGLE),
    *(".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".7z", ".rar"),
)
_MAGICS = {
    b"PK\3\4": ArchiveKind.ZIP,
    b"PK\5\6": ArchiveKind.ZIP,
    b"\x1f\x8b": ArchiveKind.GZIP,
    b"\xfd7zXZ\0": ArchiveKind.XZ,
    b"BZh": ArchiveKind.BZIP2,
    b"\x28\xb5\x2f\xfd": ArchiveKind.ZSTANDARD,
}


def is_archive(name: str) -> bool:
    """Whether a file is called like an archive or a compressed file.

    >>> is_archive("export/Study 1.ZIP")
    True
    >>> is_archive("1.2.840.113619.2.5")
    False
    """
    return name.lower().endswith(_SUFFIXES)


def archive_stem(name: str) -> str:
    """What a folder would be called that an archive was packed from; of a single compressed file, the file's name.

    >>> archive_stem("samp_ds.tar.gz"), archive_stem("IM1.dcm.gz")
    ('samp_ds', 'IM1.dcm')
    """
    if name.lower().endswith(_SINGLE):
        return name[:-3]
    ending = next((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(ending)] or name


def archive_kind(name: str, head: bytes) -> ArchiveKind | None:
    """How a file with this name and these first bytes is read as an archive; None where it is none that can be."""
    if head[128:132] == b"DICM":
        return None
    kind = next((kind for magic, kind in _MAGICS.items() if head.startswith(magic)), None)
    if kind is ArchiveKind.GZIP and name.lower().endswith(_SINGLE):
        return ArchiveKind.SINGLE
    if kind is None and _is_tar_header(head[:512]):
        return ArchiveKind.TAR
    return kind


def _is_tar_header(block: bytes) -> bool:
    """Whether a block's checksum is its own: the sum of its bytes, those of the checksum taken as spaces."""
    digits = block[148:156].strip(b" \0")
    if len(block) < 512 or not digits or any(digit not in b"01234567" for digit in digits):
        return False
    return int(digits, 8) == sum(block[:148]) + 8 * 0x20 + sum(block[156:])


def split_member(place: str) -> list[tuple[str, str]]:
    """(archive, member) for each point at which a path may go on in an archive, the outermost first.

    >>> split_member("/d/a.zip!/b.tar!/c")
    [('/d/a.zip', 'b.tar!/c'), ('/d/a.zip!/b.tar', 'c')]
    """
    mark = f"{SEPARATOR}{os.sep}"
    cuts = [at for at in range(len(place)) if place.startswith(mark, at)]
    whole = [(place[: -len(SEPARATOR)], "")] if place.endswith(SEPARATOR) else []
    return [(place[:at], place[at + len(mark) :]) for at in cuts] + whole

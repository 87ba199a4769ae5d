"""Everything that dicomprep raises on purpose.

DicomprepError
├── ConfigError        wrong usage or configuration, found before any work       exit 2
├── InputError         this file's fault; has a stable code; recorded, never fatal
├── EnvironmentFault   disk full, no permission, database locked or newer        exit 3
├── LabelError         a label that cannot be recorded
└── ExportError        an export, or a volume, that cannot be made
"""

import errno
from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum

__all__ = [
    "ConfigError",
    "DicomprepError",
    "EnvironmentFault",
    "ErrorCode",
    "ExportError",
    "InputError",
    "LabelError",
    "count_of",
    "disk_fault",
    "like",
    "place_fault",
]


class ErrorCode(StrEnum):
    """Why an input gave no image, or not all of its images. The values are stable."""

    NOT_DICOM = "not_dicom"
    NO_PIXEL_DATA = "no_pixel_data"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported_transfer_syntax"
    UNSUPPORTED_PIXELS = "unsupported_pixels"
    NO_SPACING = "no_spacing"
    CORRUPT_HEADER = "corrupt_header"
    CORRUPT_PIXELS = "corrupt_pixels"
    TRUNCATED = "truncated"
    LIMIT_EXCEEDED = "limit_exceeded"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    WORKER_CRASHED = "worker_crashed"
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    INTERNAL = "internal"
    ENCRYPTED = "encrypted"
    CORRUPT_ARCHIVE = "corrupt_archive"
    UNSUPPORTED_ARCHIVE = "unsupported_archive"
    UNSAFE_NAME = "unsafe_name"

    @property
    def remedy(self) -> str | None:
        """What a person can do about it, in one sentence, where there is something."""
        return _REMEDIES.get(self)


_REMEDIES = {
    ErrorCode.UNREADABLE: "Check permissions and the disk; the next run retries it.",
    ErrorCode.CHANGED: "The file is still being written; the next run includes it.",
    ErrorCode.TRUNCATED: "Transfer the file again.",
    ErrorCode.NO_SPACING: "Preprocess such files into a data set of their own, with --size and without --spacing.",
    ErrorCode.TIMEOUT: "`dicomprep retry --code timeout --timeout SECONDS` allows more time.",
    ErrorCode.OUT_OF_MEMORY: "`dicomprep retry --code out_of_memory --max-memory MB` allows more memory.",
    ErrorCode.ENCRYPTED: "Unpack the archive with its password, and give the folder.",
    ErrorCode.CORRUPT_ARCHIVE: "Transfer the archive again.",
    ErrorCode.UNSUPPORTED_ARCHIVE: "Unpack the archive, and give the folder.",
    ErrorCode.UNSAFE_NAME: "If the archive can be trusted, unpack it, and give the folder.",
    ErrorCode.INTERNAL: "This is a bug in dicomprep; `dicomprep inspect` shows its traceback. Please report it.",
}


class DicomprepError(Exception):
    """The root of everything that dicomprep raises on purpose."""


class ConfigError(DicomprepError):
    """Wrong usage or configuration, found before any work is done (exit code 2)."""


class EnvironmentFault(DicomprepError):
    """The environment failed: disk full, no permission, database locked or newer (exit code 3)."""


class LabelError(DicomprepError):
    """A label that cannot be recorded."""


class ExportError(DicomprepError):
    """An export, or a volume, that cannot be made."""


class InputError(DicomprepError):
    """One input cannot be processed. The batch goes on; the code and the reason are recorded."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail

    def __reduce__(self) -> tuple[type["InputError"], tuple[ErrorCode, str]]:
        return type(self), (self.code, self.detail)


_DISK_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "Free some space and run this again."),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "Change its permissions, or choose another folder."),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST), "Another file or folder has this name: move it."),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "Allow more open files (ulimit -n) and run this again."),
    errno.ENOMEM: "Give it more memory and run this again.",
    errno.EIO: "Check the disk and run this again.",
}


def disk_fault(what: str, error: OSError) -> EnvironmentFault:
    """The fault to raise where the file system fails: what cannot be done to which path, why, and what to do."""
    reason = error.strerror or str(error)
    remedy = _DISK_REMEDIES.get(error.errno or 0)
    return EnvironmentFault(f"{what}: {reason}.{f' {remedy}' if remedy else ''}")


_WRONG_PLACES = {
    errno.ENOENT: "Create its folder first, or choose another one.",
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP), "Choose another path."),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.EINVAL), "Choose another name."),
}
"""What is wrong with a path that no file can have."""


def place_fault(place: object, error: OSError) -> ConfigError | EnvironmentFault:
    """The error to raise where a file, or folder, that a person named cannot be written: wrong usage or the disk."""
    remedy = _WRONG_PLACES.get(error.errno or 0)
    if remedy is None:
        return disk_fault(f"{place} cannot be written", error)
    return ConfigError(f"{place} cannot be written: {error.strerror or error}. {remedy}")


def like(name: str, known: Iterable[str]) -> str:
    """What a name that is unknown may be a misspelling of, to go behind it.

    >>> like("malignat", ["benign", "malignant"]), like("x", ["benign"])
    (' (like malignant)', '')
    """
    folded = {one.casefold(): one for one in known}
    near = [folded[one] for one in get_close_matches(name.casefold(), folded)]
    return f" (like {', '.join(near)})" if near else ""


def count_of(count: int, noun: str) -> str:
    """A number and its noun, in the plural unless it is one; for nouns whose plural ends in s.

    >>> count_of(1, "image"), count_of(1200, "image")
    ('1 image', '1,200 images')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"

"""What images are called, and where they lie: `study_001/image_b_frame0003`."""

import hashlib
import hmac
import re
from functools import lru_cache

from dicomprep.storage import OWN_PREFIX, readable_path

__all__ = [
    "frame_filename",
    "frame_stem",
    "hashed_name",
    "is_hashed",
    "source_name",
    "thumbnail_path",
    "with_suffix_hash",
]

MAX_COMPONENT_BYTES = 200
"""Longer folder and file names are cut and get a hash: `_frame0000.png` must still fit 255 bytes."""


def source_name(root_name: str, path: str) -> tuple[str, str]:
    """(study_id, name) of a source from its path below the root.

    >>> source_name("samp_ds", "study_001/image_a.dcm")
    ('study_001', 'study_001/image_a')
    >>> source_name("samp_ds", "CT_small.dcm")
    ('samp_ds', 'samp_ds/CT_small')
    >>> source_name("samp_ds", "a/1.2.840.5")
    ('a', 'a/1.2.840.5')
    """
    folder, _, file = path.rpartition("/")
    stem = file[:-4] if file.lower().endswith(".dcm") and len(file) > 4 else file
    study_id = _study_id(folder or root_name or "root")
    return study_id, f"{study_id}/{_component(stem)}"


def hashed_name(key: bytes, path: str) -> tuple[str, str]:
    """(study_id, name) that say nothing of the source, but are the same for the same path and key."""
    folder, _, _ = path.rpartition("/")
    study_id = hmac.digest(key, b"study\0" + _bytes(folder), "sha256").hex()[:12]
    return study_id, f"{study_id}/{hmac.digest(key, b'name' + bytes(1) + _bytes(path), 'sha256').hex()[:16]}"


def frame_filename(name: str, frame_number: int, frame_count: int) -> str:
    """The name of one frame; a single frame needs no number.

    >>> frame_filename("study_001/image_b", 3, 10)
    'study_001/image_b_frame0003'
    >>> frame_filename("study_001/image_a", 0, 1)
    'study_001/image_a'
    """
    return f"{name}_frame{frame_number:04d}" if frame_count > 1 else name


def is_hashed(name: str) -> bool:
    """Whether a name was made by `hashed_name`."""
    return re.fullmatch(r"[0-9a-f]{12}/[0-9a-f]{16}(~[0-9a-f]{8})?", name) is not None


def frame_stem(name: str) -> str | None:
    """The name of the multi-frame file one of whose frames would be called `name`, if any."""
    stem, _, number = name.rpartition("_frame")
    return stem if stem and len(number) >= 4 and number.isdecimal() else None


def with_suffix_hash(name: str, path: str) -> str:
    """`name` made its own by a short hash of its source path."""
    return f"{name}~{hashlib.sha256(_bytes(path)).hexdigest()[:8]}"


def thumbnail_path(filename: str) -> str:
    """Where the image of a name lies below the output folder, with forward slashes."""
    return f"{filename}.png"


@lru_cache(maxsize=64)
def _study_id(folder: str) -> str:
    """The path of a folder as names have it; kept, for most files lie in the folder of the one before."""
    return "/".join(_component(part) for part in folder.split("/"))


def _component(text: str) -> str:
    """One folder or file name, fit for any file system this one is copied to and for a terminal."""
    safe = readable_path(text)
    shortened = len(safe.encode()) > MAX_COMPONENT_BYTES
    if shortened:
        safe = safe.encode()[: MAX_COMPONENT_BYTES - 9].decode(errors="ignore")
    like_image = safe.lower().endswith(".png")  # a folder `a.png` would meet the image of a file `a`
    like_ours = safe.startswith(OWN_PREFIX)
    return with_suffix_hash(safe, text) if shortened or like_image or like_ours else safe


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")

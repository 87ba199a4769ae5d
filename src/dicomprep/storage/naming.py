"""What images are called, and where they lie: `study_001/image_b_frame0003`."""

import hashlib
import hmac
import re
from collections.abc import Callable
from functools import lru_cache
from unicodedata import normalize

from dicomprep.pixels.encoding import ENDINGS, PNG, ImageFormat
from dicomprep.storage.paths import OWN_PREFIX, readable_path

__all__ = [
    "fit_for_any_system",
    "folded_name",
    "frame_filename",
    "frame_stem",
    "group_folder",
    "hashed_name",
    "is_hashed",
    "source_name",
    "thumbnail_path",
    "with_suffix_hash",
]

MAX_COMPONENT_BYTES = 200
"""Longer folder and file names are cut and get a hash: `_frame0000.webp` must still fit 255 bytes."""

_REFUSED = re.compile(
    r"""
    [<>:"|?*\\%]  # Windows refuses these; % begins what is written in the place of others
    | \A[ ] | [ .]\Z  # Windows drops the last, OneDrive the first
    | \A(?=(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³]|con(?:in|out)\$|clock\$)[ ]*(?:\.|\Z)).  # devices of Windows
    | \A(?=\._|~\$|desktop\.ini\Z|\.lock\Z). | _(?=vti_)  # what macOS and OneDrive keep for themselves
    """,
    re.VERBOSE | re.IGNORECASE,
)

_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Printable characters that file systems without case pass over as well (Unicode's Default_Ignorable_Code_Point)."""


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
    study_id = _joined(folder or root_name or "root", fit_for_any_system)
    return study_id, f"{study_id}/{_component(stem, fit_for_any_system)}"


def group_folder(root_name: str, path: str) -> str:
    """What a folder is called where it stands for a patient: as in earlier releases, so that none changes sides."""
    return _joined(path.rpartition("/")[0] or root_name or "root", readable_path)


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


def folded_name(name: str) -> str:
    r"""What is left of a name where neither capitals nor ways to write an accent count: equal ones are one file there.

    >>> folded_name("S/E\u0301cho") == folded_name("s/\xe9CHO")
    True
    """
    if name.isascii():
        return name.lower()
    return normalize("NFC", normalize("NFD", _INVISIBLE.sub("", name)).casefold())


def frame_stem(name: str) -> str | None:
    """The name of the multi-frame file one of whose frames would be called `name`, if any."""
    stem, _, number = name.rpartition("_frame")
    return stem if stem and len(number) >= 4 and number.isdecimal() else None


def with_suffix_hash(name: str, path: str) -> str:
    """`name` made its own by a short hash of its source path."""
    return f"{name}~{hashlib.sha256(_bytes(path)).hexdigest()[:8]}"


def thumbnail_path(filename: str, kind: ImageFormat = PNG.format) -> str:
    """Where the image of a name lies below the output folder, with forward slashes."""
    return f"{filename}{kind.ending}"


def fit_for_any_system(text: str) -> str:
    """A folder or file name that no system refuses and any terminal shows; different ones stay different.

    >>> fit_for_any_system("T1: 3D?"), fit_for_any_system("con"), fit_for_any_system("100%.")
    ('T1%3A 3D%3F', '%63on', '100%25%2E')
    """
    spelled = _REFUSED.sub(lambda match: _spelled(match[0]), text)
    if spelled.isprintable():
        return spelled
    return "".join(c if c.isprintable() else _spelled(c) for c in spelled)


def _spelled(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in _bytes(character))


@lru_cache(maxsize=64)
def _joined(folder: str, spell: Callable[[str], str]) -> str:
    """The path of a folder as names have it; kept, for most files lie in the folder of the one before."""
    return "/".join(_component(part, spell, image_endings=ENDINGS) for part in folder.split("/"))


def _component(text: str, spell: Callable[[str], str], image_endings: tuple[str, ...] = (PNG.format.ending,)) -> str:
    """One folder or file name, not too long, and none that is another's or this program's own."""
    safe = spell(text)
    shortened = len(safe.encode()) > MAX_COMPONENT_BYTES
    if shortened:
        safe = safe.encode()[: MAX_COMPONENT_BYTES - 9].decode(errors="ignore")
    like_image = safe.lower().endswith(image_endings)  # a folder `a.png` would meet the image of a file `a`
    like_ours = safe.lower().startswith(OWN_PREFIX)
    return with_suffix_hash(safe, text) if shortened or like_image or like_ours else safe


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")

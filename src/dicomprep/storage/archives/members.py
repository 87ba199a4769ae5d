"""What an archive says of its members, whatever its format; which names are refused, and what an archive may hold."""

import re
from dataclasses import dataclass

from dicomprep.errors import ErrorCode, InputError

__all__ = ["Budget", "Member", "MemberKind", "Packing", "safe_path"]

MAX_NAME_BYTES = 4096
"""Bytes of a path, as Linux has it."""

FREE_MEMBERS, BYTES_FOR_A_MEMBER = 100_000, 32
"""Members that any archive may have, and archive bytes that allow one more; bounds time and memory."""

FREE_BYTES, BYTES_FOR_A_BYTE = 2**30, 100
"""Bytes that a member may unpack to, and additional ones per packed byte; all members four times as many."""

MAX_MEMBER_BYTES = 2**36
"""Of one member."""

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class MemberKind:
    """What a member is; a folder is none."""

    FILE, LINK, HARD_LINK, SPECIAL = "file", "symbolic link", "hard link", "special file"


@dataclass(frozen=True, slots=True)
class Packing:
    """Where the bytes of a member lie in its archive, and how."""

    offset: int
    length: int
    method: str = "stored"
    """stored, deflated, bzip2, zstandard, or gzip for a single compressed file."""
    crc: int | None = None
    """CRC-32 of what was packed, where it is known."""
    is_local: bool = False
    """A header of its own that is to be passed over lies at `offset`, as in zip files."""


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of an archive."""

    name: str
    """As the archive has it."""
    size: int
    packing: Packing
    kind: str = MemberKind.FILE
    tag: str = ""
    """What tells another content under the same name: a checksum."""
    fault: InputError | None = None
    """Why it is not read, if so."""


@dataclass(slots=True)
class Budget:
    """The limits of an archive of that many bytes."""

    archive_bytes: int
    is_stream: bool = False
    """What is refused would have to be decompressed to be passed over."""
    members: int = 0
    packed: int = 0
    unpacked: int = 0

    def allow(self, member: Member) -> InputError | None:
        """Why a member is not read. Raises InputError where nothing that follows it is, either."""
        self.members += 1
        most = FREE_MEMBERS + self.archive_bytes // BYTES_FOR_A_MEMBER
        if self.members > most:
            raise _limit(f"it has more than {most:,} members: the others are not read")
        packed = min(member.packing.length, self.archive_bytes)
        if member.size > min(MAX_MEMBER_BYTES, FREE_BYTES + BYTES_FOR_A_BYTE * packed):
            refusal = _limit(f"{packed:,} packed bytes claim to be {member.size:,}")
            if self.is_stream:
                raise refusal
            return refusal
        self.packed += member.packing.length
        self.unpacked += member.size
        if self.packed > self.archive_bytes and member.packing.is_local:
            raise _limit("its members overlap each other: the others are not read")
        if self.unpacked > 4 * FREE_BYTES + BYTES_FOR_A_BYTE * self.archive_bytes:
            raise _limit(f"its members claim to be more than {self.unpacked:,} bytes: the others are not read")
        return None


def _limit(message: str) -> InputError:
    return InputError(ErrorCode.LIMIT_EXCEEDED, message)


def safe_path(name: str) -> str | None:
    """The path of a member below its archive; None where it leads out of it, or is no path at all.

    >>> safe_path("./study_001//IM1"), safe_path("../../etc/passwd"), safe_path("/etc/passwd")
    ('study_001/IM1', None, None)
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    absolute = name.startswith("/") or _DRIVE.match(name) or name.startswith("\\\\")
    if absolute or ".." in parts or "\0" in name or not parts:
        return None
    path = "/".join(parts)
    return path if len(path.encode("utf-8", "surrogateescape")) <= MAX_NAME_BYTES else None

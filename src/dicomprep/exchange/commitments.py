"""Commitments to patients: with them two parties learn which patients both have, and nobody learns more.

The file holds one slow hash a patient, of what his ID gives under the split seed, salted with a code of 128 random
bits that is not in the file. Without the code no guess of an ID can be tested. With it, each guess costs what one
patient costs: that is why the hash is slow.
"""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomprep.database.queries.patients import RecordedGroup
from dicomprep.errors import ConfigError
from dicomprep.exchange.patients import find_patient_column, spellings
from dicomprep.exchange.tables import read_table
from dicomprep.privacy.draws import DRAW_BITS, reveal_draw, seeded_draw
from dicomprep.privacy.patient_ids import is_placeholder, plain_identity
from dicomprep.splits import GroupBy
from dicomprep.storage.source import read_small_file
from dicomprep.storage.sync import replace_file

__all__ = ["SECONDS_A_PATIENT", "Commitments", "Overlap", "commit", "find_overlap", "load_commitments", "new_code"]

FORMAT, VERSION = "dicomprep commitments", 1
CODE_BYTES, SALT_BYTES, HASH_BYTES = 16, 16, 16

COST, BLOCK = 2**15, 8
"""Of scrypt: 32 MB and about a tenth of a second of a core for each patient, and for each guess."""

SECONDS_A_PATIENT = 0.1
"""About what one hash takes a core, to say how long it will be."""

MAX_COST = 2**17
"""Of files that others made: they could ask for any amount of memory."""

MAX_MEMORY = 1 << 30
"""Bytes that all hashes that are made at once may take."""

MAX_FILE_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Commitments:
    """What the file holds."""

    seed: str
    """Of the splits of whoever made it: IDs are drawn by it, then hashed."""
    salt: bytes
    cost: int
    hashes: frozenset[str]

    def write(self, path: Path) -> None:
        """Write them in the order of the hashes, which says nothing of the patients."""
        content = {"format": FORMAT, "version": VERSION, "split_seed": self.seed, "salt": self.salt.hex()}
        content |= {"scrypt": {"n": self.cost, "r": BLOCK, "p": 1}, "patients": sorted(self.hashes)}
        replace_file(path, f"{json.dumps(content, indent=0)}\n".encode(), mode=0o600)

    def hash(self, draw: int, code: bytes) -> str:
        """The commitment of one patient."""
        salt = hashlib.sha256(code + self.salt).digest()
        text, memory = draw.to_bytes(DRAW_BITS // 8, "big"), 256 * self.cost * BLOCK
        return hashlib.scrypt(text, salt=salt, n=self.cost, r=BLOCK, p=1, maxmem=memory, dklen=HASH_BYTES).hex()

    def hash_all(self, draws: Iterable[int], code: bytes) -> dict[int, str]:
        """Of many, on all cores."""
        distinct = sorted(set(draws))
        most = max(1, MAX_MEMORY // (128 * self.cost * BLOCK))
        with ThreadPoolExecutor(min(most, os.cpu_count() or 1), "dicomprep hashing") as cores:
            return dict(zip(distinct, cores.map(lambda draw: self.hash(draw, code), distinct), strict=True))


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a list of patients has in common with commitments."""

    lines: tuple[int, ...]
    """Rows of the list whose patients are among them, as the file counts them."""
    patients: int
    """Different IDs in the list."""
    unusable: int
    """Rows without an ID, or with a placeholder."""
    committed: int


def new_code() -> str:
    """A secret that goes to the other party by another way than the file: eight groups of letters and digits."""
    return _spelled(secrets.token_bytes(CODE_BYTES))


def parse_code(text: str) -> bytes:
    """The bits of a code; ConfigError where it is none. Capitals, spaces and hyphens do not count.

    >>> parse_code(new_code().lower()) != parse_code(new_code())
    True
    """
    bare = "".join(filter(str.isalnum, text)).upper()
    try:
        code = base64.b32decode(bare + "=" * (-len(bare) % 8))
    except ValueError:
        code = b""
    if len(code) != CODE_BYTES or _spelled(code) != _spelled_text(bare):
        raise ConfigError("This is not a code as `dicomprep splits export --commit` makes it: 26 letters and digits.")
    return code


def commit(groups: Sequence[RecordedGroup], *, key: bytes, seed: str, code: str, cost: int = COST) -> Commitments:
    """Commit to all groups that have a Patient ID; issuers are not part of it, as lists have none."""
    empty = Commitments(seed, secrets.token_bytes(SALT_BYTES), cost, frozenset())
    draws = [_draw_of(group, key) for group in groups if group.kind == GroupBy.PATIENT]
    hashes = empty.hash_all(draws, parse_code(code)).values()
    return Commitments(seed, empty.salt, cost, frozenset(hashes))


def find_overlap(commitments: Commitments, table_path: Path, code: str) -> Overlap:
    """Which rows of a table of Patient IDs are committed to; nothing of them is kept."""
    table = read_table(table_path, telling=("patient_id",))
    values = table.values(find_patient_column(table))
    rows = [_draws_of(value, commitments.seed) for value in values]
    hashes = commitments.hash_all((draw for draws in rows for draw in draws), parse_code(code))
    found = [any(hashes[draw] in commitments.hashes for draw in draws) for draws in rows]
    lines = tuple(table.lines[row] for row, is_found in enumerate(found) if is_found)
    patients = len({draws[0] for draws in rows if draws})
    return Overlap(lines, patients, sum(not draws for draws in rows), len(commitments.hashes))


def load_commitments(path: Path) -> Commitments:
    """Read a file that somebody else made; ConfigError where it is none."""
    try:
        content = json.loads(read_small_file(path, most=MAX_FILE_BYTES))
        return _checked(content)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path} is not a file of commitments of `dicomprep splits export --commit`.") from error


def _checked(content: dict[str, Any]) -> Commitments:
    scrypt, seed, hashes = content["scrypt"], content["split_seed"], frozenset(content["patients"])
    if (content["format"], content["version"], scrypt["r"], scrypt["p"]) != (FORMAT, VERSION, BLOCK, 1):
        raise ValueError("format")
    cost = int(scrypt["n"])
    if not 2 <= cost <= MAX_COST or cost & (cost - 1) or not isinstance(seed, str):
        raise ValueError("cost")
    if not all(isinstance(one, str) and len(bytes.fromhex(one)) == HASH_BYTES for one in hashes):
        raise ValueError("patients")
    return Commitments(seed, bytes.fromhex(content["salt"]), cost, hashes)


def _draw_of(group: RecordedGroup, key: bytes) -> int:
    """What the patient's ID without its issuer draws."""
    return reveal_draw(key, group.key, group.draw if group.bare_draw is None else group.bare_draw)


def _draws_of(value: str, seed: str) -> list[int]:
    """What an ID of a list draws, in each of its spellings; nothing for a placeholder."""
    if is_placeholder(value):
        return []
    return [seeded_draw(seed, GroupBy.PATIENT, plain_identity(one)) for one in spellings(value)]


def _spelled(code: bytes) -> str:
    return _spelled_text(base64.b32encode(code).decode().rstrip("="))


def _spelled_text(bare: str) -> str:
    return "-".join(bare[start : start + 4] for start in range(0, len(bare), 4))

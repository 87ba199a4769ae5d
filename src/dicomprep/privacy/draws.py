"""What groups draw: 64 bits, by which they are assigned to splits and folds.

A seed is no secret, so whoever holds a draw could test guesses of an ID against it: draws are recorded under the key.
"""

import hmac

__all__ = ["DRAW_BITS", "default_seed", "hide_draw", "keyed_draw", "reveal_draw", "seeded_draw"]

DRAW_BITS = 64
"""Of a draw: among a million groups two are the same once in 30 million data sets."""


def default_seed(key: bytes) -> str:
    """The seed of a data set that is given none: 16 hexadecimal digits, which a person can copy."""
    return hmac.digest(key, b"split seed", "sha256").hex()[:16]


def seeded_draw(seed: str, kind: str, text: str) -> int:
    """The draw of what is known by a text, by the seed of the data set."""
    return _hash(f"split\0{seed}".encode(), f"{kind}\0{text}")


def keyed_draw(key: bytes, group_key: str) -> int:
    """The draw of a group in a data set without a seed: its key takes its place."""
    return _hash(key, f"split\0{group_key}")


def hide_draw(key: bytes, group_key: str, draw: int) -> int:
    """A draw as it is recorded: a signed number, meaningless without the key."""
    hidden = draw ^ _mask(key, group_key)
    return hidden - 2**DRAW_BITS if hidden >= 2 ** (DRAW_BITS - 1) else hidden


def reveal_draw(key: bytes, group_key: str, hidden: int | None) -> int:
    """The draw of a recorded group; None is recorded where the key alone gives it."""
    if hidden is None:
        return keyed_draw(key, group_key)
    return (hidden & (2**DRAW_BITS - 1)) ^ _mask(key, group_key)


def _mask(key: bytes, group_key: str) -> int:
    return _hash(key, f"draw\0{group_key}")


def _hash(key: bytes, text: str) -> int:
    return int.from_bytes(hmac.digest(key, text.encode("utf-8", "surrogateescape"), "sha256")[: DRAW_BITS // 8], "big")

"""Names that say nothing to those without the data set's key, and are always the same to those with it."""

import hmac
import secrets
from pathlib import Path

from dicomprep.database.connection import former_key_file, key_file, open_for_reading, read_meta
from dicomprep.privacy.keys import find_key, fingerprint_key, keyed_hash

__all__ = ["KEY_LENGTH", "Pseudonyms", "new_salt", "open_pseudonyms"]

KEY_LENGTH = 20
"""Hexadecimal digits of an image's key: with ten million images, two alike are less likely than one in 10^10."""


class Pseudonyms:
    """Keyed hashes of the names of images; with a salt, other ones, and of groups, studies and series as well.

    A salt is no secret: without the data set's key it tells nothing.
    """

    def __init__(self, secret: bytes, *, salt: str = "") -> None:
        self.salt = salt
        self._secret = hmac.digest(secret, f"export\0{salt}".encode(), "sha256") if salt else secret
        secret = self._secret
        self.check = fingerprint_key(secret)
        """Tells data sets apart without telling their keys."""

    def of_image(self, filename: str) -> bytes:
        """The key of an image: `KEY_LENGTH` hexadecimal digits."""
        return keyed_hash(self._secret, "image", filename)[:KEY_LENGTH].encode()

    def of_key(self, key: str | None) -> str | None:
        """What stands for the key of a group, a study or a series."""
        return keyed_hash(self._secret, "key", key) if self.salt and key is not None else key


def new_salt() -> str:
    """32 random hexadecimal digits."""
    return secrets.token_hex(16)


def open_pseudonyms(db: str, output_dir: Path, *, salt: str = "") -> Pseudonyms:
    """The pseudonyms of a data set; ConfigError where its key is missing or another's."""
    with open_for_reading(db) as connection:
        check = read_meta(connection, "key_check") or ""
    return Pseudonyms(find_key(key_file(db, output_dir), former_key_file(db, output_dir), check=check), salt=salt)

"""Names that say nothing to those without the data set's key, and are always the same to those with it."""

from pathlib import Path

from dicomprep.database.connect import key_file, read_meta
from dicomprep.database.opening import open_for_reading
from dicomprep.errors import ConfigError
from dicomprep.privacy import fingerprint_key, keyed_hash, load_key

__all__ = ["KEY_LENGTH", "Pseudonyms", "open_pseudonyms"]

KEY_LENGTH = 20
"""Hexadecimal digits of an image's key: with ten million images, two alike are less likely than one in 10^10."""


class Pseudonyms:
    """Keyed hashes of the names of images."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.check = fingerprint_key(secret)
        """Tells data sets apart without telling their keys."""

    def of_image(self, filename: str) -> bytes:
        """The key of an image: `KEY_LENGTH` hexadecimal digits."""
        return keyed_hash(self._secret, "image", filename)[:KEY_LENGTH].encode()


def open_pseudonyms(db: str, output_dir: Path) -> Pseudonyms:
    """The pseudonyms of a data set; ConfigError where its key is missing or another's."""
    path = key_file(db, output_dir)
    key = load_key(path)
    with open_for_reading(db) as connection:
        known = read_meta(connection, "key_check")
    if key is None:
        raise ConfigError(f"The key file {path} is missing: without it no pseudonyms can be made. Restore it.")
    if fingerprint_key(key) != known:
        raise ConfigError(f"The key file {path} belongs to another data set. Restore the right one.")
    return Pseudonyms(key)

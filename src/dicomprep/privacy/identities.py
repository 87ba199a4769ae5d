"""Numbers that people give to studies, as they are compared and hashed, whether a header or a table states them."""

from dicomprep.privacy.keys import keyed_hash
from dicomprep.privacy.patient_ids import plain_identity

__all__ = ["ACCESSION", "STUDY_NUMBER", "hash_number"]

ACCESSION, STUDY_NUMBER = "accession", "study number"
"""Kinds of keyed hashes of Accession Number (0008,0050) and Study ID (0020,0010)."""


def hash_number(key: bytes, kind: str, number: str | None) -> str:
    """A keyed hash of a number that people give to a study; empty where there is none."""
    plain = plain_identity(number or "")
    return keyed_hash(key, kind, plain) if plain else ""

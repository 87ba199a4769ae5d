"""Someone who has the database but not the key tries to find patients in it."""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from dicomprep.privacy.keys import keyed_hash
from tests.building import make_dicom
from tests.running import Place, frames_of

HASHES = ("sha256", "md5", "sha1")
KINDS = ("patient", "study", "series", "split")


def guesses(amount: int) -> Iterator[str]:
    """PatientIDs as hospitals give them, the true ones among them."""
    for number in range(amount):
        yield f"P{number}"


def digests_of(identity: str, wrong_key: bytes) -> Iterator[str]:
    """What a guess may look like in the database: plain hashes, salted by what is known, keyed by another key."""
    for name in HASHES:
        yield hashlib.new(name, identity.encode()).hexdigest()[:32]
    yield hashlib.sha256(f"patient\0{identity}".encode()).hexdigest()[:32]
    yield keyed_hash(wrong_key, "patient", identity)
    yield keyed_hash(b"", "patient", identity)


def test_guesses_without_the_key_find_nobody(tmp_path: Path, thorough: bool, note: Callable[..., None]) -> None:
    place = Place(tmp_path)
    for number in range(8):
        make_dicom(place.source / f"{number}.dcm", frames_of(1, seed=number)[0], patient_id=f"P{number}")
    place.run()
    keys = {key for row in place.rows("SELECT patient_key, study_key, series_key FROM tags") for key in row}
    amount, wrong = 10**7 if thorough else 10**5, secrets.token_bytes(32)
    found = sum(digest in keys for guess in guesses(amount) for digest in digests_of(guess, wrong))
    assert found == 0
    right = bytes.fromhex(Path(f"{place.db}.key").read_text())
    known = {keyed_hash(right, "patient", guess) for guess in guesses(8)}
    assert known <= keys  # with the key they are found: the search works
    note("patients guessed without the key", guesses=f"{amount:,}", patients=8, found=found)

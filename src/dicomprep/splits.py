"""Which split a patient belongs to: drawn by a hash of who he is, the same for ever and in any order of arrival.

The draw depends on the seed of the data set and on the patient's identity alone, so two data sets with one seed are
divided alike, whatever their keys are. Whoever knows the seed could test guesses of an ID against a draw: it is
recorded under the key only. Data sets of earlier releases have no seed: their key takes its place.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from dicomprep.engines.options import choose
from dicomprep.errors import ConfigError
from dicomprep.privacy.draws import DRAW_BITS, hide_draw, keyed_draw, seeded_draw
from dicomprep.privacy.keys import keyed_hash
from dicomprep.privacy.patient_ids import is_placeholder, plain_identity, stands_for_none

__all__ = [
    "SPLIT_NAMES",
    "TEST",
    "TRAIN",
    "VAL",
    "GroupBy",
    "GroupIdentity",
    "SplitRule",
    "Splits",
    "Stratum",
    "assign_split",
    "bare_draw",
    "draw_of",
    "drawn_shares",
    "former_group_key",
    "group_identity",
    "identify_group",
    "key_without_issuer",
]

TRAIN, VAL, TEST = SPLIT_NAMES = ("train", "val", "test")

MAX_FOLDS = 1000
"""Far more than anybody trains."""

MAX_SEED_CHARACTERS = 200
"""Of --split-seed: a text that people give to each other."""


class Stratum(StrEnum):
    """By what splits and folds are balanced."""

    LABEL = "label"
    MANUFACTURER = "manufacturer"
    MODALITY = "modality"
    YEAR = "year"
    NONE = "none"


class GroupBy(StrEnum):
    """The unit kept within one split."""

    PATIENT = "patient"
    STUDY = "study"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """How patients are assigned to splits."""

    split: str = "80/10/10"
    """Percentages of train, val and test."""
    group_by: GroupBy = GroupBy.PATIENT
    """Unit kept within one split: patient, study or folder."""
    test_unidentified: bool = False
    """Allow groups without a usable Patient ID in the test split. They may be patients of train: data leakage."""
    split_seed: str | None = None
    """Text that decides the splits: the same files and seed give the same splits. Random at the first run."""
    folds: int | None = None
    """Number folds for cross-validation from 0, in the column `fold`, by patient; test is in no fold."""
    stratify: Stratum | None = None
    """Balance splits and folds by label, manufacturer, modality or year (that of most images of a patient); or none."""
    test_where: str | None = None
    """Test is new patients with an image that fulfills this, and nobody else: "manufacturer = 'X'"; "" ends it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "group_by", choose(GroupBy, "group-by", self.group_by))
        if self.stratify is not None:
            object.__setattr__(self, "stratify", choose(Stratum, "stratify", self.stratify))
        if self.folds is not None and not 2 <= self.folds <= MAX_FOLDS:
            raise ConfigError(f"--folds {self.folds}: give 2 to {MAX_FOLDS}.")
        if self.test_where and self.shares[0] + self.shares[1] == 0:
            raise ConfigError(f"--split {self.split}: with --test-where, give shares of train or val for the others.")
        if self.split_seed is not None:
            object.__setattr__(self, "split_seed", _checked_seed(self.split_seed))
        if abs(sum(self.shares) - 1) >= 1e-9:
            raise ConfigError(f"--split {self.split}: the three shares must add up to 100.")

    @property
    def shares(self) -> tuple[float, float, float]:
        """Shares of train, val and test; they add up to 1."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)", self.split)
        if match is None:
            raise ConfigError(f"--split {self.split}: give three shares such as 80/10/10.")
        train, val, test = (float(share) / 100 for share in match.groups())
        return train, val, test


@dataclass(frozen=True, slots=True)
class GroupIdentity:
    """What must not be divided, as plain text: it is hashed, and never recorded."""

    kind: str
    """patient, study or folder."""
    text: str
    bare: str = ""
    """The Patient ID without its issuer, where there is one."""


@dataclass(frozen=True, slots=True)
class SplitRule:
    """How a data set divides its new groups."""

    key: bytes = field(repr=False)
    options: Splits
    """With the seed, the folds and the conditions that the data set has."""
    is_test_closed: bool = False
    """Its test split was imported: nobody is drawn for it."""

    def split(self, kind: str, draw: int) -> str:
        """The split of a new group."""
        return assign_split(self.options, group_kind=kind, draw=draw, closed=self.closes_test)

    @property
    def closes_test(self) -> bool:
        """Nobody is drawn for test: others say who is in it."""
        return self.is_test_closed or self.options.test_where is not None

    @property
    def shares(self) -> dict[str, float]:
        """The share of each split among those that are drawn; they add up to 1."""
        return drawn_shares(self.options, closed=self.closes_test)

    def hide_draw(self, group_key: str, draw: int) -> int | None:
        """A draw as it is recorded; None where it can be had from the key alone."""
        return None if self.options.split_seed is None else hide_draw(self.key, group_key, draw)


def _checked_seed(seed: str | int) -> str:
    """A seed as it is compared: a number in dicomprep.toml is its digits, and ways to write an accent do not count."""
    text = unicodedata.normalize("NFC", str(seed).strip())
    if not 0 < len(text) <= MAX_SEED_CHARACTERS or not text.isprintable():
        raise ConfigError(f"--split-seed: give 1 to {MAX_SEED_CHARACTERS} characters, without control characters.")
    return text


def drawn_shares(splits: Splits, *, closed: bool) -> dict[str, float]:
    """The share of each split among those that are drawn, where test may be `closed`; they add up to 1."""
    shares = dict(zip(SPLIT_NAMES, splits.shares, strict=True))
    if closed and shares[TRAIN] + shares[VAL] > 0:
        shares[TEST] = 0.0
    return {name: share / sum(shares.values()) for name, share in shares.items()}


def draw_of(key: bytes, splits: Splits, identity: GroupIdentity, group_key: str) -> int:
    """What a group drew: 64 bits, by the seed and who it is; in data sets without a seed by the key."""
    if splits.split_seed is None:
        return keyed_draw(key, group_key)
    return seeded_draw(splits.split_seed, identity.kind, identity.text)


def bare_draw(splits: Splits, identity: GroupIdentity) -> int | None:
    """What the patient would have drawn if no issuer were stated; None without a seed, or without an issuer."""
    if splits.split_seed is None or not identity.bare:
        return None
    return seeded_draw(splits.split_seed, identity.kind, identity.bare)


def group_identity(
    splits: Splits, *, patient_id: str | None, issuer: str | None = None, study_instance_uid: str | None, folder: str
) -> GroupIdentity:
    """What must not be divided: the patient, else the study, else the folder.

    A patient is a Patient ID and its issuer (PS3.3 C.7.1.1). Padding is not part of either (PS3.5 6.2). The standard
    tells `ab 1` from `AB  1`; here they are one patient, for whoever types an ID twice must not get into two splits.
    A placeholder is no ID.
    """
    folder = unicodedata.normalize("NFC", folder)
    return _identify(splits, plain_identity, patient_id, issuer, study_instance_uid, folder)


def identify_group(
    key: bytes,
    splits: Splits,
    *,
    patient_id: str | None,
    issuer: str | None = None,
    study_instance_uid: str | None,
    folder: str,
) -> tuple[str, str]:
    """(kind, keyed hash) of what must not be divided."""
    identity = group_identity(
        splits, patient_id=patient_id, issuer=issuer, study_instance_uid=study_instance_uid, folder=folder
    )
    return identity.kind, keyed_hash(key, identity.kind, identity.text)


def former_group_key(
    key: bytes,
    splits: Splits,
    *,
    patient_id: str | None,
    issuer: str | None,
    study_instance_uid: str | None,
    folder: str,
) -> str:
    """The key that the group had before IDs were compared in NFKC and folders in NFC: it may be recorded under it."""
    identity = _identify(splits, _former_identity, patient_id, issuer, study_instance_uid, folder)
    return keyed_hash(key, identity.kind, identity.text)


def key_without_issuer(key: bytes, splits: Splits, *, patient_id: str | None, issuer: str | None) -> str:
    """The key that the patient would have without the issuer; empty if there is none, or it is not used."""
    if splits.group_by is not GroupBy.PATIENT or not issuer or is_placeholder(patient_id or ""):
        return ""
    return keyed_hash(key, GroupBy.PATIENT, plain_identity(patient_id or "")) if plain_identity(issuer) else ""


def assign_split(splits: Splits, *, group_kind: str, draw: int, closed: bool = False) -> str:
    """train, val or test.

    A group without an identifier of the requested unit (no Patient ID, say) never enters test, unless
    `test_unidentified`: its patient might be in train under another name. Nor does any group if test is `closed`.
    """
    train, val, _ = splits.shares
    place = draw / 2**DRAW_BITS
    unknown = group_kind != splits.group_by and not splits.test_unidentified
    if (unknown or closed) and train + val > 0:
        place *= train + val
    if place < train:
        return TRAIN
    return VAL if place < train + val else TEST


def _former_identity(text: str) -> str:
    return " ".join(text.replace("\0", " ").split()).upper()


def _identify(
    splits: Splits,
    plain: Callable[[str], str],
    patient_id: str | None,
    issuer: str | None,
    study_instance_uid: str | None,
    folder: str,
) -> GroupIdentity:
    patient, issued_by = plain(patient_id or ""), plain(issuer or "")
    bare = "" if stands_for_none(patient) else patient
    patient = f"{bare}\0{issued_by}" if bare and issued_by else bare
    study = (study_instance_uid or "").strip(" \0")
    candidates = [(GroupBy.PATIENT, patient), (GroupBy.STUDY, study), (GroupBy.FOLDER, folder)]
    wanted = list(GroupBy).index(splits.group_by)
    kind, text = next((kind, text) for kind, text in candidates[wanted:] if text or kind is GroupBy.FOLDER)
    return GroupIdentity(kind.value, text, bare if kind is GroupBy.PATIENT and text != bare else "")

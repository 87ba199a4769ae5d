"""`forget`: a patient or files leave a data set for good, and do not come back with the next delivery.

What is remembered of them are keyed hashes (tombstones): of the patient's own keys, of the studies, of the contents of
the files. They tell nobody anything who has not the key of the data set.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, literal_column, select

from dicomprep.config import GroupBy
from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.kinship import find_kin
from dicomprep.database.queries.versions import all_versions, count_frozen
from dicomprep.database.schema import aliases, files, frames, groups
from dicomprep.database.writes.forgetting import (
    TombstoneRow,
    add_tombstones,
    erase_files,
    erase_groups,
    known_tombstones,
    remove_tombstones,
)
from dicomprep.database.writes.recovery import add_pending_deletions, clear_pending_deletions, pending_deletions
from dicomprep.database.writes.series import refresh_series
from dicomprep.errors import ConfigError
from dicomprep.models import Outcome
from dicomprep.privacy.keys import keyed_hash
from dicomprep.privacy.patient_ids import plain_identity
from dicomprep.storage.paths import readable_path
from dicomprep.workspace import Workspace

__all__ = ["Forgotten", "Tombstones", "forget", "let_return"]

_GROUPS_BY = [
    select(groups.c.id, groups.c.key).where(any_of(groups.c.key)),
    select(aliases.c.group_id, aliases.c.key).where(any_of(aliases.c.key)),
]
_KEYS_OF = select(groups.c.key).where(any_of(groups.c.id))
_ALIASES_OF = select(aliases.c.key).where(aliases.c.kind != literal_column("'issuer'"), any_of(aliases.c.group_id))
"""Without those by Patient ID alone: another issuer's patient may have the same."""
_FILES_OF = select(files.c.id, files.c.digest, files.c.root, files.c.path).where(any_of(files.c.group_id))
_FRAMES_OF = select(frames.c.id).where(any_of(frames.c.file_id))
_FILES = select(files.c.id, files.c.digest, files.c.root, files.c.path)


@dataclass(slots=True)
class Forgotten:
    """What was removed, or would be."""

    patients: int = 0
    sources: list[str] = field(default_factory=list)
    """The files that it came from. They are not this program's to remove."""
    images: int = 0
    versions: dict[str, int] = field(default_factory=dict)
    """How many images each version lacks now, in all."""


class Tombstones:
    """Tells a run which files are of somebody who was forgotten."""

    def __init__(self, key: bytes, known: Collection[str]) -> None:
        self._key, self._known = key, known

    @classmethod
    def read(cls, connection: Connection, key: bytes) -> "Tombstones":
        """Those of a data set."""
        return cls(key, known_tombstones(connection))

    def cover(self, outcome: Outcome) -> bool:
        """Whether a file was forgotten: its content, or its patient by any of the keys."""
        if not self._known:
            return False
        about = outcome.instance
        names = (about.group_key, about.former_key, about.issuerless_key, about.study_key)
        hashes = [_tombstone(self._key, name) for name in names if name]
        if outcome.digest:
            hashes.append(_tombstone(self._key, outcome.digest.hex()))
        return any(text in self._known for text in hashes)


def forget(
    workspace: Workspace, *, patients: Sequence[str] = (), paths: Sequence[str] = (), dry_run: bool = False
) -> Forgotten:
    """Remove patients and files with their images, rows, labels and predictions; later runs leave them out.

    A patient is given by the key that records and exports have (`patient_key`), or by the Patient ID as files have it;
    whoever is the same patient by studies or images goes, too. Raises ConfigError where one of them is not there,
    EnvironmentFault where a run is under way.
    """
    workspace.require_images()
    with workspace.lock(), workspace.writing(alone=True) as store:
        with store.transaction() as connection:
            done, stale = _erase(connection, workspace.key, patients, paths, dry_run=dry_run)
        workspace.images.remove(stale)
        for folder in {place.rpartition("/")[0] for place in stale}:
            workspace.images.remove_emptied(folder)
        with store.transaction() as connection:
            clear_pending_deletions(connection)
        refresh_series(store)
    return done


def let_return(workspace: Workspace, patients: Sequence[str]) -> int:
    """Take the tombstones of patients away, so that the next run may record them; of how many there were any."""
    key = workspace.key
    with workspace.lock(), workspace.writing(alone=True) as store, store.transaction() as connection:
        return sum(
            remove_tombstones(connection, [_tombstone(key, name) for name in _keys_of(key, patient)]) > 0
            for patient in patients
        )


def _erase(
    connection: Connection, key: bytes, patients: Sequence[str], paths: Sequence[str], *, dry_run: bool
) -> tuple[Forgotten, list[str]]:
    """Remove the rows; the images that none names any more are noted, until they are removed."""
    group_ids = _find_patients(connection, key, patients)
    rows = [*look_up(connection, _FILES_OF, group_ids), *_find_files(connection, paths)]
    found = {file_id: (digest, f"{root}/{path}") for file_id, digest, root, path in rows}
    done = Forgotten(len(group_ids), sorted(path for _, path in found.values()))
    done.images = sum(1 for _ in look_up(connection, _FRAMES_OF, list(found)))
    if dry_run:
        return done, []
    add_tombstones(connection, _tombstones(connection, key, group_ids, [digest for digest, _ in found.values()]))
    stale = [*pending_deletions(connection), *erase_files(connection, list(found), run_id=0, key=key)]
    erase_groups(connection, group_ids)
    add_pending_deletions(connection, stale)
    for version in all_versions(connection):
        missing = version.images - count_frozen(connection, version)
        done.versions |= {version.name: missing} if missing else {}
    return done, stale


def _keys_of(key: bytes, patient: str) -> list[str]:
    """What a patient may be recorded by: the key itself, or that of a Patient ID."""
    return [patient, keyed_hash(key, GroupBy.PATIENT, plain_identity(patient))]


def _find_patients(connection: Connection, key: bytes, patients: Iterable[str]) -> list[int]:
    """The groups of all patients, with all that are one with them."""
    ids: set[int] = set()
    for number, patient in enumerate(patients, 1):
        names = _keys_of(key, patient)
        found = {row[0] for query in _GROUPS_BY for row in look_up(connection, query, names)}
        if not found:  # who is meant is not repeated: it may be a name
            raise ConfigError(f"--patient: the patient given as number {number} is not in this data set.")
        own = {row[0] for row in look_up(connection, _GROUPS_BY[0], names)} or found
        families = find_kin(connection, {min(own)})
        one = {min(own)} | {kin.id for family in families for kin in family if not kin.explained}
        if not own <= one:
            message = f"--patient: number {number} is {len(own)} patients of different issuers"
            raise ConfigError(f"{message}. Give the patient_key of one.")
        ids |= one
    return sorted(ids)


def _find_files(connection: Connection, paths: Iterable[str]) -> list[tuple[int, bytes, str, str]]:
    """The inputs at these paths, or below them."""
    found = []
    for path in paths:
        readable = readable_path(path).rstrip("/")
        full = files.c.root + "/" + files.c.path
        rows = connection.execute(
            _FILES.where((full == readable) | full.startswith(f"{readable}/", autoescape=True))
        ).all()
        if not rows:
            raise ConfigError(f"--file {path}: no file of this data set lies there. `dicomprep status` lists folders.")
        found += [(row[0], row[1], row[2], row[3]) for row in rows]
    return found


def _tombstones(
    connection: Connection, key: bytes, group_ids: Sequence[int], digests: Iterable[bytes]
) -> list[TombstoneRow]:
    """One for each key of the patients and each content, for each of the patients' own keys as its owner."""
    own = [row[0] for row in look_up(connection, _KEYS_OF, group_ids)]
    known_as = [row[0] for row in look_up(connection, _ALIASES_OF, group_ids)]
    others = {name for group_id, name in look_up(connection, _GROUPS_BY[1], known_as) if group_id not in group_ids}
    names = {*own, *known_as} - others  # a study that strangers have, too, was made up
    names |= {digest.hex() for digest in digests if digest}
    hashes = [_tombstone(key, name) for name in sorted(names)]
    owners = [_tombstone(key, name) for name in own]
    return [TombstoneRow(text, owner) for text in hashes for owner in owners or [text]]


def _tombstone(key: bytes, name: str) -> str:
    return keyed_hash(key, "tombstone", name)

"""Images that wait for a person: what the command `release` lists, releases and takes back."""

import getpass
from collections.abc import Sequence

from dicomprep.cli.console import printable
from dicomprep.database.connection import connect
from dicomprep.database.queries import releases
from dicomprep.database.writes.releases import add_releases
from dicomprep.database.writes.store import Store
from dicomprep.errors import ConfigError
from dicomprep.privacy.burned_in import Reason

__all__ = ["list_waiting", "revoke_frames", "shown_release"]


def list_waiting(db: str, *, reason: str | None) -> int:
    """Print a line for each image that waits: id, name, modality, reasons; and whether they are held back."""
    _require_reason(reason)
    store = _open(db)
    with store.transaction() as connection:
        held, count = releases.holds(connection), 0
        for frame in releases.find_held(connection, reason=reason):
            print(f"{frame.id}\t{printable(frame.filename)}\t{frame.modality or '-'}\t{frame.reasons}")
            count += 1
    store.close()
    state = "held back until released" if held else "not held back: preprocess --hold-burned-in does that"
    print(f"{count:,} images probably show text; they are {state}." if count else "No image waits to be released.")
    return 0


def shown_release(
    db: str, ids: Sequence[int] | None, *, study: str | None, reason: str | None, person: str | None
) -> int:
    """Release the images chosen; 1 where not one of them waits."""
    _require_reason(reason)
    store = _open(db)
    with store.transaction() as connection:
        chosen = [f.id for f in releases.find_held(connection, ids=ids, study=study, reason=reason)]
    count = add_releases(store, chosen, person=person or getpass.getuser())
    store.close()
    print(f"{count:,} images released." if count else "None of these images waits to be released.")
    return 0 if count else 1


def revoke_frames(db: str, ids: Sequence[int], *, person: str | None) -> int:
    """Take back the release of images; ConfigError where none is named."""
    if not ids:
        raise ConfigError("Which images? Give their ids: dicomprep release --revoke 12 15.")
    store = _open(db)
    count = add_releases(store, ids, person=person or getpass.getuser(), released=False)
    store.close()
    print(f"{count:,} releases taken back.")
    return 0 if count else 1


def _open(db: str) -> Store:
    connect(db, must_exist=True).dispose()
    return Store(db)


def _require_reason(reason: str | None) -> None:
    if reason is not None and reason not in list(Reason):
        raise ConfigError(f"--reason {reason}: choose {', '.join(Reason)}.")

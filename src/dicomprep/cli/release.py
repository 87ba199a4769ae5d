"""`dicomprep release`."""

import getpass
from collections.abc import Sequence

from dicomprep.cli.console import printable
from dicomprep.cli.options import Db, Flag
from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries import releases
from dicomprep.database.writes.releases import add_releases
from dicomprep.errors import ConfigError, count_of
from dicomprep.workspace import Workspace

__all__ = ["release"]


def release(
    *frames: int,
    db: Db = DEFAULT_DB,
    study: str | None = None,
    reason: str | None = None,
    all_frames: Flag = False,
    by: str | None = None,
    revoke: Flag = False,
) -> int:
    """List images with suspected burned-in text, or release those that a person has checked.

    Without a selection it lists them. After `preprocess --hold-burned-in`, none of them is exported or loaded before
    it is released.

    Parameters
    ----------
    frames
        Ids of images, as the list shows them.
    study
        All images of this study_id.
    reason
        Only images with this reason: stated, text, screen, scanned or banner.
    all_frames
        All images that the list shows.
    by
        Who has checked them; by default the name of the user of this machine.
    revoke
        Undo the release of FRAMES.

    """
    workspace = Workspace.open(db)
    person = by or getpass.getuser()
    if revoke:
        return _revoke(workspace, frames, person)
    if frames or study or all_frames:
        return _release(workspace, frames, study, reason, person)
    return _list(workspace, reason)


def _list(workspace: Workspace, reason: str | None) -> int:
    """Print a line for each image that waits: id, name, modality, reasons; and whether they are held back."""
    with workspace.reading() as connection:
        held, count = releases.holds(connection), 0
        for frame in releases.find_held(connection, reason=reason):
            print(f"{frame.id}\t{printable(frame.filename)}\t{frame.modality or '-'}\t{frame.reasons}")
            count += 1
    state = "held back until released" if held else "not held back: preprocess --hold-burned-in does that"
    has_text = f"{count_of(count, 'image')} with suspected burned-in text, {state}."
    print(has_text if count else "No image waits to be released.")
    return 0


def _release(workspace: Workspace, frames: Sequence[int], study: str | None, reason: str | None, person: str) -> int:
    """Release the images chosen; 1 where not one of them waits."""
    with workspace.reading() as connection:
        chosen = [f.id for f in releases.find_held(connection, ids=frames or None, study=study, reason=reason)]
    with workspace.writing() as store:
        count = add_releases(store, chosen, person=person)
    print(f"{count_of(count, 'image')} released." if count else "None of these images waits to be released.")
    return 0 if count else 1


def _revoke(workspace: Workspace, frames: Sequence[int], person: str) -> int:
    if not frames:
        raise ConfigError("Which images? Give their ids: dicomprep release --revoke 12 15.")
    with workspace.writing() as store:
        count = add_releases(store, frames, person=person, released=False)
    print(f"{count_of(count, 'release')} revoked.")
    return 0 if count else 1

"""`dicomprep release`."""

from dicomprep.cli.options import DEFAULTS, Flag

__all__ = ["release"]


def release(
    *frames: int,
    db: str = DEFAULTS.db,
    study: str | None = None,
    reason: str | None = None,
    all_frames: Flag = False,
    by: str | None = None,
    revoke: Flag = False,
) -> int:
    """List the images that probably show text, or release those that a person has looked at.

    Without a choice it lists them. With `preprocess --hold-burned-in` none of them is exported or loaded before.

    Parameters
    ----------
    frames
        Ids of images, as the list shows them.
    db
        SQLite database path, or a postgresql:// URL.
    study
        All images of this study_id.
    reason
        Only images with this reason: stated, text, screen, scanned or banner.
    all_frames
        All images that the list shows.
    by
        Who has looked at them; without it, the name of the user of this machine.
    revoke
        Take back the release of FRAMES.

    """
    from dicomprep.cli.releasing import list_waiting, revoke_frames, shown_release

    if revoke:
        return revoke_frames(db, frames, person=by)
    if frames or study or all_frames:
        return shown_release(db, frames or None, study=study, reason=reason, person=by)
    return list_waiting(db, reason=reason)

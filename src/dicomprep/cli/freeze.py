"""`dicomprep freeze`."""

from typing import Annotated

from cyclopts import Parameter

from dicomprep.cli.console import printable
from dicomprep.cli.options import Db
from dicomprep.config import DEFAULT_DB
from dicomprep.errors import count_of
from dicomprep.exchange.versions import freeze as freeze_images
from dicomprep.workspace import Workspace

__all__ = ["freeze"]


def freeze(
    name: str,
    *,
    db: Db = DEFAULT_DB,
    kind: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    where: str | None = None,
) -> int:
    """Record which images, labels and splits there are now, under a name that can be cited.

    A version does not change. Read it again with `Dataset(version=NAME)` or `dicomprep export --version NAME`.

    Parameters
    ----------
    name
        Its name, such as 2026-11 or paper-v1.
    kind
        Kind of images: original and derived by default; localizer, mask, …, or all; repeatable.
    where
        Only images that meet this condition, such as "modality = 'CT' AND width >= 100".

    """
    version = freeze_images(Workspace.open(db), name, kind=kind, where=where)
    print(f"Froze {count_of(version.images, 'image')} as version {printable(version.name)}.")
    print(f"SHA-256 {version.digest}")
    return 0

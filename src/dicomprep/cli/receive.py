"""`dicomprep receive`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from dicomprep.cli.options import DEFAULTS, Db, Flag, Flat
from dicomprep.cli.run import loading_workers
from dicomprep.config import DEFAULT_DB, DEFAULT_OUTPUT_DIR, Budget, Config, ImageOptions, Privacy, Splits
from dicomprep.errors import ConfigError
from dicomprep.storage.dimse import Listening

if TYPE_CHECKING:
    from dicomprep.pipeline.intake import Intake
    from dicomprep.storage.dimse import StorageServer

__all__ = ["receive"]

DEFAULT_SPOOL = Path("received")


def receive(  # noqa: PLR0913
    *,
    listening: Annotated[Listening, Flat] = Listening(),  # noqa: B008  (frozen)
    spool: Path = DEFAULT_SPOOL,
    max_spool: float = 100,
    every: float = 10,
    store_only: Flag = False,
    output_dir: str = str(DEFAULT_OUTPUT_DIR),
    db: Db = DEFAULT_DB,
    workers: int = DEFAULTS.workers,
    image: Annotated[ImageOptions, Flat] = DEFAULTS.image,
    splits: Annotated[Splits, Flat] = DEFAULTS.splits,
    budget: Annotated[Budget, Flat] = DEFAULTS.budget,
    privacy: Annotated[Privacy, Flat] = DEFAULTS.privacy,
    durable: Flag = False,
    shared: Flag = False,
) -> int:
    """Receive instances by C-STORE into a folder, and preprocess them as they come, until Ctrl-C.

    What was acknowledged is in the folder, whole and on the disk. C-ECHO is answered.

    Parameters
    ----------
    spool
        Folder that receives, as STUDY/INSTANCE.dcm; `preprocess` takes it like any other.
    max_spool
        Gigabytes that this folder may take; beyond that, what comes is refused (0xA700).
    every
        Seconds between two rounds of preprocessing, at least.
    store_only
        Only receive; `dicomprep preprocess` on the folder does the rest.
    output_dir
        Output directory for thumbnails, or s3://BUCKET/PREFIX (gs://, az://).
    workers
        Number of parallel workers.
    durable
        fsync images before committing their records (survives power loss; slower).
    shared
        Make a new data set readable by your group, as far as the umask allows; by default only you can read it.

    """
    if not 0 < max_spool <= 1e6 or not 0 <= every <= 86_400:
        raise ConfigError("--max-spool: give gigabytes above 0. --every: give seconds, up to a day's (86400).")
    config = Config(
        dicom_dir=(str(spool),),
        workers=workers,
        durable=durable,
        shared=shared,
        image=image,
        splits=splits,
        budget=budget,
        privacy=privacy,
    )
    with loading_workers():
        from dicomprep.cli.rounds import run_rounds
        from dicomprep.pipeline.intake import Intake
        from dicomprep.storage.dimse import serving_storage
        from dicomprep.storage.spool import Spool
        from dicomprep.workspace import Workspace

        workspace = None if store_only else Workspace.create(db, output_dir)
        intake = Intake(Spool(spool, max_bytes=int(max_spool * 1e9)))
        with serving_storage(listening, intake.keep) as server:
            address = f"{listening.host}:{server.port}"
            print(f"Listening as {listening.aet} on {address}; into {intake.spool.folder}", flush=True)
            news = partial(_describe_arrivals, intake, server)
            run_rounds(workspace, config, seconds=every, arrived=intake.arrived, news=news)
    return 0


def _describe_arrivals(intake: "Intake", server: "StorageServer") -> list[str]:
    """What came since this was asked last, and who was refused."""
    refused, server.refused = server.refused, []
    counts = intake.take_counts()
    return [f"{count:,} {what}" for what, count in counts.items()] + [f"refused: {who}" for who in refused]

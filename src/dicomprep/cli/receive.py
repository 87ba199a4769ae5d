"""`dicomprep receive`."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

from dicomprep.cli.options import Db, Flat, MakeOptions, SpoolOptions
from dicomprep.cli.run import loading_workers
from dicomprep.config import DEFAULT_DB
from dicomprep.storage.dimse import Listening

if TYPE_CHECKING:
    from dicomprep.pipeline.intake import Intake
    from dicomprep.storage.dimse import StorageServer

__all__ = ["receive"]


def receive(
    *,
    listening: Annotated[Listening, Flat] = Listening(),  # noqa: B008  (frozen, as the next two)
    into: Annotated[SpoolOptions, Flat] = SpoolOptions(),  # noqa: B008
    db: Db = DEFAULT_DB,
    make: Annotated[MakeOptions, Flat] = MakeOptions(),  # noqa: B008
) -> int:
    """Receive instances by C-STORE into a folder, and preprocess them as they come, until Ctrl-C.

    What was acknowledged is in the folder, whole and on the disk. C-ECHO is answered.
    """
    config = make.config(str(into.spool))
    with loading_workers():
        from dicomprep.cli.rounds import run_rounds
        from dicomprep.pipeline.intake import Intake
        from dicomprep.pipeline.rounds import Supply
        from dicomprep.storage.dimse import serving_storage
        from dicomprep.workspace import Workspace

        workspace = None if into.store_only else Workspace.create(db, make.output_dir)
        intake = Intake(into.open())
        with serving_storage(listening, intake.keep) as server:
            address = f"{listening.host}:{server.port}"
            print(f"Listening as {listening.aet} on {address}; into {intake.spool.folder}", flush=True)
            news = partial(_describe_arrivals, intake, server)
            run_rounds(workspace, config, seconds=into.every, supply=Supply(intake.arrived), news=news)
    return 0


def _describe_arrivals(intake: "Intake", server: "StorageServer") -> list[str]:
    """What came since this was asked last, and who was refused."""
    refused, server.refused = server.refused, []
    counts = intake.take_counts()
    return [f"{count:,} {what}" for what, count in counts.items()] + [f"refused: {who}" for who in refused]

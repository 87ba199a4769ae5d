"""`dicomprep receive`."""

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

from dicomprep.cli.console import printable
from dicomprep.cli.options import Db, Flat, MakeOptions, SpoolOptions
from dicomprep.cli.run import loading_workers
from dicomprep.config import DEFAULT_DB
from dicomprep.storage.dimse_peers import Listening
from dicomprep.storage.dimse_tls import TlsFiles

if TYPE_CHECKING:
    from dicomprep.pipeline.intake import Intake
    from dicomprep.storage.dimse import StorageServer

__all__ = ["receive"]


def receive(
    *,
    listening: Annotated[Listening, Flat] = Listening(),  # noqa: B008  (frozen, as those below)
    tls: Annotated[TlsFiles, Flat] = TlsFiles(),  # noqa: B008
    into: Annotated[SpoolOptions, Flat] = SpoolOptions(),  # noqa: B008
    db: Db = DEFAULT_DB,
    make: Annotated[MakeOptions, Flat] = MakeOptions(),  # noqa: B008
) -> int:
    """Receive instances by C-STORE into a folder, and preprocess them as they come, until Ctrl-C.

    What was acknowledged is in the folder, whole and on the disk. C-ECHO and storage commitment are
    answered.
    """
    config, context, calling = make.config(str(into.spool)), tls.for_listening(), tls.for_calling()
    with loading_workers():
        from dicomprep.cli.rounds import run_rounds
        from dicomprep.dicom.commitment import Committer
        from dicomprep.pipeline.intake import Intake
        from dicomprep.pipeline.rounds import Supply
        from dicomprep.storage.dimse import serving_storage
        from dicomprep.workspace import Workspace

        workspace = None if into.store_only else Workspace.create(db, make.output_dir)
        intake = Intake(into.open())
        with (
            Committer(listening, intake.spool.find, tls=calling, note=_say) as committer,
            serving_storage(listening, intake.keep, tls=context, services=[committer.service]) as server,
        ):
            address = f"{listening.host}:{server.port}"
            print(f"Listening as {listening.aet} on {address}; into {intake.spool.folder}", flush=True)
            news = partial(_describe_arrivals, intake, server)
            run_rounds(workspace, config, seconds=into.every, supply=Supply(intake.arrived), news=news)
    return 0


def _say(sentence: str) -> None:
    print(printable(f"{time.strftime('%H:%M:%S')} {sentence}"), flush=True)


def _describe_arrivals(intake: "Intake", server: "StorageServer") -> list[str]:
    """What came since this was asked last, and who was refused."""
    refused, server.refused = server.refused, []
    counts = intake.take_counts()
    return [f"{count:,} {what}" for what, count in counts.items()] + [f"refused: {who}" for who in refused]

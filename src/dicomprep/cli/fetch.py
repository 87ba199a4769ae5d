"""`dicomprep fetch`."""

import csv
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from ssl import SSLContext
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from dicomprep.cli.options import Db, Flag, Flat, MakeOptions, SpoolOptions
from dicomprep.cli.run import loading_workers, run_and_report
from dicomprep.cli.wanted import Wanted
from dicomprep.config import DEFAULT_DB
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.storage.dimse_peers import Listening, is_loopback
from dicomprep.storage.dimse_tls import TlsFiles
from dicomprep.storage.sync import drafted

if TYPE_CHECKING:
    from dicomprep.config import Config
    from dicomprep.pipeline.fetch import Fetcher, Row
    from dicomprep.workspace import Workspace

__all__ = ["fetch"]


def fetch(  # noqa: PLR0913
    *,
    from_: Annotated[str, Parameter(name="--from")],
    wanted: Annotated[Wanted, Flat] = Wanted(),  # noqa: B008  (frozen, as those below)
    refetch: Flag = False,
    method: Literal["get", "move"] = "get",
    associations: int = 1,
    between: str = "",
    report: Path | None = None,
    listening: Annotated[Listening, Flat] = Listening(),  # noqa: B008
    tls: Annotated[TlsFiles, Flat] = TlsFiles(),  # noqa: B008
    into: Annotated[SpoolOptions, Flat] = SpoolOptions(),  # noqa: B008
    db: Db = DEFAULT_DB,
    make: Annotated[MakeOptions, Flat] = MakeOptions(),  # noqa: B008
) -> int:
    """Fetch studies from a PACS by C-FIND and C-GET or C-MOVE into a folder, and preprocess them as they come.

    What is there or done already is not fetched again: the same command goes on where it was interrupted.

    Parameters
    ----------
    from_
        The PACS: AET@HOST:PORT.
    refetch
        Fetch again what is there or done: the server may have corrected it under the same UIDs.
    method
        get: over the same connection. move: the PACS sends to --aet, which it must know, at --host and --port.
    associations
        Associations at one time.
    between
        Only at these hours, such as 20:00-06:00.
    report
        CSV file that says of each instance how it came: as stored, transcoded, or not known.

    """
    queries = wanted.queries()
    if not 1 <= associations <= 64:
        raise ConfigError(f"--associations {associations}: choose from 1 to 64.")
    config, incoming = make.config(str(into.spool)), tls.for_listening() if method == "move" else None
    with loading_workers():
        from dicomprep.dicom.query_retrieve import Remote
        from dicomprep.pipeline.done import done_instances
        from dicomprep.pipeline.fetch import Fetcher
        from dicomprep.pipeline.hours import Hours
        from dicomprep.pipeline.intake import Intake
        from dicomprep.workspace import Workspace

        fetcher = Fetcher(
            Remote.parse(from_, listening.aet, tls.for_calling()),
            Intake(into.open(replaces=refetch), notes_syntaxes=True),
            moves=method == "move",
            modalities=wanted.modality,
            associations=associations,
            hours=Hours.parse(between),
            refetches=refetch,
            tell=lambda line: print(line, flush=True),
        )
        workspace = None if into.store_only else Workspace.create(db, make.output_dir)
        if workspace is not None:
            fetcher.done = done_instances(workspace, config)
        with _ready(fetcher, _listening_for(fetcher, listening), incoming, report), ThreadPoolExecutor(1) as pool:
            fetching = pool.submit(fetcher.fetch, queries)
            _make_images(workspace, config, fetcher, fetching, seconds=into.every)
        return _finish(workspace, config, fetcher, fetching)


@contextmanager
def _ready(fetcher: "Fetcher", listening: Listening, tls: SSLContext | None, report: Path | None) -> Iterator[None]:
    """Within the block what a PACS sends is taken, and what became of each instance is written down."""
    from dicomprep.storage.dimse import serving_storage

    with ExitStack() as stack:
        if fetcher.moves:
            stack.enter_context(serving_storage(listening, fetcher.intake.keep, tls=tls))
        fetcher.note = stack.enter_context(_reporting(report))
        yield


def _make_images(
    workspace: "Workspace | None", config: "Config", fetcher: "Fetcher", fetching: "Future[None]", *, seconds: float
) -> None:
    """Preprocess as instances come; in the end nothing is being fetched any more, and what came is said."""
    from dicomprep.cli.rounds import run_rounds
    from dicomprep.pipeline.rounds import Supply

    try:
        run_rounds(
            workspace, config, seconds=seconds, supply=Supply(fetcher.intake.arrived, fetching.done, fetcher.stopped)
        )
    finally:
        if not fetching.done():
            fetcher.stopped.set()
            print("Ending: what is being sent is taken first.", flush=True)
        wait([fetching])
        for line in _summarize(fetcher):
            print(line, flush=True)


def _finish(workspace: "Workspace | None", config: "Config", fetcher: "Fetcher", fetching: "Future[None]") -> int:
    """Preprocess the last of what came, unless interrupted; the exit code. Raises what ended the fetching."""
    fault = fetching.exception()
    if fetcher.stopped.is_set():
        return 130
    if fault is not None and not isinstance(fault, EnvironmentFault):
        raise fault
    code = run_and_report(workspace, config) if workspace is not None else 0
    if fault is not None:
        raise fault
    return max(code, 3 if fetcher.faults else 0)


def _summarize(fetcher: "Fetcher") -> Iterator[str]:
    from dicomprep.dicom.header import name_syntax
    from dicomprep.storage.paths import readable_path

    counts = ", ".join(f"{count:,} {state}" for state, count in fetcher.states.items())
    yield f"Instances: {counts or 'none'}"
    if fetcher.syntaxes:
        yield "Came in: " + ", ".join(
            f"{count:,} {name_syntax(syntax)}" for syntax, count in fetcher.syntaxes.most_common()
        )
    for fault, count in fetcher.faults.items():
        yield readable_path(f"Not fetched ({count:,}): {fault} The same command tries again.")


def _listening_for(fetcher: "Fetcher", listening: Listening) -> Listening:
    """Where the PACS is to send to; by itself only that host may."""
    if not fetcher.moves:
        return listening
    if is_loopback(listening.host) and not is_loopback(fetcher.remote.host):
        message = f"{fetcher.remote.host} sends to another address than this machine's own"
        raise ConfigError(f"--method move: {message}. Give the one to listen on: --host 0.0.0.0.")
    return listening if listening.peer else replace(listening, peer=(f"@{fetcher.remote.host}",))


@contextmanager
def _reporting(report: Path | None) -> Iterator[Callable[["Row"], None]]:
    """Who is told of each instance."""
    from dicomprep.pipeline.fetch import Row

    if report is None:
        yield lambda _row: None
        return
    with drafted(report) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Row._fields)
        yield writer.writerow

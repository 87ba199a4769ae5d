"""`dicomprep fetch`."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from dicomprep.cli.options import DEFAULTS, Db, Flag, Flat
from dicomprep.cli.receive import DEFAULT_SPOOL
from dicomprep.cli.run import loading_workers, run_and_report
from dicomprep.config import DEFAULT_DB, DEFAULT_OUTPUT_DIR, Budget, Config, ImageOptions, Privacy, Splits
from dicomprep.errors import ConfigError, count_of
from dicomprep.storage.dimse import Listening, is_loopback
from dicomprep.storage.spool import Spool, is_uid_name
from dicomprep.storage.sync import drafted

if TYPE_CHECKING:
    from dicomprep.pipeline.fetch import Fetcher, Row

__all__ = ["fetch"]

COLUMNS = {"studyinstanceuid": "StudyInstanceUID", "accessionnumber": "AccessionNumber", "patientid": "PatientID"}
"""Of a list, whatever their capitals and however their words are divided."""

MAX_LISTED = 100_000
"""Studies that one list may name; bounds memory."""


def fetch(  # noqa: PLR0913
    *,
    from_: Annotated[str, Parameter(name="--from")],
    study: list[str] | None = None,
    patient: list[str] | None = None,
    accession: list[str] | None = None,
    date: str = "",
    modality: list[str] | None = None,
    list_: Annotated[Path | None, Parameter(name="--list")] = None,
    method: Literal["get", "move"] = "get",
    associations: int = 1,
    between: str = "",
    report: Path | None = None,
    listening: Annotated[Listening, Flat] = Listening(),  # noqa: B008  (frozen)
    spool: Path = DEFAULT_SPOOL,
    max_spool: float = 100,
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
    """Fetch studies from a PACS by C-FIND and C-GET or C-MOVE into a folder, and preprocess it.

    What is there already is not fetched again: the same command goes on where it was interrupted.

    Parameters
    ----------
    from_
        The PACS: AET@HOST:PORT.
    study
        Study Instance UID; may be given several times, as may --patient, --accession and --modality.
    patient
        Patient ID.
    accession
        Accession Number.
    date
        Study date, or a range of dates: 20240101-20240131.
    modality
        Only series of this modality, such as CT.
    list_
        CSV file with a column study_instance_uid, accession_number or patient_id: one query for each row.
    method
        get: over the same connection. move: the PACS sends to --aet, which it must know, at --host and --port.
    associations
        Associations at one time.
    between
        Only at these hours, such as 20:00-06:00.
    report
        CSV file that says of each instance how it came: as stored, transcoded, or not known.
    spool
        Folder that receives, as STUDY/INSTANCE.dcm; `preprocess` takes it like any other.
    max_spool
        Gigabytes that this folder may take.
    store_only
        Only fetch; `dicomprep preprocess` on the folder does the rest.
    output_dir
        Output directory for thumbnails, or s3://BUCKET/PREFIX (gs://, az://).
    workers
        Number of parallel workers.
    durable
        fsync images before committing their records (survives power loss; slower).
    shared
        Make a new data set readable by your group, as far as the umask allows; by default only you can read it.

    """
    given = {"StudyInstanceUID": study, "PatientID": patient, "AccessionNumber": accession}
    queries = _queries(given, {"StudyDate": date, "ModalitiesInStudy": "\\".join(modality or [])}, list_)
    if not 1 <= associations <= 64 or not 0 < max_spool <= 1e6:
        raise ConfigError("--associations: choose from 1 to 64. --max-spool: give gigabytes above 0.")
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
        from dicomprep.dicom.query_retrieve import Remote
        from dicomprep.pipeline.fetch import Fetcher, Hours
        from dicomprep.pipeline.intake import Intake
        from dicomprep.workspace import Workspace

        remote, hours = Remote.parse(from_, listening.aet), Hours.parse(between)
        workspace = None if store_only else Workspace.create(db, output_dir)
        fetcher = Fetcher(
            remote,
            Intake(Spool(spool, max_bytes=int(max_spool * 1e9)), notes_syntaxes=True),
            moves=method == "move",
            modalities=modality or (),
            associations=associations,
            hours=hours,
            tell=lambda line: print(line, flush=True),
        )
        code = _fetch(fetcher, queries, _listening_for(fetcher, listening), report)
        return max(code, run_and_report(workspace, config)) if workspace and code != 130 else code


def _fetch(fetcher: "Fetcher", queries: Sequence[dict[str, str]], listening: Listening, report: Path | None) -> int:
    """Fetch, and say what came; the exit code."""
    from dicomprep.engines.interrupts import Stop, stop_first
    from dicomprep.storage.dimse import serving_storage

    interrupted = Stop()

    def stop() -> None:
        interrupted.set()
        fetcher.stopped.set()

    with ExitStack() as stack:
        if fetcher.moves:
            stack.enter_context(serving_storage(listening, fetcher.intake.keep))
        fetcher.note = stack.enter_context(_reporting(report))
        stack.enter_context(stop_first(stop))
        try:
            fetcher.fetch(queries)
        finally:
            for line in _summarize(fetcher):
                print(line, flush=True)
    return 130 if interrupted.is_set() else 3 if fetcher.faults else 0


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


def _queries(given: dict[str, Any], common: dict[str, str], table: Path | None) -> list[dict[str, str]]:
    """One for each value given, or for each row of the list; ConfigError where all of a PACS would be asked for."""
    common = {keyword: value for keyword, value in common.items() if value}
    single = [(keyword, value) for keyword, values in given.items() for value in values or ()]
    single += list(_listed(table)) if table else []
    for keyword, value in single:
        if keyword == "StudyInstanceUID" and not is_uid_name(value):
            raise ConfigError(f"{value} is not a UID.")
        if not value or "\\" in value or "*" in value or "?" in value or not value.isprintable():
            raise ConfigError(f"{keyword} {value!r}: give one value, without * and ?.")
    if not single and not common.get("StudyDate"):
        raise ConfigError("Fetch what? Give --study, --patient, --accession, --date or --list.")
    return [{keyword: value, **common} for keyword, value in dict.fromkeys(single)] or [common]


def _listed(table: Path) -> Iterator[tuple[str, str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = {COLUMNS.get("".join(filter(str.isalnum, name.lower()))): name for name in reader.fieldnames or ()}
            keyword = next((keyword for keyword in COLUMNS.values() if keyword in names), None)
            if keyword is None:
                raise ConfigError(f"{table} has none of the columns study_instance_uid, accession_number, patient_id.")
            for number, row in enumerate(reader, 1):
                if number > MAX_LISTED:
                    raise ConfigError(f"{table} has more than {count_of(MAX_LISTED, 'row')}. Divide it.")
                if value := (row[names[keyword]] or "").strip():
                    yield keyword, value
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a CSV file in UTF-8"
        raise ConfigError(f"{table} cannot be read: {reason}.") from error

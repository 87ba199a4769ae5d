"""`dicomprep preprocess DICOM_DIR`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dicomprep.cli.defaults import read_jobs
from dicomprep.cli.options import DEFAULTS, Db, Flag, Flat, MakeOptions
from dicomprep.cli.run import loading_workers, run_and_report
from dicomprep.config import DEFAULT_DB
from dicomprep.engines.options import EngineOptions
from dicomprep.errors import ConfigError
from dicomprep.storage.dicomweb_address import is_dicomweb, without_query
from dicomprep.storage.place import is_url

if TYPE_CHECKING:
    from dicomprep.config import Config
    from dicomprep.workspace import Workspace

__all__ = ["preprocess"]

MAX_WATCH_SECONDS = 86_400


def preprocess(  # noqa: PLR0913
    dicom_dir: Annotated[list[str] | None, Parameter(negative="")] = None,
    *,
    db: Db = DEFAULT_DB,
    make: Annotated[MakeOptions, Flat] = MakeOptions(),  # noqa: B008  (frozen)
    where: Annotated[EngineOptions, Flat] = DEFAULTS.where,
    strict: Flag = False,
    archives: bool = True,
    follow_links: Flag = False,
    prune: Flag = False,
    refetch: Flag = False,
    rerender: Flag = False,
    watch: float | None = None,
    test: Flag = False,
    json: Flag = False,
) -> int:
    """Turn DICOM files into images and database records, with hold-out splits assigned.

    Run it again when files have been added: only new and changed files are processed.

    Parameters
    ----------
    dicom_dir
        Directory containing DICOM files, an archive of them (.zip, .tar, .tar.gz …), s3://BUCKET/PREFIX
        (gs://, az://, https://), or "dicomweb+https://HOST/ROOT?StudyDate=…"; several may be given.
    strict
        Exit with 1 if any file failed.
    archives
        Open archives found in directories.
    follow_links
        Follow symbolic links whose targets lie in DICOM_DIR, as in data sets of DataLad and git-annex.
    prune
        Remove images and records of files that no longer exist.
    refetch
        Fetch again the instances of a DICOMweb server that are recorded already: it may have corrected them under the
        same UIDs. Only those that differ are processed.
    rerender
        Render images again where dicomprep.toml has other options than the data set was made with. Without this, a
        data set keeps its options until others are given on the command line.
    watch
        Search again every so many seconds for what has arrived, until interrupted.
    test
        Use the test directory samp_ds instead; created from pydicom's sample files if missing.
    json
        Print one JSON object for scripts on standard output, and everything else on standard error.

    """
    if json and watch is not None:
        raise ConfigError("--json describes a run that ends: give it without --watch.")
    if test:
        dicom_dir = [_samples()]
    if watch is not None and not 0 < watch <= MAX_WATCH_SECONDS:
        raise ConfigError(f"--watch {watch:g}: give seconds, up to a day's ({MAX_WATCH_SECONDS}).")
    if not dicom_dir:
        raise ConfigError("Which folder? Give DICOM_DIR, or --test for sample files.")
    if refetch and not any(map(is_dicomweb, dicom_dir)):
        raise ConfigError("--refetch is for dicomweb+https://… only: changes of other inputs are always noticed.")
    config = make.config(
        *dicom_dir,
        where=where,
        jobs=read_jobs([Path(one) for one in dicom_dir if not is_url(one)]) if where.cluster is not None else None,
        strict=strict,
        archives=archives,
        follow_links=follow_links,
        prune=prune,
        refetch=refetch,
    )
    with loading_workers(here=where.is_local):
        from dicomprep.workspace import Workspace

        workspace = Workspace.create(db, make.output_dir)
        if watch is not None:
            return _watch(workspace, config, watch)
        return run_and_report(workspace, config, None, None, json)


def _watch(workspace: "Workspace", config: "Config", seconds: float) -> int:
    from dicomprep.cli.console import printable
    from dicomprep.cli.rounds import run_rounds

    print(
        f"Watching {printable(', '.join(map(without_query, config.dicom_dir)))} every {seconds:g} s; Ctrl-C ends it.",
        flush=True,
    )
    run_rounds(workspace, config, seconds=seconds, idle="nothing new")
    return 0


def _samples() -> str:
    from dicomprep.cli.samples import make_samples

    folder = Path("samp_ds")
    if not folder.is_dir():
        make_samples(folder)
    return str(folder)

"""The command line: each command is a function, its options are the function's parameters."""

import os
import sys
import tomllib
from collections.abc import Iterable
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.argument import ArgumentCollection
from cyclopts.token import Token

from dicomprep.config import Budget, Config, ImageOptions, Splits
from dicomprep.errors import ConfigError, EnvironmentFault, ErrorCode, InputError, LabelError
from dicomprep.preloading import preload
from dicomprep.version import VERSION

__all__ = ["app", "main"]

app = App(
    name="dicomprep",
    version=VERSION,
    help_format="plaintext",
    help="Raw DICOM files in; training-ready images out.",
    suppress_keyboard_interrupt=False,
)

Flat = Parameter(name="*")
Flag = Annotated[bool, Parameter(negative="")]
DEFAULTS = Config(dicom_dir=Path())


@app.command
def preprocess(  # noqa: PLR0913
    dicom_dir: Path | None = None,
    *,
    output_dir: Path = DEFAULTS.output_dir,
    db: str = DEFAULTS.db,
    workers: int = DEFAULTS.workers,
    image: Annotated[ImageOptions, Flat] = DEFAULTS.image,
    splits: Annotated[Splits, Flat] = DEFAULTS.splits,
    budget: Annotated[Budget, Flat] = DEFAULTS.budget,
    strict: Flag = False,
    test: Flag = False,
) -> int:
    """Turn DICOM files into images and database records, with splits assigned.

    Run it again whenever files have been added: what is done already is not done twice.

    Parameters
    ----------
    dicom_dir
        Directory containing DICOM files.
    output_dir
        Output directory for thumbnails.
    db
        SQLite database path, or a postgresql:// URL.
    workers
        Number of parallel workers.
    strict
        Exit with 1 when any file failed.
    test
        Use the test directory samp_ds instead; it is made of pydicom's sample files if it is not there.

    """
    if test:
        dicom_dir = _samples()
    if dicom_dir is None:
        raise ConfigError("Which folder? Give DICOM_DIR, or --test for sample files.")
    config = Config(
        dicom_dir=dicom_dir,
        output_dir=output_dir,
        db=db,
        workers=workers,
        strict=strict,
        image=image,
        splits=splits,
        budget=budget,
    )
    return _run(config)


@app.command
def retry(
    *,
    db: str = DEFAULTS.db,
    code: list[ErrorCode] | None = None,
    workers: int = DEFAULTS.workers,
    timeout: float | None = None,
    max_memory: int | None = None,
) -> int:
    """Try failed files again, with the options of the last run.

    Parameters
    ----------
    db
        SQLite database path, or a postgresql:// URL.
    code
        Only files that failed for this reason; may be given several times.
    workers
        Number of parallel workers.
    timeout
        Seconds that a file may take without finishing a frame.
    max_memory
        Megabytes that a worker may use for one file.

    """
    from dicomprep.retrying import due_runs

    budget = {"timeout": timeout, "max_memory": max_memory}
    changes = {name: value for name, value in budget.items() if value is not None}
    worst = None
    for config, sources in due_runs(db, codes=code, workers=workers, changes=changes):
        worst = max(worst or 0, _run(config, sources))
    if worst is None:
        print("Nothing failed that could be tried again.")
    return worst or 0


@app.command
def status(*, db: str = DEFAULTS.db, failures: Flag = False) -> int:
    """Show what the database holds: inputs by state and reason, images by modality and split, the last runs.

    Parameters
    ----------
    db
        SQLite database path, or a postgresql:// URL.
    failures
        List every input that failed, with its reason.

    """
    from dicomprep.reporting import print_failures, print_status

    (print_failures if failures else print_status)(db)
    return 0


@app.command
def inspect(
    file: Path,
    *,
    image: Annotated[ImageOptions, Flat] = DEFAULTS.image,
    frame: int = 0,
    png: Path | None = None,
) -> int:
    """Explain what one file is, and which transform is applied and why.

    Parameters
    ----------
    file
        A DICOM file.
    frame
        Which frame, from 0.
    png
        Write the picture here instead of showing it in the terminal.

    """
    from dicomprep.reporting import print_inspection

    return print_inspection(file, image, frame_number=frame, png=png, max_bytes=DEFAULTS.budget.max_memory * 2**20)


@app.command
def label(
    *,
    db: str = DEFAULTS.db,
    classes: str = "normal,abnormal",
    annotator: str = "me",
    port: int = 5001,
) -> int:
    """Label the images in the browser, one key for each class.

    Parameters
    ----------
    db
        SQLite database path, or a postgresql:// URL.
    classes
        Names to choose from, separated by commas.
    annotator
        Whose labels these are.
    port
        Where the page is: http://127.0.0.1:PORT.

    """
    from dicomprep.web.serve import serve_labels

    serve_labels(db, classes=classes, annotator=annotator, port=port)
    return 0


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the command line and leave with the exit code of DESIGN §2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(arguments, exit_on_error=True)
    except (ConfigError, InputError, LabelError) as error:
        _leave(2, error)
    except EnvironmentFault as error:
        _leave(3, error)
    except KeyboardInterrupt:
        # An interrupt within exec(), as dataclasses use it when a module is loaded, makes the interpreter end itself
        # by SIGINT in place of the code given to sys.exit(), until another exec() succeeds.
        exec("")  # noqa: S102
        _leave(130, "Interrupted.")
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _leave(code: int, reason: object) -> None:
    from dicomprep.console import printable

    print(f"Error: {printable(str(reason))}", file=sys.stderr)
    sys.exit(code)


def _samples() -> Path:
    from dicomprep.samples import make_samples

    folder = Path("samp_ds")
    if not folder.is_dir():
        make_samples(folder)
    return folder


def _run(config: Config, sources: Any = None) -> int:  # noqa: ANN401
    preload()
    from dicomprep.console import ConsoleWatcher, print_summary
    from dicomprep.pipeline import run

    result = run(config, watcher=ConsoleWatcher(config.dicom_dir), sources=sources)
    if result.found == 0 and not result.interrupted:
        print("No DICOMs found. Exiting.")
        return 0
    print_summary(result)
    return result.exit_code


def _read_defaults(_app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Options that were not given come from `dicomprep.toml` beside the data or here, else from pyproject.toml."""
    if commands != ("preprocess",):
        return
    by_name = {name: argument for argument in arguments for name in argument.names if name.startswith("--")}
    folder = by_name["--dicom-dir"].tokens[0].value if by_name["--dicom-dir"].tokens else "."
    path, options = _find_defaults(Path(folder))
    for key, value in options.items():
        argument = by_name.get(f"--{key.replace('_', '-')}")
        if argument is None:
            raise ConfigError(f"{path}: there is no option {key}.")
        if not argument.tokens:
            argument.append(Token(keyword=f"--{key}", value=str(value), source=str(path)))


def _find_defaults(dicom_dir: Path) -> tuple[Path, dict[str, Any]]:
    for path in (dicom_dir / "dicomprep.toml", Path("dicomprep.toml"), Path("pyproject.toml")):
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        if path.name == "dicomprep.toml":
            return path, content
        return path, content.get("tool", {}).get("dicomprep", {})
    return dicom_dir, {}


app.config = [_read_defaults]

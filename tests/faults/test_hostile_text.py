"""Text in files that would be a path, a command to a terminal or a formula: it is only ever text."""

import warnings
from pathlib import Path

import pytest
from pydicom import dcmread

from dicomprep.errors import ErrorCode
from dicomprep.exchange.cells import neutral_cell
from dicomprep.models import Outcome
from tests.building import make_dicom
from tests.running import Place, cli, frames_of

HOSTILE = [
    "../../../escaped",
    "..\\..\\escaped",
    "/tmp/dicomprep-escaped/x",
    "~/escaped",
    "nul\0nul",
    "\x1b]0;owned\x07\x1b[2J",
    "\r\rover\x08written",
    "a\nb\tc",
    "\x9b31m",
    "=cmd|'/c calc'!A1",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "%s%n{0}",
    "'; DROP TABLE files; --",
    "$(touch escaped)",
    "<script>alert(1)</script>",
    "A" * 5000,
]

KEYWORDS = [
    *("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "PatientID", "IssuerOfPatientID"),
    *("SeriesDescription", "StudyDescription", "Modality", "PatientName", "PhotometricInterpretation", "RescaleType"),
    *("BodyPartExamined", "WindowCenterWidthExplanation", "PresentationLUTShape", "VOILUTFunction", "ImageType"),
]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "deep/er")


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def acted_upon(page: str) -> set[str]:
    """The characters that a terminal would act on, or that are no text."""
    return {c for c in page if not c.isprintable() and c not in "\n\t"}


def make_hostile(place: Place) -> list[Path]:
    """Every text in every attribute; transfer syntaxes and what is no DICOM too."""
    made: list[Path] = []
    with warnings.catch_warnings(action="ignore"):
        _make_hostile(place, made)
    return made


def _make_hostile(place: Place, made: list[Path]) -> None:
    for number, text in enumerate(HOSTILE):
        for keyword in KEYWORDS:
            path = place.source / f"{keyword}/{number}.dcm"
            made.append(make_dicom(path, frames_of(1, seed=len(made))[0], **{keyword: text}))
        path = make_dicom(place.source / f"syntax/{number}.dcm", frames_of(1)[0])
        dataset = dcmread(path)
        dataset.file_meta.MediaStorageSOPInstanceUID = text[:64]
        filler = str(dataset.file_meta.TransferSyntaxUID).encode()
        hostile = text.encode("latin-1")[: len(filler)].ljust(len(filler), b"\0")
        path.write_bytes(path.read_bytes().replace(filler, hostile, 1))
        made.append(path)


def test_text_in_files_names_nothing_and_moves_no_terminal(tmp_path: Path, place: Place) -> None:
    made = make_hostile(place)
    before = everything(tmp_path)
    options = ("--db", "x.db", "--output-dir", "out", "--size", "16")
    pages = [cli(place.base, "preprocess", "in", *options), cli(place.base, "preprocess", "in", *options)]
    ours = everything(tmp_path) - before
    allowed = ("deep/er/out", "deep/er/x.db")
    assert [path for path in ours if not path.startswith(allowed)] == []
    names = {path.split("/", 3)[3] for path in ours if path.count("/") > 2}
    assert {name.split("/")[0] for name in names} <= {*KEYWORDS, "syntax", ".dicomprep.lock", ".dicomprep.owner"}
    assert len(place.statuses()) == len(made)
    assert place.rows("SELECT count(*) FROM files WHERE error_code = 'internal'") == [0]
    pages += [cli(place.base, *words, "--db", "x.db") for words in (["status"], ["status", "--failures"], ["verify"])]
    assert pages[-1].returncode == 0
    for page in pages:
        assert acted_upon(page.stdout + page.stderr) == set()


def test_inspect_moves_no_terminal(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from dicomprep.cli.app import main

    for path in make_hostile(place):
        with pytest.raises(SystemExit):
            main(["inspect", str(path)])
        page = capsys.readouterr()
        assert acted_upon(page.out + page.err) == set(), path


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1", "'=1"])
def test_what_begins_a_formula_is_neutral(text: str) -> None:
    assert neutral_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "CHEST", "a=b", "1-2", " x"])
def test_other_text_stays(text: str) -> None:
    assert neutral_cell(text) == text


def test_status_failures_has_neutral_cells(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from dicomprep.database.writes.store import Store
    from dicomprep.models import Status, Task
    from dicomprep.splits import SplitRule, Splits
    from dicomprep.storage.local_source import LocalSource
    from dicomprep.storage.source import Version

    (place.base).mkdir(parents=True)
    store = Store(place.address)
    run_id = store.begin_run(version="1", root="=root", options={})
    task = Task(LocalSource("=root", "a.dcm", Version(1, 1)), "s", "s/a")
    outcome = Outcome(task, Status.FAILED, ErrorCode.CORRUPT_HEADER, "@SUM(A1)\tx")
    store.record([outcome], run_id=run_id, fingerprint="", rule=SplitRule(b"k" * 32, Splits(split="100/0/0")))
    store.close()
    done = cli(place.base, "status", "--failures", "--db", "x.db")
    assert done.stdout == "corrupt_header\t'=root/a.dcm\t'@SUM(A1)\\tx\n"

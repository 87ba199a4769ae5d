"""What is said of a data set as a whole: the same in runs, `status` and `audit`."""

from pathlib import Path

import pytest

from dicomprep.checks.audit.audit import audit
from dicomprep.pipeline.concerns import percentages
from tests.building import make_dicom
from tests.pipeline.test_duplicates import noise
from tests.running import Place, cli, set_labels


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def fill(place: Place, count: int, **values: str | None) -> None:
    for number in range(count):
        patient = {"patient_id": f"P{number}"} | values
        make_dicom(place.source / f"Fall {number}" / "a.dcm", noise(number), **patient)


def said_alike(place: Place, sentence: str, concerns: tuple[str, ...]) -> None:
    assert any(sentence in concern for concern in concerns)
    notes = [note for section in audit(place.workspace, near=False) for note in section.notes]
    assert any(sentence in note for note in notes)
    assert sentence in cli(place.base, "status", "--db", place.db).stdout


@pytest.mark.parametrize("values", [{"patient_id": "ANON_EXPORT"}, {"patient_id": None, "StudyInstanceUID": "1.2.3"}])
def test_one_group_that_holds_everything_is_said_by_all(place: Place, values: dict[str, str | None]) -> None:
    fill(place, 6, **values)
    said_alike(place, "All images (100 %) belong to one patient", place.run().concerns)


def test_splits_of_few_patients_are_named(place: Place) -> None:
    fill(place, 8)
    said_alike(place, "Splits with fewer than 5 patients: val", place.run(split="98/1/1").concerns)


def test_a_split_that_was_not_asked_for_may_be_empty(place: Place) -> None:
    fill(place, 8)
    assert place.run(split="100/0/0").concerns == ()


def test_patients_that_cannot_be_identified_are_said_in_percent(place: Place) -> None:
    fill(place, 2)
    make_dicom(place.source / "x" / "a.dcm", noise(20), patient_id=None, StudyInstanceUID="1.2.9")
    sentence = "1 group of 3 (33.3 %) without a usable Patient ID: grouped by study or folder, excluded from test"
    said_alike(place, sentence, place.run(split="100/0/0").concerns)


def correct_two_patients(place: Place) -> None:
    """Two labeled images are of a patient of another split, as their files say now."""
    fill(place, 12)
    place.run(split="50/0/50")
    rows = dict(place.rows("SELECT filename, split FROM images"))
    names = [name for name, split in rows.items() if split == "train"][:2]
    other = next(name for name, split in rows.items() if split == "test")
    set_labels(place, dict.fromkeys(names, "x"))
    theirs = f"P{other.split('/')[0].removeprefix('Fall ')}"
    for name in names:
        number = int(name.split("/")[0].removeprefix("Fall "))
        make_dicom(place.source / f"Fall {number}" / "a.dcm", noise(number), patient_id=theirs, PatientComments="new")


def test_labeled_images_that_change_their_split_are_counted(place: Place) -> None:
    correct_two_patients(place)
    said_alike(place, "2 labeled images moved to another split in the last run", place.run(split="50/0/50").concerns)
    later = place.run(split="50/0/50").concerns
    assert not any("moved to another split" in sentence for sentence in later)
    sentence = "2 labeled images moved to another split in earlier runs, last on 2"
    said_alike(place, sentence, (sentence,))


@pytest.mark.parametrize("command", ["retry", "verify --repair"])
def test_retry_and_repair_say_so_too(place: Place, command: str) -> None:
    correct_two_patients(place)
    if command == "retry":
        place.execute("UPDATE files SET status = 'failed', error_code = 'truncated'")
    else:
        for image in place.output.rglob("*.png"):
            image.unlink()
    done = cli(place.base, *command.split(), "--db", place.db)
    assert "2 labeled images moved to another split" in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("counts", [[1, 1, 1], [2, 2, 2], [0, 0, 7], [1, 6, 0], [999, 1, 1], [0, 0, 0]])
@pytest.mark.parametrize("digits", [0, 1, 2])
def test_percentages_add_up(counts: list[int], digits: int) -> None:
    shares = percentages(counts, digits=digits)
    assert round(sum(shares), 6) == (100 if sum(counts) else 0)
    assert all(
        abs(share - 100 * n / max(sum(counts), 1)) <= 10**-digits for share, n in zip(shares, counts, strict=True)
    )

"""A DICOMDIR is compared with the files of its medium: what is missing or not referenced is named, and nothing else."""

import random
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, generate_uid

from dicomprep.dicom.dicomdir import folded_reference, read_references
from tests.running import Place, cli, make_files

FILES = ("DICOM/ST1/IM1", "DICOM/ST1/IM2", "DICOM/ST2/IM1", "DICOM/Ä/IM1")


def make_dicomdir(path: Path, *references: str) -> None:
    """One whose records refer to these files."""
    whole = Dataset()
    whole.FileSetID = "DVD"
    whole.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    whole.DirectoryRecordSequence = []
    for name in references:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        record.ReferencedFileID = name.split("/")
        whole.DirectoryRecordSequence.append(record)
    whole.file_meta = FileMetaDataset()
    whole.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    whole.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole.SpecificCharacterSet = "ISO_IR 192"
    whole.save_as(path, enforce_file_format=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A DVD as disks show it: other capitals, a version, a period; two files too few, one too many, and a viewer."""
    place = Place(tmp_path)
    make_files(place.source, "dicom/st1/im1.;1", "dicom/ST1/IM2.", "DICOM/A\u0308/im1", "DICOM/ST9/extra")
    (place.source / "VIEWER.EXE").write_bytes(b"MZ")
    with pytest.warns(UserWarning, match="Invalid value"):
        make_dicomdir(place.source / "DICOMDIR", *FILES, "DICOM/ST3/IM7")
    return place


SAID = (
    "in/DICOMDIR: 2 of 5 referenced files are missing or not DICOM (DICOM/ST2/IM1, DICOM/ST3/IM7); "
    "1 DICOM file not referenced (DICOM/ST9/extra)."
)


def said(place: Place) -> list[str]:
    """As it is recorded."""
    return place.rows(
        "SELECT missing || ' ' || missing_names || ' ' || unreferenced || ' ' || unreferenced_names FROM dicomdirs"
    )


def test_what_is_missing_or_not_referenced_is_named(place: Place) -> None:
    done = cli(place.base, "preprocess", "in", "--db", "x.db", "--output-dir", "out", "--size", "16")
    assert SAID in " ".join(done.stdout.split())
    assert done.returncode == 0
    assert SAID in " ".join(cli(place.base, "status", "--db", "x.db").stdout.split())
    shutil.rmtree(place.source / "DICOM/ST9")
    make_files(place.source, "DICOM/ST2/IM1", "DICOM/ST3/IM7", seed=40)
    assert place.run(prune=True).concerns[-1:] != SAID
    assert "DICOMDIR" not in cli(place.base, "status", "--db", "x.db").stdout


def test_archives_of_a_medium_are_compared_alike(place: Place) -> None:
    place.run()
    expected = said(place)
    with zipfile.ZipFile(place.base / "dvd.zip", "w") as packed:
        for path in place.source.rglob("*"):
            packed.write(path, path.relative_to(place.source))
    with tarfile.open(place.base / "dvd.tar.gz", "w:gz") as tar:
        tar.add(place.source, "disc 1")
    for name in ("dvd.zip", "dvd.tar.gz"):
        other = Place(place.base / f"other {name}")
        other.base.mkdir()
        for _ in range(2):
            other.run(dicom_dir=place.base / name)
            assert said(other) == expected


@pytest.mark.parametrize("seed", range(3))
def test_a_broken_one_does_no_harm(place: Place, seed: int) -> None:
    content, noise = bytearray((place.source / "DICOMDIR").read_bytes()), random.Random(seed)
    for _ in range(200):
        broken = bytearray(content[: noise.randrange(len(content))])
        for _ in range(noise.randrange(20)):
            broken[noise.randrange(max(1, len(broken))) : 0] = noise.randbytes(3)
        read_references(bytes(broken))
    (place.source / "DICOMDIR").write_bytes(bytes(content[: len(content) * (seed + 1) // 4]))
    result = place.run()
    assert result.found == 5
    assert not any("not referenced" in sentence for sentence in result.concerns)


def test_names_are_compared_as_disks_show_them() -> None:
    assert folded_reference("Dicom/Ä/IM1.;1") == folded_reference("DICOM/A\u0308/im1")
    assert folded_reference("a/b1") != folded_reference("a/b")

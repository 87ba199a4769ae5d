"""One command, wherever it works and writes: this machine, Dask, and Dask with a bucket and a server's database."""

from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.corpus import CLASSES, write_file

from dicomprep.cli.samples import make_samples
from dicomprep.workspace import Workspace
from tests.faults.serving import ServedPlace, Server
from tests.running import Place
from tests.services.gateway import Gateway

KEY = f"{bytes(range(32)).hex()}\n"
VIEWS = (
    "SELECT filename, study_id, thumbnail_path, frame_number, split, modality, patient_key, width, height FROM images",
    "SELECT patient_key, split, study_key, series_key, instance_number, frame_number, slice_position_mm, modality,"
    " stack_position, image_orientation, body_part, recognisable_face, burned_in, burned_in_reasons FROM tags",
    "SELECT path, status, error_code, error_detail, frames, attempts FROM inputs",
    "SELECT filename, f.size, f.digest, f.source_digest, f.likeness, transform, files.digest, sop_instance_uid"
    " FROM frames f JOIN files ON files.id = f.file_id",
    "SELECT key, kind, split FROM groups",
)
"""All that is said of inputs, images and patients; ids and times are a run's own."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Sample files, good and bad, and a file of each class that speed is measured on."""
    folder = tmp_path / "Proben"
    make_samples(folder / "samples")
    for name, kind in CLASSES.items():
        write_file(kind, name, folder, number=0, frames=2 if name in ("us", "mr") else 1)
    return folder


def rows_of(place: Place) -> list[list[str]]:
    return [sorted(str([_plain(value) for value in row]) for row in place.rows(view)) for view in VIEWS]


def _plain(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value


def test_images_rows_and_splits_are_the_same(
    source: Path, tmp_path: Path, gateway: Gateway, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    local, dask = Place(tmp_path / "local"), Place(tmp_path / "dask")
    served = ServedPlace(tmp_path / "served", postgres, postgres.new_database())
    bucket = gateway.new_bucket()
    outputs = {local: local.output, dask: dask.output, served: f"s3://{bucket}/Bilder 1"}
    made: dict[Place, Callable[[], dict[str, bytes]]] = {
        local: local.images,
        dask: dask.images,
        served: lambda: {k: v for k, v in gateway.objects(bucket, "Bilder 1").items() if k.endswith(".png")},
    }
    for place, output in outputs.items():
        path = Workspace.create(place.db, output).key_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(KEY, encoding="ascii")
        path.chmod(0o600)
        place.run(dicom_dir=source, output_dir=output, engine="local" if place is local else "dask")
    local.check()
    expected, images = rows_of(local), local.images()
    assert len(images) > 100
    for place in (dask, served):
        assert made[place]() == images
        assert rows_of(place) == expected

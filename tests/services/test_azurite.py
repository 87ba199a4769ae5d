"""Images in a container of Azure: what a folder would hold, under one lock, read again, looked at and removed."""

from pathlib import Path

import pytest

import dicomprep
from dicomprep.checks.verify import Kind, verify
from dicomprep.errors import EnvironmentFault
from dicomprep.workspace import Workspace
from tests.running import Place, make_files
from tests.services.azurite import serving_blobs


def test_a_container_holds_what_a_folder_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local, remote = Place(tmp_path / "local"), Place(tmp_path / "remote")
    make_files(local.source, "Studie 1/Bild A.dcm", "頭部 CT/ä.dcm:3", "b.dcm")
    monkeypatch.setenv("DICOMPREP_CACHE", str(tmp_path / "cache"))
    with serving_blobs("pictures") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        local.run()
        remote.run(dicom_dir=local.source, output_dir="az://pictures/Bilder 1")
        images = remote.workspace.images
        assert {stat.name: images.read(stat.name) for stat in images.list()} == local.images()
        assert len(list(dicomprep.Dataset(remote.db))) == 5
        with remote.workspace.lock(), pytest.raises(EnvironmentFault, match="Another run is writing to az://"):
            Workspace.create(tmp_path / "other.db", "az://pictures/Bilder 1").lock().__enter__()
        images.remove([min(local.images()), "gone/already.png"])
        assert verify(remote.workspace).counts == {Kind.MISSING: 1}

"""Masks, dose grids, maps and scouts are rendered and verified, and in nobody's way."""

import io
from contextlib import redirect_stdout
from typing import Any

import pytest

import dicomprep
from dicomprep import ConfigError
from dicomprep.cli.summary import print_summary
from dicomprep.database.connection import connect, write_meta
from dicomprep.database.migrations import MIGRATIONS
from dicomprep.database.queries.counts import count_by, count_frames, count_rendered
from dicomprep.database.queries.frames import Choice
from dicomprep.database.writes.store import Store
from dicomprep.exchange.options import ExportOptions
from dicomprep.training.tables import frames
from dicomprep.web.catalogue_sync import CatalogueUpdater
from tests.building import make_dicom
from tests.running import Place

STORAGE = "1.2.840.10008.5.1.4.1.1"
FILES: dict[str, dict[str, Any]] = {
    "picture": {"Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]},
    "mip": {"Modality": "CT", "SeriesInstanceUID": "1.2.3.4", "ImageType": ["DERIVED", "SECONDARY", "MIP"]},
    "scout": {"Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    "mask": {"Modality": "SEG", "SOPClassUID": f"{STORAGE}.66.4"},
    "dose": {"Modality": "RTDOSE", "SOPClassUID": f"{STORAGE}.481.2"},
    "map": {"Modality": "MR", "SOPClassUID": f"{STORAGE}.30"},
    "label": {"Modality": "SM", "ImageType": ["ORIGINAL", "PRIMARY", "LABEL"]},
}


@pytest.fixture
def place(any_place: Place) -> Place:
    for number, (name, attributes) in enumerate(FILES.items()):
        make_dicom(any_place.source / "s" / f"{name}.dcm", seed=number, PatientID=f"P{number}", **attributes)
    return any_place


def names(place: Place, view: str) -> set[str]:
    return {name.rpartition("/")[2] for name in place.rows(f"SELECT filename FROM {view}")}


def test_every_kind_has_its_place(place: Place) -> None:
    result = place.run()
    assert names(place, "images") == {"picture", "mip", "label"}
    assert (names(place, "masks"), names(place, "dose_grids"), names(place, "maps")) == ({"mask"}, {"dose"}, {"map"})
    assert names(place, "all_images") == names(place, "tags JOIN all_images USING (id)") == set(FILES)
    assert (result.total_frames, result.set_apart) == (3, {"dose": 1, "localizer": 1, "map": 1, "mask": 1})
    assert result.exit_code == 0
    place.check()

    assert {record.filename.rpartition("/")[2] for _, _, record in dicomprep.Dataset(place.workspace)} == {
        "picture",
        "mip",
    }
    assert len(dicomprep.Dataset(place.workspace, kind="all")) == len(FILES)
    assert set(frames(place.workspace, kind=("mask", "localizer"))["kind"]) == {"mask", "localizer"}
    assert set(frames(place.workspace, where="kind IN ('mask', 'mip')")["kind"]) == {"mask"}
    assert set(frames(place.workspace, where="filename <> 'kind'")["kind"]) == {"original", "derived"}
    with pytest.raises(ConfigError, match="--kind picture: choose from original, localizer"):
        ExportOptions(kind=("picture",)).choice()

    with place.workspace.reading() as connection:
        assert count_by(connection, "kind")["mask"] == 1
        assert sum(count_by(connection, "split").values()) == count_frames(connection) == 3
        assert "SEG" not in count_by(connection, "modality")
        assert count_rendered(connection) == len(FILES)

    shown = io.StringIO()
    with redirect_stdout(shown):
        print_summary(result, label="", program="dicomprep", given="")
    assert "4 images set apart by kind (not in `images`): 1 dose, 1 localizer, 1 map, 1 mask" in shown.getvalue()


def test_the_queue_has_what_is_asked_for(place: Place) -> None:
    place.run()
    for wanted, expected in (
        (Choice(), {"picture", "mip"}),
        (Choice(kind=("mask",)), {"mask"}),
        (Choice(kind=("all",)), set(FILES)),
        (Choice(where="kind = 'original' AND split <> ''"), {"picture"}),
        (Choice(series="modality = 'CT' AND kind = 'derived'"), {"mip"}),
        (Choice(), {"picture", "mip"}),
    ):
        store, reader = Store(place.address), connect(place.address, must_exist=True)
        CatalogueUpdater(store, reader, wanted).catch_up()
        store.close()
        reader.dispose()
        assert names(place, "all_images JOIN catalogue ON catalogue.frame_id = all_images.id") == expected


def test_a_data_set_of_an_earlier_release_is_upgraded(place: Place) -> None:
    """As schema 16 had it: what SOP Classes tell is known at once, and the next run reads the headers."""
    engine = connect(place.address)
    with engine.begin() as connection:
        if engine.name == "postgresql":  # these places have the newest tables
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        for step in MIGRATIONS[:16]:
            step(connection)
        write_meta(connection, "schema_version", "16")
        connection.exec_driver_sql(_EARLIER_RUN)
        connection.exec_driver_sql("INSERT INTO groups (id, key, kind, split) VALUES (1, 'k', 'patient', 'train')")
        for number, name in enumerate(FILES, 1):
            sop_class_uid = FILES[name].get("SOPClassUID", f"{STORAGE}.2")
            connection.exec_driver_sql(_EARLIER_FILE.format(number=number, name=name, uid=sop_class_uid))
            connection.exec_driver_sql(_EARLIER_FRAME.format(number=number, name=name, digest=_ZEROS[engine.name]))
    Store(place.address).close()
    engine.dispose()
    assert names(place, "images") == {"picture", "mip", "scout", "label"}
    assert (names(place, "masks"), names(place, "dose_grids"), names(place, "maps")) == ({"mask"}, {"dose"}, {"map"})
    assert place.rows("SELECT count(*) FROM files WHERE header_due = 1") == [len(FILES)]
    with place.workspace.reading() as connection:
        assert count_by(connection, "kind") == {"dose": 1, "map": 1, "mask": 1}
        assert (count_frames(connection), count_rendered(connection)) == (4, len(FILES))
    place.execute("UPDATE files SET kind = 'localizer' WHERE name = 's/scout'")
    with place.workspace.reading() as connection:
        assert count_by(connection, "kind") == {"dose": 1, "localizer": 1, "map": 1, "mask": 1}
        assert count_frames(connection) == 3


_EARLIER_RUN = """INSERT INTO runs
    (id, started_at, version, root, options, interrupted, found, processed, unchanged, other_files, frames, seconds)
    VALUES (1, 'x', '0', '/in', '{}', 0, 7, 7, 0, 0, 7, 1)"""
_EARLIER_FILE = """INSERT INTO files
    (id, root, path, size, mtime_ns, digest, fingerprint, study_id, name, status, frame_count, frames, attempts,
    run_id, group_id, sop_class_uid, modality)
    VALUES ({number}, '/in', 's/{name}.dcm', 1, 1, '', 'f', 's', 's/{name}', 'done', 1, 1, 1, 1, 1, '{uid}', 'CT')"""
_EARLIER_FRAME = """INSERT INTO frames
    (id, file_id, frame_number, filename, thumbnail_path, width, height, size, digest, transform)
    VALUES ({number}, {number}, 0, 's/{name}', 's/{name}.png', 1, 1, 1, {digest}, '{{}}')"""
_ZEROS = {"sqlite": "zeroblob(16)", "postgresql": "decode('00', 'hex')"}


def test_nothing_but_masks_is_no_failure(any_place: Place) -> None:
    make_dicom(any_place.source / "s" / "mask.dcm", **FILES["mask"])
    result = any_place.run()
    assert (result.total_frames, result.exit_code) == (0, 0)


def test_headers_of_known_files_are_read_again_and_nothing_is_drawn(place: Place) -> None:
    place.run()
    before = place.rows("SELECT filename, digest, since_run FROM frames ORDER BY id")
    known = place.rows("SELECT path, kind, kind_reason, image_type, study_key FROM files ORDER BY path")
    cleared = ", ".join(f"{name} = NULL" for name in ("kind", "kind_reason", "image_type"))
    place.execute(f"UPDATE files SET header_due = 1, {cleared} WHERE path NOT LIKE '%dose%'")
    stamps = {path: (place.output / path).stat().st_mtime_ns for path in place.images()}

    result = place.run()
    assert (result.headers, result.processed, result.unchanged) == (len(FILES) - 1, 0, len(FILES))
    assert place.rows("SELECT filename, digest, since_run FROM frames ORDER BY id") == before
    assert place.rows("SELECT path, kind, kind_reason, image_type, study_key FROM files ORDER BY path") == known
    assert place.rows("SELECT count(*) FROM files WHERE header_due IS NOT NULL") == [0]
    assert {path: (place.output / path).stat().st_mtime_ns for path in place.images()} == stamps
    place.check()
    assert place.run().headers == 0


def test_a_file_that_is_gone_or_changed_waits_for_no_header(place: Place) -> None:
    place.run()
    place.execute("UPDATE files SET header_due = 1, kind = NULL")
    (place.source / "s" / "mip.dcm").unlink()
    make_dicom(place.source / "s" / "scout.dcm", seed=99, PatientID="P2", **FILES["scout"])
    result = place.run()
    assert (result.headers, result.processed) == (len(FILES) - 2, 1)
    assert place.rows("SELECT path FROM files WHERE header_due IS NOT NULL") == ["s/mip.dcm"]

"""Reads of the viewer on every database."""

from dicomprep.database.queries.viewing import find_series_of_patient, find_slices
from dicomprep.database.writes.catalogue import add_images
from tests.building import make_dicom
from tests.running import Place, frames_of


def test_slices_and_series_are_found_on_every_database(any_place: Place) -> None:
    for series, count in (("1.5", 3), ("1.6", 2)):
        for number in range(count):
            where = {"ImagePositionPatient": [0, 0, -number], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
            more = {"SeriesInstanceUID": series, "InstanceNumber": number + 1} | where
            pixels = frames_of(1, seed=10 * count + number)[0]
            make_dicom(any_place.source / series / f"{number}.dcm", pixels, patient_id="Ünal", **more)
    any_place.run()
    with any_place.workspace.writing() as store, store.transaction() as connection:
        add_images(connection)
    names = dict(any_place.rows("SELECT id, filename FROM images"))
    (frame,) = any_place.rows("SELECT id FROM images WHERE filename = '1.5/0'")
    with any_place.workspace.reading() as connection:
        found = find_slices(connection, frame)
        series = find_series_of_patient(connection, frame)
        assert find_slices(connection, 10**6) is None
        assert find_series_of_patient(connection, 10**6) == []
    assert found is not None
    assert [names[one.id] for one in found.slices] == ["1.5/2", "1.5/1", "1.5/0"]
    assert (found.at, [one.position_mm for one in found.slices]) == (2, [-2, -1, 0])
    assert sorted((one.images, one.is_own) for one in series) == [(2, False), (3, True)]

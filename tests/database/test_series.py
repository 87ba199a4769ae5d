"""The view `series`: what is derived, kept up to date by whatever changes it, and asked for by conditions."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import generate_uid

import dicomprep
from dicomprep import ConfigError, ExportError
from dicomprep.database.queries.series_list import Purpose, SeriesRow, best_series, find_series
from dicomprep.database.series_schema import series
from dicomprep.database.writes.releases import add_releases, hold_back
from dicomprep.database.writes.series import mark_all_series, refresh_series
from dicomprep.exchange.options import ExportOptions
from dicomprep.training.tables import frames
from tests.building import make_dicom
from tests.running import Place, cli

AXIAL: list[float]
CORONAL: list[float]
SAGITTAL: list[float]
AXIAL, CORONAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]
CT = {"Modality": "CT", "Manufacturer": "SIEMENS", "WindowCenter": 40, "WindowWidth": 400, "PixelSpacing": [0.5, 0.5]}
MR = {"Modality": "MR", "WindowCenter": 500, "WindowWidth": 1000, "PixelSpacing": [0.5, 0.5]}
SOFT, BONE = {**CT, "ConvolutionKernel": "B31f"}, {**CT, "ConvolutionKernel": "H60s"}


def normal(plane: list[float]) -> Any:
    return np.cross(plane[:3], plane[3:])


def slices(count: int, plane: list[float], said: dict[str, Any], *, step: float = 2.0, **more: Any) -> list[Any]:
    places = [[float(part) for part in step * number * normal(plane)] for number in range(count)]
    return [{**said, "ImageOrientationPatient": plane, "ImagePositionPatient": place, **more} for place in places]


SERIES: dict[str, list[dict[str, Any]]] = {
    "soft": slices(4, AXIAL, SOFT, SliceThickness=2, ContrastBolusAgent="Ultravist"),
    "thin": slices(8, AXIAL, SOFT, step=1.0, SliceThickness=1),
    "bone": slices(4, AXIAL, BONE, SliceThickness=2),
    "coronal": slices(3, CORONAL, SOFT),
    "scout": slices(1, SAGITTAL, CT, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    "gap": [one for number, one in enumerate(slices(7, AXIAL, SOFT)) if number not in (3, 4)],
    "echoes": [
        {**one, "EchoTime": echo, "RepetitionTime": 3000, "ScanningSequence": "SE"}
        for echo in (15, 90)
        for one in slices(3, AXIAL, MR)
    ],
    "diffusion": [
        {**one, "DiffusionBValue": b, "ScanningSequence": "SE", "RepetitionTime": 4000, "EchoTime": 80}
        for b in (0.0, 800.0)
        for one in slices(3, AXIAL, MR)
    ],
    "times": [{**one, "TemporalPositionIdentifier": time} for time in (1, 2, 3) for one in slices(2, AXIAL, MR)],
    "cine": [{**one, "TriggerTime": time} for time in (0, 40) for one in slices(2, AXIAL, MR, AcquisitionNumber=1)],
    "bold": [
        {**one, "TriggerTime": 500 * time, "AcquisitionNumber": time}
        for time in (1, 2)
        for one in slices(2, AXIAL, MR, ScanningSequence=["EP", "GR"], RepetitionTime=2000, EchoTime=30)
    ],
    "flair": slices(3, SAGITTAL, MR, SeriesDescription="SAG T2 FLAIR"),
    "mixed": [*slices(1, AXIAL, MR), *slices(1, SAGITTAL, MR)],
    "plain": [{"Modality": "CR", "BodyPartExamined": "CHEST"}],
    "places": [{**MR, "InstanceNumber": 1}] * 2,
}
STUDIES = {"flair": "head", "diffusion": "head", "echoes": "head", "plain": "chest"}


def uid_of(name: str) -> str:
    return str(generate_uid(entropy_srcs=[name]))


def write(place: Place, name: str, images: list[dict[str, Any]], *, first: int = 0) -> None:
    for number, said in enumerate(images, first):
        seed = sum(map(ord, name)) * 1000 + number
        pixels = np.random.default_rng(seed).integers(0, 4000, (32, 32), dtype=np.uint16)
        study = STUDIES.get(name, "body")
        numbered: dict[str, Any] = {
            "InstanceNumber": number + 1,
            "StudyInstanceUID": uid_of(study),
            "SeriesInstanceUID": uid_of(name),
        }
        make_dicom(place.source / name / f"{number}.dcm", pixels, patient_id=study, **(numbered | said))


@pytest.fixture
def place(any_place: Place) -> Place:
    for name, images in SERIES.items():
        write(any_place, name, images)
    any_place.run()
    return any_place


def facts(place: Place, *names: str) -> dict[str, Any]:
    columns = [series.c[name] for name in names] if names else list(series.c)
    with place.workspace.reading() as connection:
        of_files = connection.exec_driver_sql("SELECT DISTINCT series_key, series_instance_uid FROM files")
        keys = {str(key): str(uid) for key, uid in of_files}
        rows = {
            row[0]: tuple(row)[1:]
            for row in connection.execute(series.select().with_only_columns(series.c[0], *columns))
        }
    by_uid = {uid_of(name): name for name in SERIES}
    return {by_uid[keys[key]]: row[0] if len(names) == 1 else row for key, row in rows.items()}  # fmt: skip


def key_of(place: Place, name: str) -> str:
    with place.workspace.reading() as connection:
        found = connection.exec_driver_sql(f"SELECT series_key FROM files WHERE series_instance_uid = '{uid_of(name)}'")
        return str(found.scalars().first())


def require_one_verdict(place: Place) -> None:
    """The view says what `dicomprep.volume` does."""
    for name, said in facts(place, "volume").items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                dicomprep.volume(uid_of(name), db=place.workspace)
                found = "yes"
            except ExportError:
                found = "no"
        assert (name, said) == (name, found)


def require_current(place: Place) -> None:
    """Made again from nothing, the facts are the same."""
    before = facts(place)
    with place.workspace.writing() as store:
        with store.transaction() as connection:
            mark_all_series(connection)
        refresh_series(store)
    assert facts(place) == before


def test_what_is_derived_of_a_series(place: Place) -> None:
    found = facts(place, "kind", "images", "slices", "plane", "spacing_mm", "gaps", "volume")
    assert found == {
        "soft": ("original", 4, 4, "axial", 2, 0, "yes"),
        "thin": ("original", 8, 8, "axial", 1, 0, "yes"),
        "bone": ("original", 4, 4, "axial", 2, 0, "yes"),
        "coronal": ("original", 3, 3, "coronal", 2, 0, "yes"),
        "scout": ("localizer", 1, 1, "sagittal", None, None, "yes"),
        "gap": ("original", 5, 5, "axial", 2, 1, "no"),
        "echoes": ("original", 6, 6, "axial", 2, 0, "no"),
        "diffusion": ("original", 6, 6, "axial", 2, 0, "no"),
        "times": ("original", 6, 6, "axial", 2, 0, "no"),
        "cine": ("original", 4, 4, "axial", 2, 0, "no"),
        "bold": ("original", 4, 4, "axial", 2, 0, "no"),
        "flair": ("original", 3, 3, "sagittal", 2, 0, "yes"),
        "mixed": ("original", 2, 2, "unknown", None, None, "no"),
        "plain": ("original", 1, 1, "unknown", None, None, "yes"),
        "places": ("original", 2, 2, "unknown", None, None, "no"),
    }
    uses = facts(place, "kernel", "contrast", "weighting")
    assert (uses["soft"], uses["bone"]) == (("soft", "yes", None), ("bone", "unknown", None))
    assert (uses["flair"], uses["diffusion"]) == ((None, "unknown", "FLAIR"), (None, "unknown", "DWI"))
    assert (uses["echoes"][2], uses["plain"]) == ("unknown", (None, None, None))
    assert facts(place, "weighting_reason")["echoes"] == "images differ: PD 3, T2 3"
    assert facts(place, "phases")["cine"] == 2
    divided = facts(place, "echoes", "time_points", "b_values", "divisions_reason")
    assert divided["echoes"] == (2, 1, None, "Echo Time: 2")
    assert divided["diffusion"] == (1, 1, "0\\800", "Diffusion B-value: 2")
    assert divided["times"] == (1, 3, None, "Temporal Position: 3")
    assert divided["bold"] == (1, 2, None, "Acquisition Number: 2")
    assert divided["soft"] == (1, 1, None, "undivided")
    assert all(reason and "/" not in reason for reason in facts(place, "volume_reason").values())
    require_one_verdict(place)
    require_current(place)


def test_later_runs_keep_it_up_to_date(place: Place) -> None:
    write(place, "gap", slices(5, AXIAL, SOFT)[3:5], first=10)
    (place.source / "thin" / "4.dcm").unlink()
    broken = place.source / "bone" / "1.dcm"
    broken.write_bytes(broken.read_bytes()[:-1500])
    write(place, "coronal", [{**SERIES["coronal"][0], "ImageOrientationPatient": AXIAL}])
    place.run(prune=True)
    volumes = facts(place, "slices", "volume", "volume_reason")
    assert volumes["gap"] == (7, "yes", "by position")
    assert volumes["thin"][:2] == (7, "no")
    assert volumes["bone"][1] == "no"
    assert facts(place, "plane", "plane_reason")["coronal"] == ("unknown", "images differ: axial 1, coronal 2")
    require_one_verdict(place)
    require_current(place)

    for path in (place.source / "flair").iterdir():
        path.unlink()
    place.run(prune=True)
    assert "flair" not in facts(place, "volume")


def test_held_images_make_no_volume_until_they_are_released(place: Place) -> None:
    workspace, reason = place.workspace, "images are held back for suspected burned-in text"
    key = key_of(place, "soft")
    with workspace.writing() as store:
        with store.transaction() as connection:
            ids = f"SELECT frames.id FROM frames JOIN files ON files.id = file_id WHERE series_key = '{key}'"
            held = connection.exec_driver_sql(ids).scalars().first()
            connection.exec_driver_sql(f"UPDATE frames SET burned_in = 'high' WHERE id = {held}")
        hold_back(store, on=True)
        assert workspace.refresh_series()
        assert facts(place, "volume_reason")["soft"] == reason
        require_one_verdict(place)
        assert held is not None
        add_releases(store, [held], person="me")
    assert workspace.refresh_series()
    assert facts(place, "volume")["soft"] == "yes"
    require_one_verdict(place)


def test_series_are_chosen_by_conditions_and_keys(place: Place) -> None:
    axial = "plane = 'axial' AND kernel = 'soft' AND volume = 'yes' AND slices > 1"
    chosen = dicomprep.Dataset(place.workspace, series=axial)
    assert {record.filename.partition("/")[0] for _, _, record in chosen} == {"soft", "thin"}
    keys = [key_of(place, "bone")]
    assert len(dicomprep.Dataset(place.workspace, series=keys)) == 4
    assert len(dicomprep.Dataset(place.workspace, series=keys, where="plane = 'coronal'")) == 0
    assert len(frames(place.workspace, series=axial)) == len(chosen) == 12
    assert len(frames(place.workspace, where="weighting = 'FLAIR' AND plane = 'sagittal'")) == 3
    with pytest.raises(ConfigError, match="no column color"):
        ExportOptions(series="color = 'red'").choice()


def test_the_best_series_of_a_study(place: Place) -> None:
    with place.workspace.reading() as connection:
        rows = find_series(connection, None)
    names = {key_of(place, name): name for name in SERIES}

    def best(text: str) -> dict[str, str]:
        purpose = Purpose.parse(text, modalities=("CT", "MR", "CR"), body_parts=("CHEST",))
        found = best_series(rows, purpose)
        return {names[one.series.series_key]: one.why for one in found if one.series is not None}

    why = "original, a volume, plane axial, kernel soft, 8 slices, 1 mm; of 3 that may serve"
    assert best("CT axial soft") == {"thin": why}
    assert list(best("CT bone")) == ["bone"]
    assert list(best("CT soft contrast")) == ["soft"]
    assert list(best("flair")) == ["flair"]
    assert list(best("CR chest")) == ["plain"]
    for wrong in ("CT axail", "axial sagittal"):
        with pytest.raises(ConfigError, match="--best"):
            best(wrong)


def test_ties_are_always_decided_alike() -> None:
    plain = dict.fromkeys(SeriesRow._fields)
    common = {"kind": "original", "modality": "CT", "volume": "yes", "slices": 9, "study_key": "s", "images": 9}
    rows = [SeriesRow(**(plain | common | {"series_key": key, "plane": "axial"})) for key in "bca"]  # type: ignore[arg-type]
    for order in (rows, rows[::-1]):
        (best,) = best_series(order, Purpose(modality="CT", plane="axial"))
        assert best.series is not None
        assert best.series.series_key == "a"


def test_the_command_lists_them_in_80_columns(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for name in ("soft", "bone", "scout", "flair"):
        write(place, name, SERIES[name])
    place.run()
    done = cli(place.base, "series", "--db", "x.db", "--where", "modality = 'CT'")
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert max(map(len, lines)) <= 80
    assert sum("volume" in line for line in lines) == 2
    assert any("localizer" in line for line in lines)
    assert "Series by plane" in lines
    done = cli(place.base, "series", "--db", "x.db", "--best", "CT axial soft")
    assert "kernel soft, 4 slices" in done.stdout
    assert "1 of 2 studies have such a series." in done.stdout

"""The cohort table: the same on the overview, in the report and on the data card."""

import re
from html import unescape
from statistics import median

import pytest

from dicomprep.exchange.cohort import Cohort, Subject
from dicomprep.web import cohorts
from dicomprep.web.guard import ServerAddress
from dicomprep.web.site import LabelSettings, PageContext
from tests.building import make_dicom
from tests.pages import serving
from tests.running import Place, cli, frames_of, set_labels

AGES = {"p1": "040Y", "p2": "055Y", "p3": "", "p4": "071Y"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("cohort"))
    for number, (patient, age) in enumerate(AGES.items()):
        made = {"Manufacturer": "GE MEDICAL SYSTEMS", "PatientSex": "FM"[number % 2], "BodyPartExamined": "CHEST"}
        made |= {"PatientAge": age} if age else {}
        place_of = place.source / f"{patient}.dcm"
        make_dicom(place_of, frames_of(number + 1, seed=number), patient_id=patient, PixelSpacing=[0.5, 0.5], **made)
    place.run()
    set_labels(place, dict.fromkeys(place.rows("SELECT filename FROM images LIMIT 3"), "abnormal"))
    return place


def lines_of(html: str) -> dict[str, list[str]]:
    """The lines of the table: name, cells."""
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', html)
    return {name: re.findall(r"<td>(.*?)</td>", cells) for name, cells in rows}


def test_the_table_is_that_of_the_database_on_page_report_and_card(place: Place) -> None:
    with serving(place) as pages:
        html = pages.ask("GET", "/overview")[1].decode()
        assert pages.get("/overview/state") == {"counted": True}
    lines = lines_of(html)
    assert lines["Patients"][-1] == "4"
    assert lines["Images"][-1] == "10"
    ages = place.rows("SELECT DISTINCT patient_age FROM tags WHERE patient_age IS NOT NULL")
    assert lines["Age (years), median (IQR)"][-1].startswith(f"{median(ages):g} (")
    assert lines["female"][-1] == "2 (50.0)"
    assert lines["Pixel spacing (mm), median (IQR)"][-1] == "0.5 (0.5–0.5)"
    assert place.rows("SELECT DISTINCT manufacturer FROM tags") == ["GE MEDICAL SYSTEMS"]
    assert lines["GE"][-1] == "10 (100.0)"
    assert lines["abnormal"][-1] == "3 (30.0)"
    assert lines["unlabeled"][-1] == "7 (70.0)"
    splits = place.rows("SELECT split, count(*) FROM images GROUP BY split")
    names = re.findall(r'class="swatch tone-\w+">(\w+)</th>', html)
    assert dict(zip(names, map(int, lines["Images"]), strict=False)) == dict(splits)
    for modality in place.rows("SELECT DISTINCT modality FROM images"):
        assert f'<a href="./gallery?modality={modality}" aria-label="{modality}: 10">' in html
    report, export = place.base / "report.html", place.base / "export"
    assert cli(place.base, "report", report, "--db", place.db).returncode == 0
    assert lines_of(report.read_text()) == lines
    assert "href" not in report.read_text()
    assert cli(place.base, "export", "csv", export, "--db", place.db).returncode == 0
    card = (export / "README.md").read_text()
    card = card.replace("\\", "").replace("&lt;", "<").replace("&gt;", ">")
    for name, cells in lines.items():
        assert f"| {unescape(name)} | {' | '.join(cells)} |" in card.replace("\n| – ", "\n| "), name


def test_a_label_is_in_the_table_of_the_next_page(place: Place) -> None:
    with serving(place) as pages:
        before = lines_of(pages.ask("GET", "/overview")[1].decode())["unlabeled"][-1]
        (frame,) = pages.next(limit=1)
        assert pages.post("/label", frame=frame, label="abnormal") != 400
        after = lines_of(pages.ask("GET", "/overview")[1].decode())["unlabeled"][-1]
        pages.post("/undo")
    assert int(before.split()[0]) == int(after.split()[0]) + 1


def test_images_are_counted_in_short_transactions(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohorts, "BLOCK_IDS", 3)
    context = PageContext(place.workspace, LabelSettings(), ServerAddress())
    try:
        context.catalogue.catch_up()
        cohort = cohorts.count_cohort(context)
    finally:
        context.close()
    assert (sum(cohort.images.values()), sum(map(len, cohort.patients.values()))) == (10, 4)


def test_medians_are_those_of_all_values_and_the_rarest_stand_together() -> None:
    cohort = Cohort()
    for number in range(20):
        age = None if number == 19 else 30 + number % 7
        cohort.add(Subject("train", number, age, None, None, f"part {number:02}", 0.1 * (1 + number % 3), "a,b"), 1)
    rows = {row.name: row.cells[-1] for row in cohort.rows() if row.cells}
    assert rows["Age (years), median (IQR)"] == "33 (31–34)"  # as numpy has them: 33, 31, 34.5 of 19 would differ
    assert rows["9 others"] == "9 (45.0)"
    assert rows["a"] == rows["b"] == "20 (100.0)"
    assert "not stated" in rows

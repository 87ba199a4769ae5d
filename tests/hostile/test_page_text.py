"""What a file says of a person is on no page unless it is asked for."""

import re
from collections.abc import Iterator

import pytest
from pydicom.datadict import dictionary_VR
from starlette.routing import Route

from dicomprep.dicom import displayable
from dicomprep.web.connections import ConnectionLimits
from dicomprep.web.guard import ServerAddress
from tests.building import make_dicom
from tests.hostile.serving_pages import served_pages
from tests.pages import Pages, free_port
from tests.privacy.test_canaries import NEEDLE, rewrite
from tests.running import Place, frames_of

TELEPHONE = "9370425551212"
CANARIES = {"Manufacturer": "QZXKANARY", "ConvolutionKernel": "QZXKANARY", "ContrastBolusAgent": "QZXKANARY"}
NUMBERS = ("KVP", "EchoTime", "FlipAngle", "ExposureTime", "InstanceNumber", "CineRate", "SpacingBetweenSlices")
TERMS = ("ScanningSequence", "SequenceVariant", "RescaleType", "Units", "BurnedInAnnotation", "PatientOrientation")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pages, list[str]]]:
    """Pages over files that hold canaries wherever there is room for one, and the routes that can be read."""
    place = Place(tmp_path_factory.mktemp("text"))
    for number in (1, 2):
        make_dicom(place.source / f"{number}.dcm", frames_of(1, seed=number)[0], patient_id=f"P{number}")
    texts = dict.fromkeys(TERMS, "QZXKANARY") | CANARIES
    rewrite(place.source / "1.dcm", **texts, **dict.fromkeys(NUMBERS, TELEPHONE))
    rewrite(place.source / "2.dcm", PhotometricInterpretation="QZXKANARY X")
    place.run()
    assert sorted(place.statuses().values()) == [("done", None), ("failed", "unsupported_pixels")]
    address = ServerAddress(port=free_port())
    with served_pages(place, ConnectionLimits(), address) as server:
        routes = [route for route in server.config.loaded_app.app.routes if isinstance(route, Route)]
        read = [re.sub(r"\{.*?\}", "{}", route.path) for route in routes if "GET" in (route.methods or ())]
        yield Pages(place, address.port), read


def test_no_page_says_what_a_header_says_of_a_person(pages: tuple[Pages, list[str]]) -> None:
    asking, read = pages
    answered = 0
    for path in read:
        for number in (1, 2):
            status, content = asking.ask("GET", path.format(number))
            answered += status == 200
            assert not (found := NEEDLE.search(content)), (path, content[max(0, found.start() - 200) : found.end()])
            assert TELEPHONE.encode() not in content, path
    assert answered > len(read)


def test_terms_and_numbers_are_shown_and_the_rest_when_asked(pages: tuple[Pages, list[str]]) -> None:
    asking, _ = pages
    (frame,) = asking.place.rows("SELECT id FROM images")
    shown = {name: value for _, name, value in asking.get(f"/original/{frame}/tags")}
    assert (shown["Bits Stored"], shown["SOP Class UID"]) == ("8", "Secondary Capture Image Storage")
    assert shown["Photometric Interpretation"] == "MONOCHROME2"
    everything = asking.ask("GET", f"/original/{frame}/tags?all=1")[1]
    assert NEEDLE.search(everything)
    assert TELEPHONE.encode() in everything


def test_every_attribute_that_is_shown_is_of_a_kind_that_is_checked() -> None:
    for keyword in displayable.NUMBERS:
        assert set(dictionary_VR(keyword).split(" or ")) <= {"DS", "IS", "US", "SS", "FD", "FL", "UL"}, keyword
    for keyword in displayable.TERMS:
        assert dictionary_VR(keyword) in ("CS", "LO"), keyword

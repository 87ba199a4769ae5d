"""Labels by the page while `preprocess` inserts: neither waits for ever, and nothing of either is lost."""

from pathlib import Path

from tests.pages import serving
from tests.running import Place, dicomprep_command, make_files, started, wait_until

FILES = 1500


def test_images_are_labeled_while_others_come(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_files(place.source, "first.dcm")
    place.run()
    make_files(place.source, *(f"s{number % 7}/{number}.dcm" for number in range(FILES - 1)), seed=10)
    command = ["preprocess", place.source, "--output-dir", place.output, "--db", place.db, "--workers", "1"]
    given: dict[int, str] = {}
    with serving(place, "--classes", "a,b") as pages, started(dicomprep_command(*command), tmp_path) as run:
        while run.process.poll() is None:
            for frame in pages.next(limit=8):
                given[frame] = "ab"[frame % 2]
                assert isinstance(pages.post("/label", frame=frame, label=given[frame]), dict)
        assert run.process.returncode == 0, run.process.stderr.read()
        assert wait_until(lambda: pages.get("/progress")["total"] == FILES, 60)
    assert len(given) > 8, "none of the run's own images came to the page while it ran"
    assert {frame: label for frame, label in pages.labels().items() if label} == given
    place.check()

"""Twenty annotators at once while the server is killed at random: nothing acknowledged is lost or counts twice."""

import http.client
import json
import random
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

from tests.building import make_dicom
from tests.pages import free_port
from tests.running import PROJECT, Place, frames_of, make_files, started

CLASSES = ("biopsy", "mag view")


class Annotator(threading.Thread):
    """Sends commands as the page does: one after the other, each again under its id until it is answered."""

    def __init__(self, name: str, port: int, frames: list[int], ended: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._port, self._frames, self._ended = port, frames, ended
        self._chance = random.Random(name)
        self.done: list[tuple[str, int]] = []
        """(what, of which image), as far as it was acknowledged."""
        self.refused: list[bytes] = []

    def run(self) -> None:
        while not self._ended.is_set():
            kind = self._chance.choices(("/label", "/skip", "/undo", "/leave"), (6, 2, 2, 1))[0]
            frame, label = self._chance.choice(self._frames), self._chance.choice(CLASSES)
            self._send(kind, frame, label, unsure=self._chance.random() < 0.3)

    def _send(self, kind: str, frame: int, label: str, *, unsure: bool) -> None:
        said = {"frame": frame, "label": label, "unsure": unsure, "note": label, "command": uuid.uuid4().hex}
        content = json.dumps({"annotator": self.name, **said})
        while True:  # also after the end: what was sent is to be answered
            status, answer = self._post(kind, content)
            if status == 200:
                self.done.append((kind, frame))
                if self._chance.random() < 0.2:  # the answer got lost on its way
                    self._post(kind, content)
                return
            if status not in (0, 503):
                self.refused.append(answer)
                return
            time.sleep(0.05)

    def _post(self, path: str, content: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        headers = {"Origin": f"http://127.0.0.1:{self._port}", "Content-Type": "application/json"}
        try:
            connection.request("POST", path, content, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    make_files(place.source, *(f"{number}.dcm" for number in range(10)))
    make_dicom(place.source / "cine.dcm", frames_of(20), patient_id="Cine", Modality="US")
    place.run()
    return place


def test_nothing_acknowledged_is_lost_or_doubled(place: Place, request: pytest.FixtureRequest) -> None:
    thorough = request.config.getoption("--thorough")
    if not thorough:
        pytest.skip("for --thorough")
    port, ended, chance = free_port(), threading.Event(), random.Random(22)
    script = str(PROJECT / "scripts" / "02_label_server.py")
    command = [sys.executable, script, "--db", str(place.db), "--port", str(port), "--classes", ",".join(CLASSES)]
    frames = [int(frame) for frame in place.rows("SELECT id FROM images")]
    people = [Annotator(f"reader {number}", port, frames, ended) for number in range(20)]
    for kill in range(7):
        with started(command, place.base) as server:
            assert " at http" in server.process.stdout.readline()
            if not kill:
                for one in people:
                    one.start()
            time.sleep(chance.uniform(1.5, 4))
            if kill == 6:
                ended.set()
                for one in people:
                    one.join(60)
            server.process.kill()
    assert not any(one.is_alive() or one.refused for one in people)
    assert place.rows("PRAGMA integrity_check") == ["ok"]
    for one in people:
        counted = Counter(kind for kind, _ in one.done)
        kinds = dict(place.rows("SELECT kind, count(*) FROM commands WHERE annotator = ? GROUP BY kind", one.name))
        assert kinds == {kind.removeprefix("/"): count for kind, count in counted.items()}, one.name
        given = place.rows("SELECT frame_id FROM labels WHERE undoes IS NULL AND annotator = ? ORDER BY id", one.name)
        assert given == [frame for kind, frame in one.done if kind == "/label"], one.name
    undone = "SELECT undoes FROM labels WHERE undoes IS NOT NULL GROUP BY undoes HAVING count(*) > 1"
    assert place.rows(undone) == []
    wrong = """SELECT frame_id FROM catalogue WHERE votes != (SELECT count(*) FROM standing
        WHERE standing.frame_id = catalogue.frame_id)"""
    assert place.rows(wrong) == []
    print(f"{sum(len(one.done) for one in people):,} commands acknowledged, the server killed 6 times")

"""`preprocess dicomweb+https://…`: as a folder of the server's files, whatever the server does in between."""

import json
import shutil
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import pytest
from pydicom import dcmread

from dicomprep.errors import ConfigError, EnvironmentFault, InputError
from dicomprep.storage import dicomweb, dicomweb_query
from dicomprep.storage.dicomweb_address import DicomwebAddress
from dicomprep.storage.dicomweb_source import DicomwebSource, find_instances
from dicomprep.storage.waiting import waiting_for
from tests.building import make_dicom
from tests.pacs.conftest import Reference
from tests.pacs.orthanc import PASSWORD, USER, Orthanc
from tests.pacs.peers import facts, make_certificate
from tests.running import Place, cli, dicomprep_command, frames_of, started, wait_until
from tests.services.faulty_proxy import Answer, Proxy, proxying

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def _login(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DICOMWEB_USER", USER)
    monkeypatch.setenv("DICOMWEB_PASSWORD", PASSWORD)
    dicomweb.server_at.cache_clear()
    yield
    dicomweb.server_at.cache_clear()


@pytest.fixture
def proxy(orthanc: Orthanc) -> Iterator[Proxy]:
    with proxying(f"http://127.0.0.1:{orthanc.http}") as running:
        yield running


def web(proxy: Proxy, query: str = "") -> str:
    return f"dicomweb+{proxy.endpoint}/dicom-web{query}"


def run(place: Place, address: str, **options: Any) -> Any:
    return place.run(dicom_dir=(address,), **{"size": 224, "timeout": 20.0} | options)


def fetched(proxy: Proxy) -> int:
    """Instances that were asked for."""
    return sum("/instances/" in request for request in proxy.requests)


def test_what_a_server_has_becomes_the_images_of_a_folder_and_is_fetched_once(
    proxy: Proxy, reference: Reference, tmp_path: Path
) -> None:
    place = reference.new_place(tmp_path)
    part = run(place, web(proxy, "?ModalitiesInStudy=MR&Modality=MR"))
    assert 0 < part.found < len(reference.stored)
    run(place, web(proxy))
    assert facts(place) == facts(reference.place)
    assert fetched(proxy) == len(reference.stored)
    again = run(place, web(proxy, "/"), prune=True)
    assert (again.unchanged, again.processed, again.pruned) == (len(reference.stored), 0, 0)
    asked_for_some = run(place, web(proxy, "?ModalitiesInStudy=MR"), prune=True)
    assert asked_for_some.pruned == 0
    assert fetched(proxy) == len(reference.stored)
    assert facts(place) == facts(reference.place)
    place.check()


def test_faults_in_between_change_nothing(proxy: Proxy, reference: Reference, tmp_path: Path) -> None:
    """Cut connections, answers too short, errors in passing and errors of the server."""
    faults = ["503 SlowDown", "cut", None, "500 InternalError", None, "length", None, "429 x", None, None]

    def fault(_method: str, path: str, number: int) -> str | None:
        return faults[number % len(faults)] if "/instances" in path else None

    proxy.fault = fault
    place = reference.new_place(tmp_path)
    run(place, web(proxy))
    assert facts(place) == facts(reference.place)


def twice(content: bytes) -> bytes:
    """A multipart answer whose part comes a second time."""
    first, rest = content.split(b"\r\n", 1)
    return content.rstrip().removesuffix(b"--") + b"\r\n" + rest if first.startswith(b"--") else content


LIES: dict[str, Callable[[Answer], Answer]] = {
    "html": lambda _answer: (200, b"<html>Sign in, please</html>", {"Content-Type": "text/html"}),
    "nothing": lambda answer: (200, b"", answer[2]),
    "boundary": lambda answer: (200, answer[1], answer[2] | {"Content-Type": "multipart/related; boundary=other"}),
    "parts": lambda answer: (200, twice(answer[1]), answer[2]),
    "short": lambda answer: (200, answer[1][: len(answer[1]) // 2], answer[2]),
    "later": lambda _answer: (503, b"", {"Retry-After": "1"}),
    "forbidden": lambda _answer: (403, b"", {}),
    "broken": lambda _answer: (500, b"<html>", {}),
}
"""What servers and what stands before them do, and call it success, or not."""


def test_what_a_server_lies_about_is_not_recorded_and_comes_with_the_next_run(
    proxy: Proxy, reference: Reference, tmp_path: Path
) -> None:
    """Of most of the instances, each time it is asked; among them one that comes with another one's content."""
    honest, *others = sorted(reference.stored, key=lambda uid: len(reference.stored[uid]))
    other, liars = reference.stored[honest], dict(zip(others, ["other", *LIES], strict=False))

    def fault(_method: str, path: str, _number: int) -> Callable[[Answer], Answer] | None:
        lie = liars.get(path.rpartition("/")[2])
        if lie == "other":
            return lambda _answer: (200, other, {"Content-Type": "application/dicom"})
        return LIES[lie] if lie else None

    proxy.fault = fault
    place = reference.new_place(tmp_path)
    result = run(place, web(proxy), timeout=3.0)
    unread = place.rows("SELECT path FROM files WHERE error_code = 'unreadable'")
    assert {liars[Path(path).stem] for path in unread} == set(liars.values())
    assert result.codes["unreadable"] == len(liars)
    assert set(liars.values()) == {"other", *LIES}
    done = facts(place, "f.error_code IS NOT 'unreadable'")
    assert done.total() == len(reference.stored) - len(liars)
    assert done <= facts(reference.place)
    proxy.fault = lambda _method, _path, _number: None
    run(place, web(proxy))
    assert facts(place) == facts(reference.place)
    place.check()


@pytest.mark.parametrize("status", [401, 403, 500, 200])
def test_a_server_that_no_longer_answers_who_asks_ends_the_run(
    proxy: Proxy, reference: Reference, tmp_path: Path, status: int
) -> None:
    """In the midst of it, to everything: as where a session expires. No file is said to be bad."""
    answer: Answer = (status, b"<html>Sign in, please</html>", {"Content-Type": "text/html"})
    proxy.fault = lambda _method, _path, number: (lambda _answer: answer) if number > 15 else None
    place = reference.new_place(tmp_path)
    with pytest.raises(EnvironmentFault, match="dicom-web"):
        run(place, web(proxy), timeout=2.0)
    assert facts(place, "f.error_code = 'unreadable'").total() == 0
    assert facts(place) <= facts(reference.place)
    proxy.fault = lambda _method, _path, _number: None
    run(place, web(proxy))
    assert facts(place) == facts(reference.place)


def test_an_instance_that_is_replaced_while_it_is_read_is_in_the_end_what_it_is(
    orthanc: Orthanc, proxy: Proxy, tmp_path: Path
) -> None:
    """It is listed as one thing, and comes as another."""
    place, folder, query = Place(tmp_path / "a"), Place(tmp_path / "b"), "?AccessionNumber=A2"
    place.base.mkdir()
    folder.base.mkdir()
    first = make_dicom(tmp_path / "first.dcm", frames_of(1)[0], AccessionNumber="A2")
    second = dcmread(first)
    second.PixelData, second.NumberOfFrames, second.PatientID = 2 * second.PixelData, 2, "OTHER"
    second.save_as(folder.source.with_suffix(".dcm"))
    with ExitStack() as stack:
        listed = json.loads(orthanc.ask("/instances", content=first.read_bytes()))["ID"]

        def replace_it(_method: str, path: str, _number: int) -> None:
            if "/instances/" in path and not replaced:
                replaced.append(path)
                orthanc.ask(f"/instances/{listed}", method="DELETE")
                stack.enter_context(orthanc.having(folder.source.with_suffix(".dcm")))

        replaced: list[str] = []
        proxy.fault = replace_it
        run(place, web(proxy, query), size=16)
        assert replaced
        run(place, web(proxy, query), size=16)
        shutil.copy(f"{place.db}.key", f"{folder.db}.key")
        (folder.source / "x").mkdir(parents=True)
        folder.source.with_suffix(".dcm").rename(folder.source / "x" / "1.dcm")
        folder.run(size=16)
        assert facts(place) == facts(folder)
        assert run(place, web(proxy, query), size=16).processed == 0


def test_what_was_corrected_on_the_server_is_noticed_where_that_is_asked_for(
    orthanc: Orthanc, proxy: Proxy, tmp_path: Path
) -> None:
    """Of its patient, whom the answers of a search are not known by; what is the same is not processed again."""
    place, query = Place(tmp_path), "?AccessionNumber=A3"
    files = [
        make_dicom(tmp_path / f"{n}.dcm", frames_of(2)[n], AccessionNumber="A3", patient_id=f"P{n}") for n in (0, 1)
    ]
    groups = "SELECT g.key FROM files f JOIN groups g ON g.id = f.group_id ORDER BY f.path"
    with orthanc.having(files[0]):
        with orthanc.having(files[1]):
            run(place, web(proxy, query))
            before = place.rows(groups)
        corrected = dcmread(files[1])
        corrected.PatientID = "RIGHT"
        corrected.save_as(files[1])
        with orthanc.having(files[1]):
            assert (run(place, web(proxy, query)).trusted, place.rows(groups)) == (2, before)
            again = run(place, web(proxy, query), refetch=True)
            assert (again.processed, again.unchanged, again.trusted) == (1, 1, 0)
            after = place.rows(groups)
            assert run(place, web(proxy, query), refetch=True).processed == 0
    assert len(set(before) & set(after)) == 1
    assert len(set(after)) == 2


def test_what_a_server_does_not_give_is_left_for_the_next_run(
    proxy: Proxy, reference: Reference, tmp_path: Path
) -> None:
    uid = sorted(reference.stored)[0]
    proxy.fault = lambda _method, path, _number: "500 InternalError" if path.endswith(f"/instances/{uid}") else None
    place = reference.new_place(tmp_path)
    result = run(place, web(proxy))
    assert dict(result.codes)["unreadable"] == 1
    assert place.rows("SELECT error_detail FROM inputs WHERE error_code = 'unreadable'") == [
        "it cannot be fetched: the server answered 500"
    ]
    proxy.fault = lambda _method, _path, _number: None
    run(place, web(proxy))
    assert facts(place) == facts(reference.place)


def test_a_server_that_goes_away_is_no_files_fault(proxy: Proxy, reference: Reference, tmp_path: Path) -> None:
    proxy.fault = lambda _method, path, number: "503 x" if number > 12 else None
    place = reference.new_place(tmp_path)
    with pytest.raises(EnvironmentFault, match="the server answered 503"):
        run(place, web(proxy), timeout=2.0)
    assert place.rows("SELECT count(*) FROM inputs WHERE status = 'failed' AND error_code = 'unreadable'") == [0]
    proxy.fault = lambda _method, _path, _number: None
    run(place, web(proxy))
    assert facts(place) == facts(reference.place)


def test_killed_and_resumed(orthanc: Orthanc, reference: Reference, tmp_path: Path) -> None:
    place = reference.new_place(tmp_path)
    command = ("preprocess", orthanc.web, "--db", place.db, "--output-dir", place.output, "--workers", 2)
    with started(dicomprep_command(*command), tmp_path) as process:
        assert wait_until(place.recorded, 30)
        process.signal(signal.SIGKILL)
    run(place, orthanc.web)
    assert facts(place) == facts(reference.place)
    place.check()


def test_credentials_and_queries_are_nowhere(orthanc: Orthanc, reference: Reference, tmp_path: Path) -> None:
    """Not in the database, its journal, what is printed, exports, or pages; also where they are wrong."""
    canary, place = "canary8731", reference.new_place(tmp_path)
    options = ("--db", place.db, "--output-dir", place.output)
    run(place, f"{orthanc.web}?ModalitiesInStudy=MR")
    done = [cli(tmp_path, "preprocess", f"{orthanc.web}?PatientName={canary}*&StudyDate=-20401231", *options)]
    done.append(cli(tmp_path, "export", "csv", "export", "--db", place.db, "--with-paths"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DICOMWEB_PASSWORD", canary)
        done.append(cli(tmp_path, "preprocess", orthanc.web, *options))
    assert [one.returncode for one in done] == [0, 0, 3]
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (canary, PASSWORD):
        assert not any(secret in one.stdout + one.stderr for one in done)
        assert not any(secret.encode() in content for content in files)


@pytest.mark.parametrize(
    "address",
    [
        "dicomweb+https://user:canary@host/root",
        "dicomweb+https://canary@host/root",
        "dicomweb+https://host/root?access_token=canary",
        "dicomweb+https://host/root?canary",
        "dicomweb+https://host/root?StudyDate=",
        "dicomweb+https://host/root#canary",
        "dicomweb+https:///root",
        "dicomweb+https://host:canary/root",
        "dicomweb+https://host/../canary",
        "dicomweb+https://host/a b/canary%00",
        "dicomweb+http://192.0.2.1/root",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_repeated(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DicomwebAddress.parse(address)
    assert "canary" not in str(caught.value)


def test_a_server_is_watched_without_its_query_being_printed(
    orthanc: Orthanc, reference: Reference, tmp_path: Path
) -> None:
    place = reference.new_place(tmp_path)
    options = ("--db", place.db, "--output-dir", place.output, "--watch", 1)
    query = "?PatientName=canary8731*&StudyDate=-20401231"
    with started(dicomprep_command("preprocess", orthanc.web + query, *options), tmp_path) as process:
        assert process.process.stdout is not None
        lines = [process.process.stdout.readline() for _ in range(2)]
        process.signal(signal.SIGTERM)
        output, errors = process.process.communicate(timeout=30)
    assert process.process.returncode == 0, errors
    assert "nothing new" in lines[1]
    assert "canary8731" not in "".join([*lines, output, errors])


def test_one_server_is_asked_one_thing_at_a_time(orthanc: Orthanc, tmp_path: Path) -> None:
    place = Place(tmp_path)
    with pytest.raises(ConfigError, match="given twice"):
        place.run(dicom_dir=(f"{orthanc.web}?Modality=CT", f"{orthanc.web}?Modality=MR"))


@dataclass
class Stub:
    """A server that answers as a test wants."""

    root: str = ""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def instances(self, query: str = "") -> list[DicomwebSource]:
        with waiting_for(0.3):
            return list(find_instances(DicomwebAddress.parse(self.root + query)))


@contextmanager
def stub(
    answer: Callable[[str], tuple[int, bytes, dict[str, str]]], tls: ssl.SSLContext | None = None
) -> Iterator[Stub]:
    made = Stub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            made.requests.append((self.path, dict(self.headers)))
            status, content, headers = answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made.root = f"dicomweb+{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/r"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def page(*uids: str, tag: str = "0020000D", **others: str) -> tuple[int, bytes, dict[str, str]]:
    answers = [{tag: {"vr": "UI", "Value": [uid]}} | {t: {"Value": [v]} for t, v in others.items()} for uid in uids]
    return 200, json.dumps(answers).encode(), {}


def test_what_a_server_says_leads_nowhere_else() -> None:
    """UIDs that are none, and lists that never end."""

    def answer(path: str) -> tuple[int, bytes, dict[str, str]]:
        if path.startswith("/r/studies?"):
            return page("1.2", "../../etc", "", "1.2/3")
        return page("1.2.3", "../x", tag="00080018", **{"0020000E": "1.4"})

    with stub(answer) as server:
        assert [source.path for source in server.instances()] == ["1.2/1.4/1.2.3.dcm"]
        assert all(path.startswith("/r/studies") and ".." not in path for path, _ in server.requests)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, b"<html>", {}), "not JSON"),
        ((200, b"[" * 100_000, {}), "not JSON"),
        ((200, b" " * 70 * 2**20, {}), "more than"),
        ((302, b"", {"Location": "http://192.0.2.1/"}), "another address"),
        ((401, b"", {}), "DICOMWEB_TOKEN"),
        ((403, b"", {}), "403"),
        ((404, b"", {}), "404"),
        ((503, b"", {}), "503"),
        ((200, b"[]", {"Content-Length": "100"}), "connection broke"),
    ],
)
def test_a_server_that_cannot_be_searched_is_one_sentence(answer: Any, message: str) -> None:
    with stub(lambda _path: answer) as server, pytest.raises(EnvironmentFault, match=message):
        server.instances()


def test_a_server_that_counts_on_for_ever_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomweb_query, "MAX_STUDIES", 50)
    with (
        stub(lambda path: page(f"1.{path.partition('offset=')[2]}") if "offset" in path else page()) as server,
        pytest.raises(EnvironmentFault, match="more than 50"),
    ):
        list(dicomweb_query._pages(server.root, "/studies", {}, "0020000D", 50))


def test_the_token_is_that_of_the_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DICOMWEB_USER")
    token = tmp_path / "token"
    monkeypatch.setenv("DICOMWEB_TOKEN_FILE", str(token))
    with stub(lambda _path: page()) as server:
        for text in ("one", "two\n"):
            token.write_text(text)
            server.instances("?StudyDate=20240101&Modality=CT")
    assert [headers["Authorization"] for _, headers in server.requests] == ["Bearer one", "Bearer two"]
    assert "StudyDate=20240101" in server.requests[0][0]
    assert "Modality" not in server.requests[0][0]


def test_a_server_and_who_asks_know_each_other_by_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())  # as in many a hospital; ours counts before it
    certificate, key = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    tls.load_verify_locations(certificate)
    tls.verify_mode = ssl.CERT_REQUIRED
    with stub(lambda _path: page(), tls) as server:
        with pytest.raises(EnvironmentFault, match="DICOMWEB_CA"):
            server.instances()
        dicomweb.server_at.cache_clear()
        monkeypatch.setenv("DICOMWEB_CA", str(certificate))
        monkeypatch.setenv("DICOMWEB_CERT", str(certificate))
        monkeypatch.setenv("DICOMWEB_KEY", str(key))
        assert server.instances() == []
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"--b\r\n\r\nhalf of an instance", 'multipart/related; boundary="b"'),
        (b"nothing", "multipart/related; boundary=b"),
        (b"nothing", "multipart/related"),
        (b"<html>", "text/html"),
        (b"", ""),
    ],
)
def test_what_is_not_a_whole_instance_is_not_taken_for_one(content: bytes, kind: str) -> None:
    def answer(path: str) -> tuple[int, bytes, dict[str, str]]:
        return (200, content, {"Content-Type": kind}) if "/instances/" in path else page()

    not_whole = pytest.raises(InputError, match="whole instance")
    with stub(answer) as server, waiting_for(0.3), not_whole, DicomwebSource(server.root, "1.2/1.3/1.4.dcm").open():
        pass

"""Inputs in a bucket of a real S3 gateway: what every source promises, and what a store's faults become."""

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from obstore.exceptions import InvalidPathError

from dicomprep.errors import ConfigError, EnvironmentFault, ErrorCode, InputError
from dicomprep.storage.object_faults import FaultKind, explain_fault
from dicomprep.storage.object_source import ObjectSource
from dicomprep.storage.objects import Bucket
from dicomprep.storage.remote_roots import is_object
from dicomprep.storage.source import HEAD_BYTES, WHOLE_FILE_BYTES, digest_bytes
from dicomprep.storage.waiting import waiting_for
from tests.services.faulty_proxy import Proxy, proxying
from tests.services.gateway import Gateway
from tests.storage.contract import CONTENT, Put, SourceContract


@pytest.fixture
def bucket(gateway: Gateway) -> str:
    return gateway.new_bucket()


@pytest.fixture
def put(gateway: Gateway, bucket: str) -> Put:
    def put(path: str, content: bytes) -> ObjectSource:
        gateway.put(bucket, f"p q/{path}", content)
        return ObjectSource.now(f"s3://{bucket}/p q", path)

    return put


@pytest.fixture
def proxy(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with proxying(gateway.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


class TestObjectSource(SourceContract):
    @pytest.fixture
    def remove(self, gateway: Gateway, bucket: str) -> Callable[[str], None]:
        return lambda path: gateway.store(bucket).delete(f"p q/{path}")

    def test_what_is_gone_is_unreadable(self, put: Put, remove: Callable[[str], None]) -> None:
        source = put("a.dcm", CONTENT)
        remove("a.dcm")
        with pytest.raises(InputError) as caught, source.open() as file:
            file.head()
        assert caught.value.code is ErrorCode.UNREADABLE

    def test_a_large_one_is_read_piece_by_piece(self, put: Put) -> None:
        large = os.urandom(2**20) * (WHOLE_FILE_BYTES // 2**20 + 1)
        with put("large.dcm", large).open() as file:
            assert file.read_at(2**20 - 2, 4) == large[2**20 - 2 : 2**20 + 2]
            stream = file.stream()
            stream.seek(len(large) - 10)
            assert stream.read() == large[-10:]
            digest = file.digest()
        with put("large.dcm", large[::-1]).open() as file:
            assert file.digest() != digest

    def test_one_that_is_replaced_while_it_is_read_is_not_mixed(self, put: Put) -> None:
        large = bytes(WHOLE_FILE_BYTES + 5)
        with put("large.dcm", large).open() as file:
            assert file.read_at(0, 10) == bytes(10)
            put("large.dcm", b"x" * len(large))
            with pytest.raises(InputError, match="changed while") as caught:
                file.read_at(2**24, 10)
            assert caught.value.code is ErrorCode.CHANGED
            assert file.changed_while_read()


def test_a_small_one_is_one_request_and_a_large_one_only_what_is_asked_for(put: Put, proxy: Proxy) -> None:
    small, large = put("small.dcm", CONTENT), put("large.dcm", bytes(WHOLE_FILE_BYTES + 5))
    proxy.requests.clear()
    proxy.sent.clear()
    with small.open() as file:
        file.digest()
        assert file.read_at(5, 9) == CONTENT[5:14]
        assert not file.changed_while_read()
    assert len(proxy.requests) == 1
    with large.open() as file:
        file.head()
        file.digest()
        assert file.read_at(2**24, 9) == bytes(9)
    assert len(proxy.requests) == 3
    assert proxy.sent["GET"] < 2 * 2**20


@pytest.mark.parametrize("fault", ["cut", "500 InternalError", "503 SlowDown", "slow", "length", "429 TooMany"])
def test_what_fails_in_passing_is_tried_again(put: Put, proxy: Proxy, fault: str) -> None:
    source = put("a.dcm", CONTENT)
    seen: list[str] = []
    proxy.fault = lambda method, _path, number: fault if method == "GET" and number in broken else None
    broken = range(len(proxy.requests) + 1, len(proxy.requests) + 3)
    with waiting_for(2 if fault == "slow" else 30, lambda: seen.append("beat")), source.open() as file:
        if fault == "slow":
            with pytest.raises(EnvironmentFault, match="did not answer in time"):
                file.read_at(0, 5)
        else:
            assert file.stream().read() == CONTENT
    assert seen


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("503 SlowDown", "cannot be used: the server cannot answer for now (503 SlowDown). Run this again"),
        ("400 ExpiredToken", "the credentials have expired (ExpiredToken). Renew"),
        ("403 InvalidAccessKeyId", "the access key is not known"),
        ("403 RequestTimeTooSkewed", "the clock of this machine differs"),
        ("403 AccessDenied", "cannot be used: access is denied (403 AccessDenied)"),
    ],
)
def test_a_store_that_fails_is_no_files_fault(put: Put, proxy: Proxy, fault: str, said: str) -> None:
    source = put("a.dcm", CONTENT)
    proxy.fault = lambda *_: fault
    with waiting_for(1), pytest.raises(EnvironmentFault) as caught, source.open() as file:
        file.head()
    assert said in str(caught.value)
    assert "canary" not in str(caught.value).lower()


@pytest.mark.parametrize("fault", ["403 AccessDenied", "500 InternalError", "403 InvalidObjectState", "cut"])
def test_one_object_that_fails_alone_is_unreadable(put: Put, proxy: Proxy, fault: str) -> None:
    source = put("a.dcm", CONTENT)
    proxy.fault = lambda _method, path, _number: fault if path.endswith("a.dcm") else None
    with waiting_for(1), pytest.raises(InputError) as caught, source.open() as file:
        file.read_at(0, 5)
    assert caught.value.code is ErrorCode.UNREADABLE


def test_a_key_that_cannot_be_addressed_is_named() -> None:
    said = 'Encountered object with invalid path\nInvalidPath {\n source: BadSegment {\n path: "a\\nb/\\"c",\n}}'
    fault = explain_fault(InvalidPathError(said))
    assert fault.kind is FaultKind.REFUSED
    assert fault.reason.startswith('the key “a\\nb/\\"c” cannot be addressed. Rename that object')


def test_a_listing_goes_on_after_a_page_that_failed(gateway: Gateway, bucket: str, proxy: Proxy) -> None:
    names = [f"{number:04}" for number in range(2300)]
    store = gateway.store(bucket)
    for name in names:
        store.put(name, b"")
    proxy.fault = lambda _method, _path, number: ("cut", "503 SlowDown", None)[number % 3]
    with waiting_for(30):
        assert [stat.key for stat in Bucket(f"s3://{bucket}").list()] == names


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A folder on a web server that gives no parts of files, no ETags and no listings that are understood."""
    (tmp_path / "a b.dcm").write_bytes(CONTENT)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_on_a_plain_web_server(web: str) -> None:
    assert is_object(f"{web}/a b.dcm")
    source = ObjectSource.now(web, "a b.dcm")
    with source.open() as file:
        assert file.head() == CONTENT[:HEAD_BYTES]
        assert file.read_at(1000, 7) == CONTENT[1000:1007]
        assert file.digest() == digest_bytes(CONTENT)
        assert not file.has_changed()
    with pytest.raises(ConfigError, match=r"no file .*/none\.dcm\. If it is a folder, write a slash"):
        is_object(f"{web}/none.dcm")
    with pytest.raises(EnvironmentFault, match="cannot be listed: the server refuses it \\(501\\)"):
        list(Bucket(web).list())

"""The store of images in a bucket of a real S3 gateway: what every store promises, and what only such a one has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dicomprep.errors import ConfigError, EnvironmentFault, ErrorCode, InputError
from dicomprep.storage.object_images import ObjectImages
from dicomprep.storage.paths import MARK
from tests.services.gateway import ACCESS_KEY, SECRET_KEY, Gateway
from tests.storage.contract import StoreContract


@pytest.fixture
def store(gateway: Gateway) -> ObjectImages:
    return ObjectImages(f"s3://{gateway.new_bucket()}/Out put/100%25 ü")


class TestObjectImages(StoreContract):
    def test_what_lies_beside_is_no_image(self, store: ObjectImages, gateway: Gateway) -> None:
        bucket = store.address.split("/")[2]
        for key in ("other.png", "Out put/100%25 ü2/a.png", f"Out put/100%25 ü/{MARK}", "Out put/100%25 ü/a.txt"):
            gateway.put(bucket, key, b"x")
        store.publish("a.png", b"a")
        assert [stat.name for stat in store.list()] == ["a.png"]
        assert {key.rpartition("/")[2] for key in gateway.objects(bucket)} == {"other.png", "a.png", MARK, "a.txt"}

    def test_what_an_image_is_stands_with_it(self, store: ObjectImages, gateway: Gateway) -> None:
        bucket, prefix = store.address.removeprefix("s3://").split("/", 1)
        for ending, kind in ((".png", "image/png"), (".jpg", "image/jpeg"), (".webp", "image/webp")):
            store.publish(f"a{ending}", b"x")
            assert gateway.store(bucket).get(f"{prefix}/a{ending}").attributes["Content-Type"] == kind

    def test_a_name_that_is_too_long_is_a_fault_of_the_input(self, store: ObjectImages) -> None:
        with pytest.raises(InputError) as caught:
            store.publish("n" * 1100 + ".png", b"content")
        assert caught.value.code == ErrorCode.LIMIT_EXCEEDED

    def test_a_bucket_that_is_not_there(self, gateway: Gateway) -> None:
        store = ObjectImages("s3://no-such-bucket/a")
        for use in (store.read, lambda name: store.publish(name, b"x"), lambda _: list(store.list())):
            with pytest.raises(EnvironmentFault, match="s3://no-such-bucket/a: there is no such bucket"):
                use("a.png")

    def test_many_are_listed_page_by_page(self, store: ObjectImages) -> None:
        names = {f"s/{number:04}.png" for number in range(1203)}
        for name in names:
            store.publish(name, b"x")
        assert {stat.name for stat in store.list()} == names


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AWS_ACCESS_KEY_ID", "unknown", "the access key is not known"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "the secret key is not the right one"),
    ],
)
def test_wrong_credentials_are_said_and_not_quoted(
    store: ObjectImages, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    other = ObjectImages(f"{store.address}/other")
    with pytest.raises(EnvironmentFault, match=said) as caught:
        other.publish("a.png", b"x")
    assert "canary" not in str(caught.value).lower()


FORKING = """
import os, signal, sys
from dicomprep.storage.object_images import ObjectImages
store = ObjectImages(sys.argv[1])
store.publish("a.png", b"x")
child = os.fork()
if child == 0:
    signal.alarm(20)
    store.read("a.png")
os.waitpid(child, 0)
assert store.read("a.png") == b"x"
"""


def test_a_copy_of_a_process_that_read_is_told_so_and_does_not_hang(store: ObjectImages) -> None:
    """As workers of torch's DataLoader are, unless they are started otherwise."""
    command = [sys.executable, "-W", "ignore", "-c", FORKING, store.address]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert 'multiprocessing_context="forkserver"' in done.stderr


def test_credentials_that_come_later_count(store: ObjectImages, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", "/nowhere")
    with pytest.raises(EnvironmentFault, match=r"access is denied.*AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        store.publish("a.png", b"x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    store.publish("a.png", b"x")


def test_a_profile_of_the_aws_tools_is_taken(
    store: ObjectImages, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in gateway.environment:
        monkeypatch.delenv(name)
    (tmp_path / ".aws").mkdir()
    keys = f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    (tmp_path / ".aws/credentials").write_text(f"[lab]\n{keys}")
    (tmp_path / ".aws/config").write_text(f"[profile lab]\nregion = us-east-1\nendpoint_url = {gateway.endpoint}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    other = ObjectImages(f"{store.address}/p")
    other.publish("a.png", b"x")
    assert other.read("a.png") == b"x"
    monkeypatch.setenv("AWS_PROFILE", "none")
    with pytest.raises(ConfigError, match="no AWS profile none"):
        ObjectImages(f"{store.address}/q").publish("a.png", b"x")


def test_a_network_is_trusted_only_where_somebody_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://storage.example:9000")
    with pytest.raises(ConfigError, match=r"http://storage\.example is not encrypted\. Give https://"):
        ObjectImages("s3://bucket/of somebody").publish("a.png", b"x")


names = st.sampled_from(["a.png", "b.png", "S/a.png", "s/b.png", "s/t/c.png", "s/t/é.png"])


class ObjectImagesAgainstADict(RuleBasedStateMachine):
    """Whatever is done in whatever order, the store holds what a dict would."""

    address = ""

    def __init__(self) -> None:
        super().__init__()
        self.store = ObjectImages(self.address)
        self.store.remove([stat.name for stat in self.store.list()])
        self.known: dict[str, bytes] = {}

    @rule(name=names, content=st.binary(max_size=50))
    def publish(self, name: str, content: bytes) -> None:
        self.store.publish(name, content)
        self.known[name] = content

    @rule(chosen=st.lists(names))
    def remove(self, chosen: list[str]) -> None:
        self.store.remove(chosen)
        for name in chosen:
            self.known.pop(name, None)

    @rule()
    def begin_again(self) -> None:
        self.store = ObjectImages(self.store.address)

    @invariant()
    def holds_what_it_should(self) -> None:
        assert {image.name: image.size for image in self.store.list()} == {n: len(c) for n, c in self.known.items()}
        assert {name: self.store.read(name) for name in self.known} == self.known


def test_it_holds_what_a_dict_would(store: ObjectImages) -> None:
    machine = type("Machine", (ObjectImagesAgainstADict,), {"address": store.address})
    machine.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
    machine.TestCase("runTest").runTest()

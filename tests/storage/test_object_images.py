"""The store of images in a bucket of a real S3 gateway: what every store promises, and what only such a one has."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dicomprep.errors import EnvironmentFault, ErrorCode, InputError
from dicomprep.storage.object_images import ObjectImages
from dicomprep.storage.paths import MARK
from tests.services.gateway import Gateway
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

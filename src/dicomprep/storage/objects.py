"""The objects below one address: read in ranges, put whole, listed page by page, tried again while that may help."""

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from dicomprep.errors import EnvironmentFault
from dicomprep.extras import load_extra
from dicomprep.storage.credentials import credential_hint, store_options
from dicomprep.storage.object_faults import Fault, FaultKind, explain_fault
from dicomprep.storage.waiting import waiting

__all__ = ["BY_TIME", "Bucket", "ObjectStat", "Piece", "RefusedError"]

T = TypeVar("T")

REQUEST_SECONDS = 60
"""Of one request; a piece that takes longer than this is asked for again."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 10.0
"""Between tries: doubled each time, and of random length, so that many workers do not come back at once."""

BEAT_SECONDS = 0.5
"""So often it is told that something still goes on, while nothing happens."""

MAX_WHOLE_BYTES = 2**27
"""Of a file on a server that gives no parts of files."""

LISTED = 1000
"""Objects of a page."""

BY_TIME = "modified "
"""With this begins what tells contents apart by time alone, on a web server without ETags."""


_REMEDIES = {
    FaultKind.CREDENTIALS: "Renew or correct them, and run this again: nothing that was finished is lost.",
    FaultKind.PLACE: "Make it first, or choose another place.",
    FaultKind.PASSING: "Run this again when it answers: nothing that was finished is lost.",
    FaultKind.DENIED: "Credentials are looked for in",
}


_MAY_BE_RENEWED = (FaultKind.CREDENTIALS, FaultKind.DENIED)


class ObjectStat(NamedTuple):
    """An object as its store lists it."""

    key: str
    """Below the address, with forward slashes."""
    size: int
    etag: str
    """What the store says of its content; empty where it says nothing."""


class Piece(NamedTuple):
    """Bytes of an object, and of which."""

    content: bytes
    size: int
    """Of the object as a whole."""
    etag: str
    whole: bytes = b""
    """All of it, where the server gives no parts."""


class RefusedError(Exception):
    """One request failed for good; `fault` says why, in words that may be shown."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


class Bucket:
    """Objects below an address such as `s3://bucket/prefix`.

    Requests that fail in passing are tried again for as long as `waiting_for` says. Then, and where the credentials or
    the bucket itself are wrong, it is an EnvironmentFault: no single object's fault. Else it is a RefusedError.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.scheme = address.partition("://")[0]

    def __reduce__(self) -> tuple[type["Bucket"], tuple[str]]:
        return type(self), (self.address,)

    def where(self, key: str) -> str:
        """What a person calls an object."""
        return f"{self.address.rstrip('/')}/{key}" if key else self.address

    def head(self, key: str) -> ObjectStat:
        """One object as it is listed."""
        return self._ask(key, lambda store: _stat_of(store.head(key), key))

    def get(self, key: str, start: int = 0, end: int | None = None) -> Piece:
        """The bytes from `start` to before `end`, fewer where the object ends; `start` lies within it."""

        def fetch(store: Any) -> Piece:  # noqa: ANN401
            try:
                answer = store.get(key, options={} if end is None else {"range": (start, end)})
            except Exception as error:
                if type(error).__name__ != "NotSupportedError":
                    raise
                return _part_of_whole(store.get(key), start, end)
            return _checked(answer, start, end)

        return self._ask(key, fetch)

    def put(self, key: str, content: bytes, *, create: bool = False, media_type: str | None = None) -> None:
        """Write an object, whole or not at all; the store has said that it holds it when this returns.

        With `create` it is RefusedError where there is one already, if the store heeds that.
        """
        mode = "create" if create else "overwrite"
        about = {} if media_type is None else {"attributes": {"Content-Type": media_type}}
        self._ask(key, lambda store: store.put(key, content, mode=mode, use_multipart=False, **about))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; one that is gone already is no matter."""
        for key in keys:
            try:
                self._ask(key, lambda store, key=key: store.delete(key))  # type: ignore[misc]
            except RefusedError as error:
                if error.fault.kind is not FaultKind.MISSING:
                    raise

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """All objects below a prefix, in the store's order; a page is held at a time.

        Where a page fails it is asked for again from the object after the last one that was given.
        """
        listing = _Listing(prefix)
        while page := self._ask("", listing.next_page):
            yield from page

    def answers(self) -> bool:
        """Whether the place as a whole can be used now, so that what fails there is one object's matter."""
        try:
            next(iter(self._open().list(chunk_size=1)), None)
        except Exception as error:  # noqa: BLE001  (obstore raises what it likes)
            return explain_fault(error).kind is FaultKind.REFUSED
        return True

    def _open(self) -> Any:  # noqa: ANN401
        _forked.refuse(self.address)
        return _open_store(self.address, min(REQUEST_SECONDS, max(1, round(waiting().seconds))))

    def _ask(self, key: str, request: Callable[[Any], T]) -> T:
        """Make a request until it is answered, for as long as somebody waits."""
        patience, heartbeat = waiting()
        deadline, pause, renewed = time.monotonic() + patience, FIRST_PAUSE_SECONDS, False
        while True:
            store = self._open()
            try:
                return request(store)
            except RefusedError:
                raise
            except Exception as error:  # noqa: BLE001  (obstore raises what it likes)
                fault = explain_fault(error)
            heartbeat()
            if fault.kind in _MAY_BE_RENEWED and not renewed:  # the environment, or ~/.aws, may have other ones now
                renewed = True
                _open_store.cache_clear()
                continue
            if fault.kind is not FaultKind.PASSING or time.monotonic() + pause > deadline:
                raise self._give_up(key, fault)
            _sleep(pause * random.uniform(0.5, 1), heartbeat)  # noqa: S311
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _give_up(self, key: str, fault: Fault) -> Exception:
        """What to raise; the place's fault where no object of it would fare better."""
        if fault.kind in (FaultKind.CREDENTIALS, FaultKind.PLACE):
            return EnvironmentFault(f"{self.address}: {fault.reason}. {_REMEDIES[fault.kind]}")
        if fault.kind in (FaultKind.PASSING, FaultKind.DENIED) and not (key and self.answers()):
            places = f" {credential_hint(self.scheme)}." if fault.kind is FaultKind.DENIED else ""
            return EnvironmentFault(f"{self.address} cannot be used: {fault.reason}. {_REMEDIES[fault.kind]}{places}")
        return RefusedError(fault) if key else EnvironmentFault(f"{self.address} cannot be listed: {fault.reason}.")


def _checked(answer: Any, start: int, end: int | None) -> Piece:  # noqa: ANN401
    """What came back; ConnectionError where it is not what was asked for."""
    first, last = answer.range
    content, meta = answer.bytes().to_bytes(), answer.meta
    if first != start or len(content) != last - first or last != min(meta["size"], end or meta["size"]):
        raise ConnectionError("another range came back than was asked for")
    return Piece(content, meta["size"], _tag_of(meta))


def _part_of_whole(answer: Any, start: int, end: int | None) -> Piece:  # noqa: ANN401
    """The same of a server that gives no parts of files; RefusedError where the whole one is too large for that."""
    if answer.meta["size"] > MAX_WHOLE_BYTES:
        raise RefusedError(Fault(FaultKind.REFUSED, "the server gives no parts of files, and this one is too large"))
    piece = _checked(answer, 0, None)
    return piece._replace(content=piece.content[start:end], whole=piece.content)


class _Listing:
    """The pages of a listing; where one fails, the next try goes on after the last object that was given."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix or None
        self._last: str | None = None
        self._pages: Iterator[Any] | None = None

    def next_page(self, store: Any) -> list[ObjectStat]:  # noqa: ANN401
        """The next objects; none where there are no more."""
        pages, self._pages = self._pages, None
        if pages is None:
            pages = iter(store.list(self._prefix, offset=self._last, chunk_size=LISTED))
        page = [_stat_of(meta, meta["path"]) for meta in next(pages, ())]
        if page:
            self._pages, self._last = pages, page[-1].key
        return page


def _stat_of(meta: Any, key: str) -> ObjectStat:  # noqa: ANN401
    return ObjectStat(key, int(meta["size"]), _tag_of(meta))


def _tag_of(meta: Any) -> str:  # noqa: ANN401
    """The ETag, without the marks around it; of a web server that gives none, the second of the last change."""
    etag = str(meta["e_tag"] or "").removeprefix("W/").strip('"')
    return etag or f"{BY_TIME}{int(meta['last_modified'].timestamp())}"


def _sleep(seconds: float, heartbeat: Callable[[], None]) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, BEAT_SECONDS))
        heartbeat()


class _Forked:
    """Whether this process is a copy of one that had opened a store: obstore's threads are not copied along.

    What it was asked there would never be answered.
    """

    def __init__(self) -> None:
        self.was_used = self.is_copy = False

    def note(self) -> None:
        """In a copy."""
        self.is_copy = self.is_copy or self.was_used

    def refuse(self, address: str) -> None:
        """EnvironmentFault in such a copy."""
        self.was_used = True
        if self.is_copy:
            message = f"{address} cannot be read here: this process was forked from one that had read from it."
            remedy = 'Start it anew: DataLoader(…, multiprocessing_context="forkserver"), say, or "spawn".'
            raise EnvironmentFault(f"{message} {remedy}")


_forked = _Forked()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked.note)


@lru_cache(maxsize=16)
def _open_store(address: str, seconds: int) -> Any:  # noqa: ANN401
    """The store of an address; it makes no request yet, and none by itself a second time."""
    scheme = address.partition("://")[0]
    stores = load_extra("obstore.store", extra="s3", purpose=f"Reading and writing {scheme}:// addresses")
    limit = timedelta(seconds=seconds)
    client = {"timeout": limit, "connect_timeout": min(limit, timedelta(seconds=5)), "allow_http": True}
    retry = {"max_retries": 0, "retry_timeout": limit}
    options = {"client_options": client, "retry_config": retry}
    if scheme in ("https", "http"):
        return stores.HTTPStore.from_url(address, **options)
    kind = {"s3": stores.S3Store, "gs": stores.GCSStore, "az": stores.AzureStore}[scheme]
    bucket, _, prefix = address.partition("://")[2].partition("/")
    return kind(bucket, prefix=prefix or None, config=store_options(scheme), **options)

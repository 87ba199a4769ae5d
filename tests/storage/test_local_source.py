"""Inputs in a folder: what every source promises, links, and what is no regular file."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomprep.errors import InputError
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.source import Version
from tests.storage.contract import CONTENT, Put, SourceContract


class TestLocalSource(SourceContract):
    @pytest.fixture
    def put(self, tmp_path: Path) -> Put:
        def put(path: str, content: bytes) -> LocalSource:
            place = tmp_path / path
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(content)
            return LocalSource.found(str(tmp_path), path, place.stat())

        return put

    @pytest.fixture
    def remove(self, tmp_path: Path) -> Callable[[str], None]:
        return lambda path: (tmp_path / path).unlink()

    def test_a_link_is_followed_only_where_that_was_asked_for(self, tmp_path: Path, put: Put) -> None:
        put("Study 1/a.dcm", CONTENT)
        (tmp_path / "link.dcm").symlink_to("Study 1/a.dcm")
        with pytest.raises(InputError, match="cannot be opened"), LocalSource(str(tmp_path), "link.dcm").open():
            pass
        with LocalSource(str(tmp_path), "link.dcm", linked=True).open() as file:
            assert file.read_at(0, 9) == CONTENT[:9]

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.dcm")
        with pytest.raises(InputError, match="not a regular file"), LocalSource.at(tmp_path / "a.dcm").open():
            pass


@pytest.mark.parametrize(
    ("one", "other", "content", "same"),
    [
        (Version(5, 7, 9), Version(5, 7, 9), True, True),
        (Version(5, 7, 9), Version(5, 7, 8), True, False),  # renamed, or a copy
        (Version(5, 7, 9), Version(5, 7), True, True),  # recorded where no such time is known
        (Version(5, 7, 9), Version(5, 6, 9), False, False),
        (Version(5, 7, 9), Version(4, 7, 9), False, False),
    ],
)
def test_versions(one: Version, other: Version, *, content: bool, same: bool) -> None:
    assert (one.has_content_of(other), one.is_same(other)) == (content, same)
    assert (other.has_content_of(one), other.is_same(one)) == (content, same)

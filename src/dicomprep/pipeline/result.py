"""The result of a run, and the listener to its progress."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicomprep.models import Outcome, Status, Written
from dicomprep.pipeline.timing import Timer
from dicomprep.pixels.content import Fact
from dicomprep.storage.archives.kinds import is_archive
from dicomprep.workspace import Workspace

__all__ = ["APPLE_DOUBLE", "LINK", "Others", "ProgressListener", "Result"]


MAX_NAMED_ARCHIVES = 3
"""Paths of archives that are kept to be named in the summary."""

LINK, APPLE_DOUBLE = "symbolic link", "AppleDouble file"
"""What is counted in `passed_over` besides kinds of folders and of special files."""


@dataclass(slots=True)
class Others:
    """What was found that is no input."""

    other_files: int = 0
    """Files that are not DICOM."""
    archives: int = 0
    """Of those, how many are called like archives, which are not opened."""
    first_archives: list[str] = field(default_factory=list)
    """The paths of some of them."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Folders and special files that were not opened, by kind."""

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> "Others":
        """As `as_dict` gave it."""
        return cls(**{**recorded, "passed_over": Counter(recorded["passed_over"])})

    def as_dict(self) -> dict[str, Any]:
        """In plain values."""
        return {name: getattr(self, name) for name in ("other_files", "archives", "first_archives", "passed_over")}

    def count_other(self, path: str) -> None:
        """Count a file that is no DICOM."""
        self.other_files += 1
        if path.rpartition("/")[2].startswith("._"):
            self.passed_over[APPLE_DOUBLE] += 1
        if is_archive(path):
            self.archives += 1
            self._name([path])

    def add(self, others: "Others") -> None:
        """Count what was counted before."""
        self.other_files += others.other_files
        self.archives += others.archives
        self.passed_over.update(others.passed_over)
        self._name(others.first_archives)

    def _name(self, archives: Sequence[str]) -> None:
        self.first_archives += archives[: max(0, MAX_NAMED_ARCHIVES - len(self.first_archives))]


@dataclass(slots=True, kw_only=True)
class Result(Others):
    """What a run did, counted as it goes."""

    folders: tuple[str, ...]
    """The folders and archives by the names under which their inputs are recorded."""
    given: tuple[str, ...]
    """Each as given."""
    workspace: Workspace
    strict: bool = False
    found: int = 0
    """DICOM files, and files that are called so; `unchanged + processed`, all of which are in the database."""
    processed: int = 0
    unchanged: int = 0
    """Recorded by an earlier run and still valid."""
    trusted: int = 0
    """Of the unchanged, how many were not fetched again, because a DICOMweb server says nothing new of them."""
    moved: int = 0
    """Of the unchanged, how many lie elsewhere than before."""
    headers: int = 0
    """Of the unchanged ones, how many had their header read again, for what earlier releases did not record."""
    frames: int = 0
    """Images made by this run."""
    without_preset: int = 0
    """Of those, how many do not use the window preset, because their values are in other units."""
    without_window: int = 0
    """Of those, how many do not use the window asked for, because their file has none of that name or number."""
    smallest: tuple[int, int] | None = None
    """Fewest rows and fewest columns of those images; None without any."""
    largest: tuple[int, int] | None = None
    facts: Counter[Fact] = field(default_factory=Counter)
    """Of those, how many were cropped, oriented or blanked, and how many were not, and why."""
    interrupted: bool = False
    statuses: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    unchanged_codes: Counter[str] = field(default_factory=Counter)
    """Why unchanged inputs of this root gave no image, or not all of them, in an earlier run."""
    waiting: Counter[str] = field(default_factory=Counter)
    """Images whose labels, predictions or releases (by that word) lost their image in this run and wait for it."""
    followed: Counter[str] = field(default_factory=Counter)
    """Images whose labels, predictions or releases moved with them to another name or number."""
    returned: Counter[str] = field(default_factory=Counter)
    """Images whose waiting labels, predictions or releases were restored."""
    moved_groups: int = 0
    """Patients of earlier runs that moved to another split, because they were joined with others."""
    total_frames: int = 0
    """Images in the view `images`: without those of duplicates, and of kinds that are set apart."""
    set_apart: dict[str, int] = field(default_factory=dict)
    """Images of other kinds, such as masks, by kind."""
    duplicates: int = 0
    """Inputs in the database that hold the same image as another one, which alone is among `images`."""
    described: str = ""
    """What files say of images, in one sentence."""
    frames_by_split: dict[str, int] = field(default_factory=dict)
    groups_by_split: dict[str, int] = field(default_factory=dict)
    split_seed: str | None = None
    """What decides the splits; None where the key of the data set does."""
    settled: tuple[str, ...] = ()
    """Sentences on new patients who are not in the split that they drew."""
    pruned: int = 0
    """Missing inputs that were removed from the database, with their images."""
    forgotten: int = 0
    """Files of patients that were forgotten, or forgotten themselves: nothing of them is recorded or counted."""
    place: tuple[str, ...] = ()
    """How the folder relates to those of earlier runs, for display."""
    access: str = ""
    """Who may read the data set, where that is to be said."""
    concerns: tuple[str, ...] = ()
    """Sentences on the data set as a whole, as `status` and `audit` say them."""
    timers: tuple[Timer, ...] = ()

    def count_images(self, written: Sequence[Written]) -> None:
        """Count images that stay."""
        self.frames += len(written)
        for one in written:
            shape = (one.height, one.width)
            self.smallest = _each(min, self.smallest or shape, shape)
            self.largest = _each(max, self.largest or shape, shape)

    @property
    def root(self) -> str:
        """The folder; the first of several."""
        return self.folders[0]

    def as_given(self, path: str) -> str:
        """The path of an input as its folder was given, though it is recorded by another name."""
        for given, folder in zip(self.given, self.folders, strict=True):
            recorded = os.path.join(folder, "")
            if path.startswith(recorded):
                return os.path.join(given, path.removeprefix(recorded))
        return path

    @property
    def db(self) -> str:
        """The path of the database, or its URL without a password."""
        return str(self.workspace)

    @property
    def output_dir(self) -> Path | str:
        """The folder of the images, or their address in an object store."""
        return str(self.workspace.output) if self.workspace.output.is_remote else self.workspace.output.path

    @property
    def failed(self) -> int:
        """Inputs of this run that gave no image though they should have, or not all of them."""
        return self.statuses.total() - self.statuses[Status.DONE] - self.statuses[Status.SKIPPED]

    @property
    def exit_code(self) -> int:
        """0 finished; 1 nothing could be made, or something failed and the run is strict; 130 interrupted."""
        if self.interrupted:
            return 130
        nothing_made = self.found + self.passed_over[LINK] > 0 and self.total_frames + sum(self.set_apart.values()) == 0
        failed = self.failed or self.unchanged_codes.total()
        return 1 if nothing_made or (self.strict and failed) else 0


def _each(choose: Callable[[int, int], int], one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return choose(one[0], other[0]), choose(one[1], other[1])


class ProgressListener:
    """Is told how a run goes; this one ignores it."""

    def on_start(self, result: Result, workers: int) -> None:
        """The run begins."""

    def on_warning(self, sentence: str) -> None:
        """Something about the run as a whole should be known."""

    def on_cluster(self, sentence: str) -> None:
        """Workers of a cluster came, went, or cannot do the work."""

    def on_progress(self, result: Result) -> None:
        """Counts have changed."""

    def on_outcome(self, outcome: Outcome) -> None:
        """An input was processed."""

    def on_end(self, result: Result) -> None:
        """Nothing more comes, whether the run finished or broke off."""

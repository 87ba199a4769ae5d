"""Process one file in a worker: the stages in order, one frame at a time."""

import os
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from warnings import catch_warnings

from dicomprep.config import Fidelity, ImageOptions
from dicomprep.dicom.header import read_header
from dicomprep.dicom.non_dicom import is_apple_double, is_pointer_to_dicom
from dicomprep.dicom.patient import read_patient
from dicomprep.dicom.sniff import DICOM_SUFFIXES, read_series_uids, sniff
from dicomprep.dicom.windows import NO_SUCH_WINDOW, PRESET_NOT_USED
from dicomprep.errors import ErrorCode, InputError
from dicomprep.models import (
    FrameFailure,
    FrameRange,
    Instance,
    Normalized,
    Outcome,
    Settings,
    Status,
    Task,
    Thumbnail,
    Written,
)
from dicomprep.pipeline.describing import add_references
from dicomprep.pipeline.frame_ranges import judge
from dicomprep.pipeline.identity import identify_outcome
from dicomprep.pipeline.stages.decode import DicomImage, NoImage, decode
from dicomprep.pipeline.stages.normalize import normalize
from dicomprep.pipeline.stages.resize import resize
from dicomprep.pipeline.stages.write import write
from dicomprep.pixels.blanking import blank
from dicomprep.pixels.codecs.registry import relative_cost
from dicomprep.pixels.content import Fact
from dicomprep.pixels.text_detection import shows_text
from dicomprep.privacy.allow_list import Position
from dicomprep.privacy.burned_in import Reason, needs_pixel_check
from dicomprep.storage.file_budget import FileBudget, require_paid_pixels
from dicomprep.storage.file_clock import wait_until_quiet
from dicomprep.storage.naming import frame_filename
from dicomprep.storage.source import SourceFile
from dicomprep.storage.waiting import waiting_for

__all__ = ["draw", "process"]

MIN_SHARED_SECONDS = 0.2
"""Total time of the remaining frames above which they are shared with other workers."""

SEARCHED_FRAMES = 3
"""Frames of a suspected file, spread evenly, searched for text, in addition to the last one."""

MIN_LEGIBLE_PIXELS = 400
"""Pixels of the longer side; text in a smaller image is not detected."""

NOWHERE = Position()

MIN_REOPENING_RATIO = 3
"""Processing time of shared frames over the time to open the file, which every worker spends."""

MAX_FAILURES_IN_A_ROW = 1000
"""Consecutive frames that failed before the remaining ones are not tried; bounds time."""


def process(task: Task, settings: Settings, heartbeat: Callable[[], None] = lambda: None) -> Outcome:
    """Render and write the images of one file, or of a range of its frames; errors are in the outcome."""
    source = task.source
    if source.error is not None:
        return Outcome(task, Status.FAILED, ErrorCode.UNREADABLE, source.error)
    try:
        with waiting_for(settings.timeout, heartbeat), catch_warnings(action="ignore"), source.open() as file:
            if not _is_input(task, file):  # it is not read any further
                return Outcome(task, None)
            wait_until_quiet(file, settings.images, heartbeat)
            if task.header_only or task.digest_only:
                return _look_at(task, file, settings)
            digest = b"" if task.frame_range else file.digest()
            try:
                outcome = _process_open(task, file, settings, heartbeat)
                outcome = replace(add_references(outcome, file, max_bytes=settings.max_bytes), digest=digest)
            except Exception:
                if not file.changed_while_read():
                    raise
                outcome = Outcome(task, None, digest=digest)  # made of bytes that are gone
            if file.changed_while_read() or not file.version.has_content_of(source.version):
                return _mark_unstable(outcome)
            return outcome
    except InputError as error:
        outcome = Outcome(task, Status.FAILED, error.code, error.detail)
        return _mark_unstable(outcome) if error.code is ErrorCode.CHANGED else outcome


def draw(image: DicomImage, index: int, options: ImageOptions) -> Thumbnail:
    """The thumbnail of one frame; InputError where it cannot be made."""
    return resize(normalize(image.frame(index, options), options), options)


def _look_at(task: Task, file: SourceFile, settings: Settings) -> Outcome:
    """The digest, or what the header of a known file says; `unstable` where it is not the known one any more."""
    if task.digest_only:
        return Outcome(task, None, digest=file.digest())
    header = read_header(file, max_bytes=settings.max_bytes, extra=settings.tags)
    known = Outcome(task, None, instance=header.instance(), patient=read_patient(header.attributes))
    changed = file.changed_while_read() or not file.version.has_content_of(task.source.version)
    return _mark_unstable(Outcome(task, None)) if changed else add_references(known, file, max_bytes=settings.max_bytes)


def _mark_unstable(outcome: Outcome) -> Outcome:
    return replace(
        outcome,
        status=Status.UNSTABLE,
        error_code=ErrorCode.CHANGED,
        error_detail="changed while being read",
        first_failure=None,
        remaining=None,
    )


def _is_input(task: Task, file: SourceFile) -> bool:
    """Whether a file is DICOM by content or name; AppleDouble files of macOS are not, whatever their name."""
    name = os.path.basename(task.source.path)
    if name.startswith("._") and is_apple_double(file.head()):
        return False
    if task.recorded or task.frame_range or name.lower().endswith(DICOM_SUFFIXES):
        return True
    head = file.head()
    return sniff(head) is not None or is_pointer_to_dicom(head, name)


def _process_open(task: Task, file: SourceFile, settings: Settings, heartbeat: Callable[[], None]) -> Outcome:
    began, budget = time.perf_counter(), FileBudget(settings.timeout)
    try:
        image = decode(file, max_bytes=settings.max_bytes, extra=settings.tags)
    except NoImage as error:
        return Outcome(task, Status.SKIPPED, error.code, error.detail, instance=error.instance)
    except InputError as error:
        about = _describe_undrawable(file, error.code, settings)
        return Outcome(task, Status.FAILED, error.code, error.detail, instance=about)
    job = _FileJob(task, image, settings, budget, opening_seconds=time.perf_counter() - began)
    try:
        job.allow(file.held_bytes)
        for index in job.indices():
            job.make(index)
            heartbeat()
    except InputError as error:  # of all frames alike: they are too many, or their names too long for the file system
        return Outcome(task, Status.FAILED, error.code, error.detail, instance=image.instance)
    return job.outcome()


def _describe_undrawable(file: SourceFile, code: ErrorCode, settings: Settings) -> Instance:
    """The instance of a file that cannot be decoded, so that its series is known to be incomplete."""
    if code is not ErrorCode.LIMIT_EXCEEDED:
        with suppress(InputError):
            return read_header(file, max_bytes=settings.max_bytes).instance()
    return read_series_uids(file.head())


@dataclass(slots=True)
class _FileJob:
    """The frames of one file that this worker processes, and those that it returns."""

    task: Task
    image: DicomImage
    settings: Settings
    budget: FileBudget
    opening_seconds: float
    written: list[Written] = field(default_factory=list)
    without_preset: int = 0
    without_window: int = 0
    facts: Counter[Fact] = field(default_factory=Counter)
    failures: int = 0
    failures_in_a_row: int = 0
    first_failure: FrameFailure | None = None
    remaining: FrameRange | None = None
    searched: frozenset[int] = frozenset()
    """Frames to be searched for text."""

    def __post_init__(self) -> None:
        wanted = self.settings.image.select_frames(self.image.frame_count)
        if needs_pixel_check(self.reasons):
            self.searched = frozenset(
                wanted[len(wanted) * part // SEARCHED_FRAMES] for part in range(SEARCHED_FRAMES)
            ) | {wanted[-1]}
        if self.task.frame_range is not None:
            self.image.take_shared_range(self.task.frame_range.value_range)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why there may be text in what is drawn: not for a strip beside the ultrasound regions that is blanked."""
        reasons = self.image.instance.reasons
        if not self.settings.image.blank_text or not self.image.placement(self.settings.image).regions:
            return reasons
        return tuple(reason for reason in reasons if reason is not Reason.BANNER)

    @property
    def wanted(self) -> Sequence[int]:
        """The frames assigned to this worker."""
        given = self.task.frame_range
        return self.settings.image.select_frames(self.image.frame_count) if given is None else given.indices

    def allow(self, held_bytes: int) -> None:
        """Set the time budget of the frames; InputError if they exceed the limits of a file of this size."""
        image, frames = self.image, len(self.wanted)
        share = held_bytes * min(1.0, frames / image.frame_count)
        pixels, there = image.layout.rows * image.layout.columns, min(frames, image.available_frames)
        work = relative_cost(image.instance.transfer_syntax)
        require_paid_pixels(frames=there, pixels=pixels, work=work, held_bytes=share)
        self.budget.allow(frames=frames, held_bytes=share)

    def indices(self) -> Iterator[int]:
        """The frames to process next, until the remaining ones are better shared."""
        left = self._skip_missing(self.wanted)
        may_share = self.task.frame_range is None and self.settings.workers > 1 and self.image.is_divisible
        least = max(MIN_SHARED_SECONDS, MIN_REOPENING_RATIO * self.opening_seconds)
        yield left.popleft()
        began, made = time.perf_counter(), 0
        while left:
            if self._gives_up(left):
                return
            yield left.popleft()
            made += 1
            expected = (time.perf_counter() - began) / made * len(left)
            if may_share and self.written and expected > least:
                may_share = False
                left = self._share(left)

    def make(self, index: int) -> None:
        """Render and write one frame, or record its failure."""
        try:
            frame = self.image.frame(index, self.settings.image)
            normalized = normalize(frame, self.settings.image)
            thumbnail = resize(normalized, self.settings.image)
            text = index in self.searched and self._shows_text(normalized, index)
        except InputError as error:
            self._fail(index, error)
            self.failures_in_a_row += 1
            return
        self.failures_in_a_row = 0
        self.without_preset += PRESET_NOT_USED in frame.notes
        self.facts.update((*frame.placement.facts, *((Fact.BLANKED,) if normalized.blanked else ())))
        self.without_window += NO_SUCH_WINDOW in frame.notes
        filename = frame_filename(self.task.name, index, self.image.frame_count)
        written = write(
            thumbnail,
            frame=frame,
            filename=filename,
            encoding=self.settings.image.encoding,
            kind=self.image.instance.tags.kind,
            images=self.settings.images,
        )
        if text or frame.position != NOWHERE:
            written = replace(written, position=frame.position, text=text)
        self.written.append(written)

    def outcome(self) -> Outcome:
        """The outcome of the frames, with the identity of the file."""
        outcome = Outcome(
            self.task,
            Status.DONE,
            written=tuple(self.written),
            frame_count=self.image.frame_count,
            instance=replace(self.image.instance, reasons=self.reasons),
            failures=self.failures,
            first_failure=self.first_failure,
            without_preset=self.without_preset,
            facts=self.facts,
            without_window=self.without_window,
            remaining=self.remaining,
            patient=self.image.patient if self.written else None,
        )
        if self.settings.key is not None:
            outcome = identify_outcome(outcome, key=self.settings.key, splits=self.settings.splits)
        return judge(outcome)

    def _gives_up(self, left: Sequence[int]) -> bool:
        """Whether to give up on the remaining frames, which then count as failed."""
        if self.budget.is_spent:
            self.first_failure = None  # whatever it was, this is why most are missing
            self._fail(left[0], self.budget.error(), count=len(left))
            return True
        if self.failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            self.failures += len(left)
            return True
        return False

    def _fail(self, index: int, error: InputError, *, count: int = 1) -> None:
        self.failures += count
        self.first_failure = self.first_failure or FrameFailure(index, error.code, error.detail)

    def _skip_missing(self, wanted: Sequence[int]) -> deque[int]:
        """The frames with pixel data, and the first one without, as all others fail like it."""
        number = bisect_left(wanted, self.image.available_frames)
        self.failures += max(0, len(wanted) - number - 1)
        return deque(wanted[: number + 1])

    def _shows_text(self, normalized: Normalized, index: int) -> bool:
        """Whether a frame contains text that is not blanked: as decoded, or at full resolution if that is too small."""
        options = self.settings.image
        if normalized.grid.step > 1 and max(normalized.pixels.shape[:2]) < MIN_LEGIBLE_PIXELS:
            exact = replace(options, fidelity=Fidelity.EXACT)
            normalized = normalize(self.image.frame(index, exact), exact)
        return shows_text(blank(normalized.pixels, normalized.blanked, grid=normalized.grid))

    def _share(self, left: deque[int]) -> deque[int]:
        """Keep the frames decoded already; return the others for all workers."""
        held = self.image.predecoded()
        others = tuple(index for index in left if index not in held)
        if not others:
            return left
        self.remaining = FrameRange(others, self.image.shared_range())
        return deque(index for index in left if index in held)

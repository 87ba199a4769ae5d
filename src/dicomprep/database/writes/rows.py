"""What is written, as rows whose fields are called like the columns they are for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import xxhash

from dicomprep.models import Outcome, Status, Written
from dicomprep.privacy.allow_list import Tags
from dicomprep.privacy.burned_in import describe_risk
from dicomprep.privacy.keys import valid_uid
from dicomprep.storage.naming import folded_name, frame_stem
from dicomprep.storage.paths import readable_path

__all__ = ["FrameRow", "InputRow", "frame_rows", "input_row", "now"]

MAX_DETAIL_CHARACTERS, MAX_MODALITY_CHARACTERS = 4000, 16


class DuplicateKeys(NamedTuple):
    """What the duplicates of an input are found by; None joins nobody."""

    pixel_key: bytes | None = None
    """A digest of its stored values."""
    instance_key: int | None = None
    """A hash of its SOP Instance UID and instance number."""


@dataclass(slots=True, kw_only=True)
class InputRow:
    """A row of `files`, without what is resolved after it was written: its id, its original, its absence."""

    root: str
    path: str
    size: int
    mtime_ns: int
    ctime_ns: int | None
    version_tag: str | None
    digest: bytes
    fingerprint: str
    study_id: str
    name: str
    folded_name: str
    frame_stem: str | None
    group_folder: str | None
    status: str
    error_code: str | None
    error_detail: str | None
    frame_count: int
    frames: int
    attempts: int = 1
    """Of a row that is replaced they are counted."""
    run_id: int
    group_id: int | None
    transfer_syntax: str | None
    sop_class_uid: str | None
    sop_instance_uid: str | None
    study_instance_uid: str | None
    series_instance_uid: str | None
    frame_of_reference_key: int | None
    instance_number: int | None
    modality: str | None
    study_key: str | None
    series_key: str | None
    accession_key: str | None
    study_number_key: str | None
    tags: Tags
    extra_tags: str | None
    is_lossy: int
    header_due: int | None = None
    """Not NULL where a migration has asked for what the header says beyond what is recorded."""
    keys: DuplicateKeys


@dataclass(slots=True, kw_only=True)
class FrameRow:
    """A row of `frames`, without its id."""

    file_id: int
    frame_number: int
    filename: str
    thumbnail_path: str
    width: int
    height: int
    size: int
    digest: bytes
    transform: str
    slice_position_mm: float | None
    image_orientation: str | None
    image_position: str | None
    stack_position: int | None
    temporal_position: int | None
    burned_in: str | None
    burned_in_reasons: str | None
    likeness: int | None
    source_digest: bytes | None
    stream_digest: bytes | None
    since_run: int | None


def input_row(outcome: Outcome, *, group_ids: Mapping[str, int], run_id: int, fingerprint: str) -> InputRow:
    """What became of an input, as a row; `group_ids` has the id of its group by its key."""
    task, source, instance = outcome.task, outcome.task.source, outcome.instance
    folded = folded_name(task.name)
    return InputRow(
        root=readable_path(source.root),
        path=readable_path(source.path),
        size=source.version.size,
        mtime_ns=source.version.mtime_ns,
        ctime_ns=source.version.ctime_ns or None,
        version_tag=source.version.tag or None,
        digest=outcome.digest,
        fingerprint=fingerprint,
        study_id=task.study_id,
        name=task.name,
        folded_name=folded,
        frame_stem=frame_stem(folded),
        group_folder=task.folder or None,
        status=_recorded_status(outcome),
        error_code=outcome.error_code and outcome.error_code.value,
        error_detail=_text(outcome.error_detail, MAX_DETAIL_CHARACTERS),
        frame_count=outcome.frame_count,
        frames=len(outcome.written),
        run_id=run_id,
        group_id=group_ids.get(instance.group_key),
        transfer_syntax=valid_uid(instance.transfer_syntax),
        sop_class_uid=valid_uid(instance.sop_class_uid),
        sop_instance_uid=valid_uid(instance.sop_instance_uid),
        study_instance_uid=valid_uid(instance.study_instance_uid),
        series_instance_uid=valid_uid(instance.series_instance_uid),
        frame_of_reference_key=instance.frame_of_reference_key,
        instance_number=instance.instance_number,
        modality=_text(instance.modality, MAX_MODALITY_CHARACTERS),
        study_key=instance.study_key or None,
        series_key=instance.series_key or None,
        accession_key=instance.accession_key or None,
        study_number_key=instance.study_number_key or None,
        tags=instance.tags,
        extra_tags=instance.extra_tags,
        is_lossy=int(instance.is_lossy),
        keys=_duplicate_keys(outcome),
    )


def frame_rows(
    recorded: Iterable[tuple[int, Outcome]], since: Mapping[tuple[int, int], int | None], run_id: int
) -> list[FrameRow]:
    """The images of inputs (by file id), as rows.

    `since` has the run in which a frame (file id, number) began to show its picture, if that was not this one.
    """
    rows: list[FrameRow] = []
    for file_id, outcome in recorded:
        risk = describe_risk(outcome.instance.reasons, text=any(w.text for w in outcome.written))
        rows += [
            _frame_row(file_id, written, risk, since_run=since.get((file_id, written.frame_number), run_id))
            for written in outcome.written
        ]
    return rows


def _frame_row(file_id: int, written: Written, risk: tuple[str, str | None], *, since_run: int | None) -> FrameRow:
    position = written.position
    return FrameRow(
        file_id=file_id,
        frame_number=written.frame_number,
        filename=written.filename,
        thumbnail_path=written.thumbnail_path,
        width=written.width,
        height=written.height,
        size=written.size,
        digest=written.digest,
        transform=written.transform,
        slice_position_mm=position.slice_mm,
        image_orientation=position.orientation,
        image_position=position.point,
        stack_position=position.in_stack,
        temporal_position=position.temporal,
        burned_in=risk[0],
        burned_in_reasons=risk[1],
        likeness=written.perceptual_hash,
        source_digest=written.source_digest or None,
        stream_digest=written.stream_digest or None,
        since_run=since_run,
    )


def now() -> str:
    """The current time as the database has it: UTC in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _duplicate_keys(outcome: Outcome) -> DuplicateKeys:
    """None where there is too little in its images to tell one patient from another."""
    written, instance = outcome.written, outcome.instance
    if outcome.status is not Status.DONE or all(w.perceptual_hash is None for w in written):
        return DuplicateKeys()
    digests = [w.source_digest for w in written]
    pixels = digests[0] if len(digests) == 1 else xxhash.xxh3_128_digest(b"".join(digests))
    if not instance.sop_instance_uid:
        return DuplicateKeys(pixels or None)
    text = f"{instance.sop_instance_uid}\0{instance.instance_number}"
    return DuplicateKeys(pixels or None, xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogateescape")) - 2**63)


def _recorded_status(outcome: Outcome) -> str:
    if outcome.status is None:
        raise ValueError(f"{outcome.task.source.path} is no input")
    return outcome.status.value


def _text(value: str | None, most: int) -> str | None:
    """Text from a file as any database takes it: no lone surrogates, no NUL, not longer than its column."""
    if value is None or (value.isprintable() and len(value) <= most):
        return value
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:most]

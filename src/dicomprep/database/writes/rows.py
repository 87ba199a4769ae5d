"""Outcomes as rows: plain tuples, each value in the place of its column."""

from collections.abc import Iterable, Mapping

from dicomprep.models import Outcome
from dicomprep.privacy.burned_in import describe_risk
from dicomprep.privacy.keys import valid_uid
from dicomprep.storage.naming import folded_name, frame_stem
from dicomprep.storage.paths import readable_path

__all__ = ["file_row", "frame_rows", "late_columns"]


def file_row(outcome: Outcome, group_ids: dict[str, int], run_id: int, fingerprint: str) -> tuple[object, ...]:
    """The columns of `files` in their order, without `id` and those that came later."""
    task, source, instance = outcome.task, outcome.task.source, outcome.instance
    return (
        readable_path(source.root),
        readable_path(source.path),
        source.size,
        source.mtime_ns,
        outcome.digest,
        fingerprint,
        task.study_id,
        task.name,
        frame_stem(folded_name(task.name)),
        outcome.status and outcome.status.value,
        outcome.error_code and outcome.error_code.value,
        _text(outcome.error_detail, 4000),
        outcome.frame_count,
        len(outcome.written),
        1,  # attempts
        run_id,
        group_ids.get(instance.group_key),
        valid_uid(instance.transfer_syntax),
        valid_uid(instance.sop_class_uid),
        valid_uid(instance.sop_instance_uid),
        valid_uid(instance.study_instance_uid),
        valid_uid(instance.series_instance_uid),
        instance.instance_number,
        _text(instance.modality, 16),
        instance.study_key or None,
        instance.series_key or None,
        *instance.tags,
        instance.extra_tags,
    )


def late_columns(outcome: Outcome) -> tuple[object, ...]:
    """The columns of `files` that later versions of the schema added at its end."""
    task = outcome.task
    return task.source.ctime_ns or None, folded_name(task.name), task.folder or None, int(outcome.instance.is_lossy)


def frame_rows(
    recorded: Iterable[tuple[int, Outcome]], since: Mapping[tuple[int, int], int | None], run_id: int
) -> list[tuple[object, ...]]:
    """The columns of `frames` in their order, without `id`.

    `since` has the run in which a frame (file id, number) began to show its picture, if that was not this one.
    """
    rows: list[tuple[object, ...]] = []
    for file_id, outcome in recorded:
        risk = describe_risk(outcome.instance.reasons, text=any(w.text for w in outcome.written))
        for w in outcome.written:
            place = (w.filename, w.thumbnail_path, w.width, w.height, w.size, w.digest)
            slice_mm, orientation, *counts, point = w.position
            said = (w.transform, slice_mm, *counts, *risk, w.perceptual_hash, orientation)
            picture = (w.source_digest or None, w.stream_digest or None)
            began = since.get((file_id, w.frame_number), run_id)
            rows.append((file_id, w.frame_number, *place, *said, *picture, began, point))
    return rows


def _text(value: str | None, most: int) -> str | None:
    """Text from a file as any database takes it: no lone surrogates, no NUL, not longer than its column."""
    if value is None or (value.isprintable() and len(value) <= most):
        return value
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:most]

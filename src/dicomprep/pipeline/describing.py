"""What a file says of images of other files, beside what became of its own frames, if it has any."""

from dataclasses import replace

from dicomprep.dicom.references import describes_images, read_references
from dicomprep.errors import ErrorCode
from dicomprep.models import Outcome, Status
from dicomprep.pipeline.frame_ranges import judge
from dicomprep.storage.source import SourceFile

__all__ = ["add_references"]


def add_references(outcome: Outcome, file: SourceFile, *, max_bytes: int) -> Outcome:
    """The outcome of an open file with its references; one without pixel data is done when these are read."""
    sop_class_uid = outcome.instance.sop_class_uid
    is_part = outcome.task.frame_range is not None
    if is_part or outcome.error_code is ErrorCode.LIMIT_EXCEEDED or not describes_images(sop_class_uid):
        return outcome
    outcome = replace(outcome, references=read_references(file, sop_class_uid, max_bytes=max_bytes))
    if outcome.error_code is ErrorCode.NO_PIXEL_DATA:
        return _judge_without_pixels(outcome)
    return judge(outcome) if outcome.keeps_images and outcome.remaining is None else outcome


def _judge_without_pixels(outcome: Outcome) -> Outcome:
    found = outcome.references
    if found.error_code is not None and not found.rows:
        return replace(outcome, status=Status.FAILED, error_code=found.error_code, error_detail=found.error_detail)
    status = Status.DONE if found.error_code is None else Status.PARTIAL
    return replace(outcome, status=status, error_code=found.error_code, error_detail=found.explain())

"""What commands say to scripts: one JSON object a line, as docs/output.schema.json has it; sentences go to stderr."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

from dicomprep.pipeline.result import Result
from dicomprep.storage.paths import readable_path

__all__ = ["describe_result", "print_json", "sentences_apart"]


@contextmanager
def sentences_apart(*, apart: bool) -> Iterator[None]:
    """Within the block, what is printed for a person goes to standard error, where a script takes the output."""
    with redirect_stdout(sys.stderr if apart else sys.stdout):
        yield


def print_json(content: Mapping[str, Any]) -> None:
    """One line."""
    print(json.dumps(content, ensure_ascii=False), flush=True)


def describe_result(result: Result) -> dict[str, Any]:
    """What a run did. `found` is the sum of `statuses` and `unchanged`."""
    return {
        "folders": [readable_path(folder) for folder in result.folders],
        "output_dir": readable_path(str(result.output_dir)),
        "db": readable_path(result.db),
        "exit_code": result.exit_code,
        "interrupted": result.interrupted,
        "found": result.found,
        "unchanged": result.unchanged,
        "statuses": dict(result.statuses),
        "error_codes": dict(result.codes),
        "unchanged_error_codes": dict(result.unchanged_codes),
        "other_files": result.other_files,
        "frames_made": result.frames,
        "duplicate_files": result.duplicates,
        "images": result.total_frames,
        "images_set_apart": dict(result.set_apart),
        "images_by_split": dict(result.frames_by_split),
        "patients_by_split": dict(result.groups_by_split),
        "seconds": {timer.name: round(timer.elapsed, 3) for timer in result.timers},
        "concerns": list(result.concerns),
    }

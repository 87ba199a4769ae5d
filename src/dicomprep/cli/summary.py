"""The summary of a run: what was found, what became of it, and which command comes next."""

from collections.abc import Iterable, Iterator, Mapping

from dicomprep.cli.console import printable, wrap_line
from dicomprep.config import SPLIT_NAMES, TRAIN
from dicomprep.errors import ErrorCode, count_of
from dicomprep.models import Status
from dicomprep.pipeline.result import LINK, Result
from dicomprep.pixels.content import Fact
from dicomprep.storage.paths import readable_path

__all__ = ["print_nothing_found", "print_summary"]

RULE = "=" * 50
FOLDER = " folder"
FOLLOWING = "; --follow-links follows those that stay in the folder"

_STATUS_WORDS = {
    Status.DONE: "done",
    Status.PARTIAL: "partial",
    Status.SKIPPED: "skipped (no pixel data)",
    Status.FAILED: "failed",
    Status.QUARANTINED: "quarantined",
    Status.UNSTABLE: "in transfer",
}


def print_summary(result: Result, *, label: str, program: str, given: str) -> None:
    """The summary: times, what became of the files, the splits, and where everything lies.

    `label` are commands that come next, one a line; `program` is how this one is called, `given` the options that
    commands need to find the database.
    """
    discover, processing, insert = result.timers
    print(f"    {processing!r}\n\nUpdating database....\n  {insert!r}\n  Total in database: {result.total_frames}\n")
    print(f"{RULE}\nSUMMARY\n{RULE}")
    for timer in (discover, processing, insert):
        print(f"  {timer!r}")
    print(RULE)
    for name, text in _facts(result):
        print("\n".join(wrap_line(f"  {name:<9} {text}", indent=12)))
    if result.failed or result.unchanged_codes:
        shown = printable(given)
        print(f"  Failed    {program} status --failures{shown}\n            again: {program} retry{shown}")
    if result.interrupted:
        return
    print(f"\nPreprocessing complete. {result.total_frames:,} frames ready for labeling.")
    for word, command in zip(("Run:", "or: "), label.split("\n"), strict=False):
        print(f"{word} {printable(command)}")


def print_nothing_found(result: Result) -> None:
    """That there is nothing to do, and what was there instead."""
    for line in _not_taken(result):
        print(f"  {line}")
    print("No DICOMs found. Exiting.")


def _not_taken(result: Result) -> Iterable[str]:
    """What lies below the root and is no input."""
    if result.other_files:
        yield f"{count_of(result.other_files, 'other file')} (not DICOM)"
    if result.archives:
        named = ", ".join(map(readable_path, result.first_archives))
        more = ", …" if result.archives > len(result.first_archives) else ""
        yield f"{count_of(result.archives, 'archive')} not opened: unpack them first ({named}{more})"
    counts = {count_of(count, kind): kind for kind, count in result.passed_over.items()}
    for text, kind in counts.items():
        if not kind.endswith(FOLDER):
            yield f"{text} not opened{FOLLOWING if kind == LINK else ''}"
    folders = [text for text, kind in counts.items() if kind.endswith(FOLDER)]
    if folders:
        yield f"{', '.join(folders)} not searched; to include one, pass it as DICOM_DIR"


def _facts(result: Result) -> Iterable[tuple[str, str]]:
    counts = result.statuses
    known = [f"{counts[status]:,} {word}" for status, word in _STATUS_WORDS.items() if counts[status]]
    if result.unchanged:
        known.append(f"{result.unchanged:,} unchanged{_of_the_unchanged(result)}")
    yield "Files", f"{result.found:,} found: {', '.join(known) or 'none'}"
    if result.trusted:
        kept = f"{count_of(result.trusted, 'instance')} not fetched again"
        yield "", f"{kept}; to find headers corrected under the same UIDs (such as Patient ID): --refetch"
    yield from (("", line) for line in _not_taken(result))
    yield from (("Folder", sentence) for sentence in result.place)
    yield from (("", line) for line in _about_files(result))
    yield from _facts_of_events(result)
    yield from _facts_of_removal(result)
    codes = result.codes + result.unchanged_codes
    bad = {code: n for code, n in codes.most_common() if code != ErrorCode.NO_PIXEL_DATA}
    if bad:
        yield "Reasons", ", ".join(f"{count:,} {code}" for code, count in bad.items())
    if ErrorCode.INTERNAL in bad:
        yield "", "internal: a bug in dicomprep; please report it with `dicomprep status --failures`"
    if result.smallest is not None and result.largest is not None and result.smallest != result.largest:
        pairs = zip(result.smallest, result.largest, strict=True)
        rows, columns = (f"{least:,} to {most:,}" if least < most else f"{most:,}" for least, most in pairs)
        yield "Sizes", f"{rows} rows, {columns} columns"
    yield from _splits(result)
    yield from (("Warning:", sentence) for sentence in (*_moved_patients(result), *result.settled, *result.concerns))
    yield from _places(result)


def _splits(result: Result) -> Iterable[tuple[str, str]]:
    for split in SPLIT_NAMES:
        images, patients = result.frames_by_split.get(split, 0), result.groups_by_split.get(split, 0)
        count = f"{images:>9,} {'image ' if images == 1 else 'images'} of {count_of(patients, 'patient')}"
        yield "Splits" if split == TRAIN else "", f"{split:<5} {count}"
    if result.split_seed is not None:
        yield "", f"seed  {result.split_seed} (--split-seed)"


def _about_files(result: Result) -> Iterable[str]:
    """What is to be known of files that gave no image to train on, or another one than was asked for."""
    if result.duplicates:
        yield f"{count_of(result.duplicates, 'duplicate file')} excluded (not in `images`)"
    if result.set_apart:
        apart = ", ".join(count_of(count, kind.replace("_", " ")) for kind, count in result.set_apart.items())
        yield f"{count_of(sum(result.set_apart.values()), 'image')} set apart by kind (not in `images`): {apart}"
    if result.described:
        yield result.described
    if result.without_preset:
        yield f"{count_of(result.without_preset, 'image')} not in Hounsfield units: preset window not applied"
    if result.without_window:
        yield f"{count_of(result.without_window, 'image')} without the window asked for: the file's first one is used"
    yield from _about_placement(result.facts)


def _about_placement(facts: Mapping[Fact, int]) -> Iterator[str]:
    """How many images were cropped, oriented and blanked, and why the others were not."""
    whole = {fact: facts[fact] for fact in (Fact.FILLS_FRAME, Fact.NO_BACKGROUND, Fact.NO_PICTURE) if facts[fact]}
    kept, cropped = sum(whole.values()), facts[Fact.CROPPED]
    if kept or cropped:
        reasons = f"; {kept:,} kept whole: {_list(whole)}" if kept else ""
        yield f"cropped to content: {cropped:,} of {count_of(kept + cropped, 'image')}{reasons}"
    unsure = {fact: facts[fact] for fact in (Fact.SIDE_UNKNOWN, Fact.SIDE_CONTRADICTED) if facts[fact]}
    if facts[Fact.FLIPPED] or unsure:
        left = f"; {sum(unsure.values()):,} not mirrored: {_list(unsure)}" if unsure else ""
        yield f"oriented: {count_of(facts[Fact.FLIPPED], 'image')} flipped or turned{left}"
    if facts[Fact.BLANKED]:
        yield f"writing blanked in {count_of(facts[Fact.BLANKED], 'image')}"


def _list(facts: Mapping[Fact, int]) -> str:
    return ", ".join(f"{count:,} ({fact})" for fact, count in facts.items())


def _places(result: Result) -> Iterable[tuple[str, str]]:
    yield "Images", readable_path(f"{result.output_dir}/")
    yield "Database", readable_path(result.db)
    if result.access:
        yield "Access", result.access


def _moved_patients(result: Result) -> Iterable[str]:
    if result.moved_groups:
        moved = f"{count_of(result.moved_groups, 'patient')} of earlier runs moved to another split"
        yield f"{moved}: shared studies, IDs or images show that they are recorded under several IDs. None is labeled."


def _facts_of_removal(result: Result) -> Iterable[tuple[str, str]]:
    if result.pruned:
        yield "", f"{count_of(result.pruned, 'missing file')} removed from the database, with their images"
    if result.forgotten:
        yield "", f"{count_of(result.forgotten, 'file')} left out: forgotten (`dicomprep forget`)"


def _facts_of_events(result: Result) -> Iterable[tuple[str, str]]:
    """What became of labels, predictions, releases and annotations whose pictures are elsewhere now, or nowhere."""
    name = "Labels"
    for kind in ("label", "prediction", "release", "annotation"):
        facts = (
            (result.waiting[kind], "kept without an image (replaced or missing) until it returns"),
            (result.followed[kind], "moved along with the image"),
            (result.returned[kind], "restored: the image has returned"),
        )
        for count, fact in facts:
            if count:
                yield name, f"{kind}s of {count_of(count, 'image')} {fact}"
                name = ""


def _of_the_unchanged(result: Result) -> str:
    facts = (
        ("headers read again", result.headers),
        ("moved", result.moved),
        ("failed before", result.unchanged_codes.total()),
    )
    told = ", ".join(f"{count:,} {fact}" for fact, count in facts if count)
    return f" ({told})" if told else ""

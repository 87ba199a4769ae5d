"""Patients who can be told from others by what is recorded of them: age, sex, year of study, device."""

from collections.abc import Sequence

from dicomprep.checks.audit.section import Ground, Section
from dicomprep.database.queries.small_groups import SmallGroup, count_shown_patients, find_small_groups
from dicomprep.privacy.allow_list import AGE_CAP

__all__ = ["DEFAULT_K", "SMALL_GROUPS", "small_groups"]

SMALL_GROUPS = "small_groups"
"""The section's key in the JSON."""

DEFAULT_K = 5
MAX_LISTED_GROUPS = 8
"""Small groups of each kind listed; bounds the output."""

_KINDS: Sequence[tuple[str, ...]] = (
    ("sex",),
    ("study_year",),
    ("age_group",),
    ("age",),
    ("device",),
    ("age_group", "sex", "study_year", "device"),
    ("age", "sex", "study_year", "device"),
)
"""What is asked for: each trait alone, then all together."""

_REMEDY = (
    "Who knows a patient of such a group finds their images. Leave them out of what you give away (`dicomprep export … "
    '--where "study_year >= 2010"`), or remove or coarsen these columns there.'
)


def small_groups(ground: Ground) -> Section:
    """Values, and combinations of them, that fewer than `ground.k` patients have. They are no leak between splits."""
    rows: list[tuple[str, str, int]] = []
    shown: list[tuple[str, str, int]] = []
    notes = []
    total = count_shown_patients(ground.connection)
    for traits in _KINDS:
        groups, patients = find_small_groups(ground.connection, traits, fewer_than=ground.k)
        name = ", ".join(trait.replace("_", " ") for trait in traits)
        found = [(name, _value(group, traits), group.patients) for group in groups]
        rows += found
        shown += found[:MAX_LISTED_GROUPS]
        if groups:
            share = f"{patients:,} of {total:,} patients {'is' if patients == 1 else 'are'}"
            notes.append(f"By {name}: {share} in {len(groups):,} such group{'s' * (len(groups) > 1)}.")
    notes += [_REMEDY] if rows else [f"Each group by age, sex, year and device has {ground.k} patients or more."]
    title, columns = f"Groups of fewer than {ground.k} patients", ("by", "value", "patients")
    return Section(SMALL_GROUPS, title, columns, rows, notes=tuple(notes), shown=shown)


def _value(group: SmallGroup, traits: Sequence[str]) -> str:
    return " · ".join(_written(trait, value) for trait, value in zip(traits, group.values, strict=True))


def _written(trait: str, value: str | int | None) -> str:
    if value is None:
        return "not stated"
    if trait == "age_group":
        first = int(value)
        return f"{first}–{first + 9}" if first + 9 < AGE_CAP else f"{first} or more"
    return f"{value} or more" if trait == "age" and value == AGE_CAP else str(value)

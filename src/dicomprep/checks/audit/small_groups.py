"""Re-identification risk: small groups of patients by age, sex, year of study and device."""

from collections.abc import Sequence

from dicomprep.checks.audit.section import AuditContext, Section
from dicomprep.database.queries.small_groups import SmallGroup, count_shown_patients, find_small_groups
from dicomprep.errors import count_of
from dicomprep.privacy.allow_list import AGE_CAP

__all__ = ["DEFAULT_K", "SMALL_GROUPS", "small_groups"]

SMALL_GROUPS = "small_groups"
"""The section's key in the JSON."""

DEFAULT_K = 5
"""Patients below which a group is small, by default."""

MAX_SHOWN_GROUPS = 8
"""Groups of each kind that the table lists."""

_KINDS: Sequence[tuple[str, ...]] = (
    ("sex",),
    ("study_year",),
    ("age_group",),
    ("age",),
    ("device",),
    ("age_group", "sex", "study_year", "device"),
    ("age", "sex", "study_year", "device"),
)
"""Traits by which patients are grouped: each alone, then combined."""

_REMEDY = (
    "Anyone who knows a patient of such a group can find their images. Exclude them from shared data "
    '(`dicomprep export … --where "study_year >= 2010"`), or remove or coarsen these columns.'
)


def small_groups(context: AuditContext) -> Section:
    """Values, and combinations of them, that fewer than `context.k` patients have. They do not count as leaks."""
    rows: list[tuple[str, str, int]] = []
    shown: list[tuple[str, str, int]] = []
    notes = []
    total = count_shown_patients(context.connection)
    for traits in _KINDS:
        groups, patients = find_small_groups(context.connection, traits, fewer_than=context.k)
        name = ", ".join(trait.replace("_", " ") for trait in traits)
        found = [(name, _value(group, traits), group.patients) for group in groups]
        rows += found
        shown += found[:MAX_SHOWN_GROUPS]
        if groups:
            notes.append(f"By {name}: {patients:,} of {total:,} patients, in {count_of(len(groups), 'small group')}.")
    notes += [_REMEDY] if rows else [f"Each group by age, sex, year and device has at least {context.k} patients."]
    title, columns = f"Groups of fewer than {context.k} patients", ("by", "value", "patients")
    return Section(SMALL_GROUPS, title, columns, rows, notes=tuple(notes), shown=shown)


def _value(group: SmallGroup, traits: Sequence[str]) -> str:
    return " · ".join(_written(trait, value) for trait, value in zip(traits, group.values, strict=True))


def _written(trait: str, value: str | int | None) -> str:
    if value is None:
        return "unknown"
    if trait == "age_group":
        first = int(value)
        return f"{first}–{first + 9}" if first + 9 < AGE_CAP else f"{first} or more"
    return f"{value} or more" if trait == "age" and value == AGE_CAP else str(value)

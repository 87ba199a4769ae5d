"""Which images a gallery or a queue shows: what addresses of pages say, as conditions on the catalogue."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

from sqlalchemy import ColumnElement, Connection, exists, literal, literal_column, select

from dicomprep.database.page_schema import catalogue, current_labels, prediction_summary, skips
from dicomprep.database.queries.frames import COLUMNS, QUOTED, Choice
from dicomprep.database.queries.kinds import of_kinds
from dicomprep.database.queries.ratings import is_unsettled
from dicomprep.database.queries.releases import of_gravest
from dicomprep.database.queries.series_list import in_series
from dicomprep.database.schema import files, frames, groups, labels

__all__ = ["SPLIT", "STATES", "Filter", "conditions_of", "plain_conditions"]

SPLIT: ColumnElement[str] = (
    select(groups.c.split).where(groups.c.id == catalogue.c.group_id).correlate(catalogue).scalar_subquery()
)
STATES = ("labelled", "unlabelled", "disputed", "unsure", "skipped", "mine")
_OF_LABELED = ("labelled", "disputed", "unsure", "skipped", "mine")
_OF_READERS = ("skipped", "mine")
_KEY = re.compile(r"[0-9a-f]{32}")
_ONE: ColumnElement[int] = literal_column("1")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which images are shown; empty: all of them."""

    study: str = ""
    modality: str = ""
    split: str = ""
    state: str = ""
    label: str = ""
    prediction: str = ""
    risk: str = ""
    """Of text in the pixels: none, low or high."""
    patient: str = ""
    """Of one patient: the id of an image of his."""
    kind: str = ""
    """Kinds of images, separated by commas."""
    where: str = ""
    """A condition as `parse_condition` reads it."""
    series: str = ""
    """A condition on the view `series`, or the key of one."""
    model: str = ""
    annotator: str = ""
    """Who asks: the states skipped and mine are his."""
    choice: Choice = field(init=False, compare=False, default_factory=Choice)

    def __post_init__(self) -> None:
        """Raise ConfigError where `kind`, `where` or `series` is wrong."""
        kinds = tuple(filter(None, self.kind.split(",")))
        series = (self.series,) if _KEY.fullmatch(self.series) else self.series
        choice = Choice(kind=kinds, where=self.where or None, series=series)
        object.__setattr__(self, "choice", choice)

    @classmethod
    def of(cls, asked: Mapping[str, str], *, model: str, annotator: str = "") -> "Filter":
        """From what a page asks for; what is no filter is left out."""
        stated = {name: asked[name] for name in cls.names() if name in asked}
        return cls(model=model, annotator=annotator if asked.get("state") in _OF_READERS else "", **stated)

    @classmethod
    def names(cls) -> list[str]:
        """What an address may filter by."""
        return [one.name for one in fields(cls) if one.init and one.name not in ("model", "annotator")]

    @property
    def stated(self) -> dict[str, str]:
        """What it filters by, as in an address."""
        return {name: value for name in self.names() if (value := getattr(self, name))}

    @property
    def is_of_labeled(self) -> bool:
        """Whether labeled images are asked for: they are reviewed, one after the other."""
        speaks = re.search(r"\b(label|unsure)\b", QUOTED.sub("", self.where), re.IGNORECASE)
        return bool(self.label or self.state in _OF_LABELED or speaks)


def plain_conditions(connection: Connection, wanted: Filter) -> Iterator[ColumnElement[bool]]:
    """Those of a filter that are asked of each row of the catalogue: all but `risk` and `prediction`."""
    for name, column in (
        ("study", catalogue.c.study_id),
        ("modality", catalogue.c.modality),
        ("label", catalogue.c.label),
    ):
        if value := getattr(wanted, name):
            yield column == value
    if wanted.split:
        yield literal(wanted.split) == SPLIT  # asked of each image: groups may be many
    if wanted.state in STATES:
        yield _in_state(wanted.state, wanted.annotator)
    if wanted.patient:
        yield catalogue.c.group_id == _group_of(connection, wanted.patient)
    if wanted.kind or wanted.where or wanted.series:
        yield _is_chosen(wanted.choice)


def conditions_of(connection: Connection, wanted: Filter) -> Sequence[ColumnElement[bool]]:
    """All of a filter, each as a condition on a row of the catalogue."""
    conditions = list(plain_conditions(connection, wanted))
    if wanted.risk:
        here = frames.c.id == catalogue.c.frame_id
        risky = select(_ONE).select_from(frames).where(here, of_gravest("burned_in") == wanted.risk)
        conditions.append(exists(risky.correlate(catalogue)))
    if wanted.prediction:
        here = prediction_summary.c.frame_id == catalogue.c.frame_id
        of_model = (prediction_summary.c.model == wanted.model) & (prediction_summary.c.label == wanted.prediction)
        conditions.append(exists().where(here, of_model))
    return conditions


def _is_chosen(choice: Choice) -> ColumnElement[bool]:
    """What the catalogue does not tell; the kinds are the catalogue's unless others are asked for."""
    conditions = [of_kinds(choice.kind)] if choice.kind else []
    conditions += [in_series(choice.series)] if choice.series else []
    stated = choice.condition(COLUMNS)
    joined = frames.join(files, files.c.id == frames.c.file_id).join(groups, groups.c.id == files.c.group_id)
    found = select(_ONE).select_from(joined).where(frames.c.id == catalogue.c.frame_id, *conditions)
    return exists((found if stated is None else found.where(stated)).correlate(catalogue))


def _in_state(state: str, annotator: str) -> ColumnElement[bool]:
    if state == "disputed":
        return is_unsettled()
    if state == "unlabelled":
        return catalogue.c.label.is_(None) & (catalogue.c.votes < literal_column("2"))
    if state == "unsure":
        stands = current_labels.c.event_id == labels.c.id
        return exists().where(labels.c.frame_id == catalogue.c.frame_id, labels.c.unsure == _ONE, stands)
    mine = (current_labels.c.frame_id == catalogue.c.frame_id) & (current_labels.c.annotator == annotator)
    if state == "skipped":
        here = (skips.c.frame_id == catalogue.c.frame_id) & (skips.c.annotator == annotator)
        return exists().where(here) & ~exists().where(mine)
    if state == "mine":
        return exists().where(mine)
    return catalogue.c.label.is_not(None) | (catalogue.c.votes > _ONE)  # several may differ


def _group_of(connection: Connection, frame_id: str) -> int:
    number = int(frame_id) if frame_id.isascii() and frame_id.isdigit() and len(frame_id) < 19 else 0
    return connection.execute(select(catalogue.c.group_id).where(catalogue.c.frame_id == number)).scalar() or -1

"""A map-style data set for torch's DataLoader, and a plain sequence without torch."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from operator import index as as_index
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.frames import KEYS, Choice
from dicomprep.database.queries.selection import Selection, read_selection
from dicomprep.database.queries.versions import LostImage, describe_lost, lost_images
from dicomprep.errors import ConfigError
from dicomprep.training.augmenting import taking_arrays
from dicomprep.training.batches import AnnotatedBatch, Batch, Sample, make_batch, require_one_kind
from dicomprep.training.drawings import Drawings, read_drawings
from dicomprep.training.normalizing import MEASURED_IMAGES, Normalization, Normalize, measure, read_normalize
from dicomprep.training.reading import read_thumbnail, with_channels
from dicomprep.training.records import NO_FOLD, Record, UnitRecord
from dicomprep.training.sampling import BalancedSampler, class_weights, positive_weights
from dicomprep.training.slices import Slices, arrange, order_slices, require_slices, stack_channels, stack_slices
from dicomprep.training.targets import UNLABELED, Labels, Wanted
from dicomprep.training.units import IMAGE, Units, label_units, require_unit
from dicomprep.workspace import Database, Workspace

__all__ = ["UNLABELED", "Dataset"]


Transform = Callable[[Any], Any]
_PLURALS = {"image": "images", "series": "series", "study": "studies", "patient": "patients"}


class Dataset:
    """The images of a database as (array, target, record), in the order of their ids.

    `array` is (rows, columns) gray or (rows, columns, 3) RGB, uint8 or uint16; with `channels` 1 or 3 always the one or
    the other, which batches of mixed images need. It passes through `transform`, where one is given. `target` is the
    number of the label in `classes`, -1 without a label. `record` says what the database knows of the frame.

    `labels` chooses frames by their label: None takes all, "any" those that have one, a sequence of names those with
    one of these (it is then `classes`, in its order), a mapping those with one of its keys, with the values as targets.
    With `multi` an image may have several, as `dicomprep label --multi` gives them: a target is then (classes,) float32
    of 0 and 1, all -1 without a label; a sequence names the columns, and any labeled frame is taken, for that a name
    is missing is known of it.
    `labels="number"` takes what is labeled with a number, float32; `labels="text"` gives labels as texts.

    `unit` is what has a target: "image", "series", "study" or "patient", by labels of that level. A sample of a larger
    unit is (list of arrays, target, `UnitRecord`). With `inherit` a unit without a label of its own has that of the
    nearest wider one: an image that of its series, study or patient.

    With `neighbours=n` the n slices before and behind an image are its channels, (rows, columns, 2n + 1): those next to
    it in its series by position, whatever is selected. Where they are not there, at ends and gaps, the last one is
    repeated; never is a channel of another time point, echo, b-value, phase, orientation, or held back.
    With `slices=n` and unit="series" a sample is (array, target, `UnitRecord`): n evenly spaced slices in their order,
    (n, rows, columns[, channels]). Of a series of fewer, slices come repeatedly. `transform` gets the whole array.

    `split` is train, val, test, or several of them. `where` is a condition as for `dicomprep export --where`. `kind` is
    a kind of images or several of them, as for `--kind`: by default original and derived; `all` for any.
    `series` are keys of series, or a condition on the view `series`: `series="plane = 'axial' AND volume = 'yes'"`.
    `version` is the name of one that `dicomprep freeze` recorded: its images, splits, labels and classes, in the order
    of its keys, whatever has been labeled since. Images that are no longer given are in `lost`; a warning counts them.

    With `annotations` a sample has a fourth element: `Annotations`, what is drawn on the image in pixels of its
    thumbnail. A `transform` gets the array alone: it must not move pixels, or they are moved afterwards.

    `normalize` makes values float32, after `transform`: "imagenet", (mean, std) of values from 0 to 1, or "dataset": as
    images of train that `where`, `kind` and `series` choose have them, whatever `split` is.

    The database is read once, here; nothing stays open. The object can be pickled, and is safe in worker processes.
    Raises ConfigError where there is no such database or an option is wrong; reading a missing image, EnvironmentFault.
    """

    def __init__(  # noqa: PLR0913
        self,
        db: Database = DEFAULT_DB,
        *,
        split: str | Sequence[str] = (),
        labels: Labels = None,
        transform: Transform | None = None,
        where: str | None = None,
        kind: str | Sequence[str] = (),
        channels: int | None = None,
        multi: bool = False,
        unit: str = IMAGE,
        inherit: bool = False,
        version: str | None = None,
        series: str | Sequence[str] = (),
        neighbours: int = 0,
        slices: int | None = None,
        annotations: bool = False,
        normalize: Normalize = None,
    ) -> None:
        if annotations and unit != IMAGE:
            raise ConfigError(f'annotations=True, unit="{unit}": drawings are of images.')
        require_unit(unit)
        require_slices(neighbours=neighbours, slices=slices, unit=unit, channels=channels)
        wanted = Wanted(labels, multi)
        splits = (split,) if isinstance(split, str) else tuple(split)
        kinds = (kind,) if isinstance(kind, str) else tuple(kind)
        plain = unit == IMAGE and not inherit  # what is not chosen need not be read
        named, labeled = (wanted.names if not multi else (), wanted.needs_label) if plain else ((), False)
        twins = slices is not None and version is None
        choice = Choice(
            split=splits, label=named, labeled=labeled, kind=kinds, where=where, version=version, series=series,
            twins=twins,
        )  # fmt: skip
        workspace = Workspace.of(db)
        read = _read(workspace, choice, unit, plain=plain, inherit=inherit, ordered=bool(neighbours or slices))
        self._selection, self._order = read.selection, read.order
        self.lost: tuple[LostImage, ...] = read.lost
        """Images of the version that are no longer given: the key, the reason and, if it has one, the file name."""
        if self.lost:
            warnings.warn(f"{describe_lost(self.lost)} (Dataset.lost)", stacklevel=2)
        wanted.require_known(read.units.known, read.selection.order)
        self._units = arrange(read.units.subset(wanted.choose(read.units.label)), self._order, neighbours, slices)
        self._neighbours, self._slices, self._images = neighbours, slices, workspace.images
        self.transform, self.channels, self.multi, self.unit = transform, channels, multi, unit
        self.normalization = _normalization(workspace, normalize, where, kind, series)
        self.classes: tuple[str, ...] = wanted.classes(self._units.known, read.selection.order, padded=version is None)
        """The names of the labels; a target is an index into them, unless labels were mapped."""
        self.targets: NDArray[Any] = wanted.targets(self._units.label, self.classes)
        """The target of every image or unit."""
        self._drawings = _read_drawings(workspace, version) if annotations else None
        self.annotation_classes: tuple[str, ...] = self._drawings.classes if self._drawings else ()
        """The classes of what is drawn, in the order of their numbers, with `annotations`."""

    def __len__(self) -> int:
        return len(self._units)

    def __getitem__(self, index: int) -> Sample:
        """(array, target, record) of one frame, or (arrays, target, record) of a unit; IndexError beyond the last."""
        number = self._number(index)
        target = self.targets[number]
        said = target.copy() if self.multi else target if isinstance(target, str) else target.item()
        sample = (self._arrays(number), said, self.record(number) if self.unit == IMAGE else self.unit_record(number))
        return sample if self._drawings is None else (*sample, self._drawings.of(self.record(number).id))

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """The samples of one batch: what torch asks for, and where mixed images are noticed."""
        samples = [self[index] for index in indices]
        if self.transform is None and (self.unit == IMAGE or self._slices):
            require_one_kind(samples)
        return samples

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        count, classes = f"{len(self):,} {_PLURALS[self.unit]}", ", ".join(self.classes) or "none"
        return f"Dataset({count}, classes {classes}, below {self._images.address})"

    def record(self, index: int) -> Record:
        """What the database says of one frame, without reading its image; of a unit, of its first one."""
        return self._record(int(self._units.of(self._number(index))[0]))

    def unit_record(self, index: int) -> UnitRecord:
        """What the database says of one unit and its images, without reading these."""
        number = self._number(index)
        records = tuple(map(self._record, self._units.of(number).tolist()))
        return UnitRecord(self.unit, records[0].patient_key, records[0].split, self._units.label[number] or "", records)

    def path(self, index: int) -> str:
        """Where the image of one frame lies."""
        return self._images.where(self.record(index).thumbnail_path)

    def batch(self, indices: Sequence[int]) -> Batch | AnnotatedBatch:
        """Some frames as arrays, ready for a network; ConfigError where gray and color are mixed.

        Images of different sizes are padded to the largest of them, as `Batch` says.
        """
        if self.unit != IMAGE and not self._slices:
            raise ConfigError(f'unit="{self.unit}": a {self.unit} may have any number of images; stack them yourself.')
        return make_batch(self.__getitems__(indices))

    def class_weights(self) -> NDArray[np.float32]:
        """Weigh classes for a loss: inverse to how often each occurs, 1 on average over the labeled frames.

        Returns (classes,) float32, in the order of `classes`.

        With `multi` the `pos_weight` of torch's BCEWithLogitsLoss: how many frames are without a class for one with it.
        """
        if self.multi:
            return positive_weights(self.targets)
        return class_weights(self._class_numbers(), len(self.classes))

    def sampler(self, by: str = "patient", *, length: int | None = None, seed: int = 0) -> BalancedSampler:
        """Indices drawn so that each patient (`by="patient"`) or class (`by="class"`) comes as often as any other.

        Patients who were joined are one.

        Give it to a DataLoader as `sampler`. An epoch has `length` draws, by default as many as there are frames. With
        `multi`, frames of no class count as one class more.
        """
        if by not in ("patient", "class"):
            raise ConfigError(f'by="{by}": choose patient or class.')
        if by == "patient":
            codes = self._selection.coded("group_key").codes[self._units.rows[self._units.starts[:-1]]]
            return BalancedSampler(codes, length=length, seed=seed)
        if not self.multi:
            return BalancedSampler(self._class_numbers(), length=length, seed=seed)
        none = (self.targets == 0).all(axis=1, keepdims=True)
        members, groups = np.nonzero(np.hstack((self.targets > 0, none)))
        return BalancedSampler(groups, members=members, length=length, seed=seed)

    def _number(self, index: int) -> int:
        number = as_index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"index {number} is out of range for {len(self)} {_PLURALS[self.unit]}")
        return number % len(self)

    def _arrays(self, number: int) -> Any:  # noqa: ANN401
        """The array of an image, those of a unit, or that of a bag."""
        rows = self._units.of(number).tolist()
        if self._slices is not None:
            read = {row: self._array(row) for row in set(rows)}
            return self._transformed(stack_slices([read[row] for row in rows], self.record(number).filename))
        arrays = [self._transformed(self._array(row)) for row in rows]
        return arrays[0] if self.unit == IMAGE else arrays

    def _transformed(self, array: NDArray[Any]) -> Any:  # noqa: ANN401
        done = array if self.transform is None else taking_arrays(self.transform)(array)
        return done if self.normalization is None else self.normalization(done)

    def _array(self, row: int) -> NDArray[Any]:
        if self._order is None or not self._neighbours:
            columns = self._selection.columns
            return self._read(columns["thumbnail_path"][row], columns["digest"][row] if "digest" in columns else None)
        places = self._order.around(row, self._neighbours)
        read = {place: self._read(*self._order.image(place)) for place in set(places)}
        return stack_channels([read[place] for place in places], self._selection.columns["filename"][row])

    def _read(self, path: str, digest: bytes | None) -> NDArray[Any]:
        return with_channels(read_thumbnail(self._images, path, digest), self.channels)

    def _record(self, row: int) -> Record:
        known = Record._make("" if v is None else v for v in self._selection.row(row, Record._fields))
        return known if known.fold != "" else known._replace(fold=NO_FOLD)  # type: ignore[comparison-overlap]

    def _class_numbers(self) -> NDArray[np.int64]:
        return Wanted(self.classes, multi=False).targets(self._units.label, self.classes)


def _normalization(
    workspace: Workspace,
    normalize: Normalize,
    where: str | None,
    kind: str | Sequence[str],
    series: str | Sequence[str],
) -> Normalization | None:
    """What `normalize` asks for, "dataset" by images of train that are evenly spaced."""
    if normalize != "dataset":
        return read_normalize(normalize)
    train = Dataset(workspace, split="train", where=where, kind=kind, series=series)
    places = np.unique(np.linspace(0, len(train) - 1, min(MEASURED_IMAGES, len(train))).astype(int))
    return measure(train[place][0] for place in places.tolist())


def _read_drawings(workspace: Workspace, version: str | None) -> Drawings:
    with workspace.reading() as connection:
        return read_drawings(connection, version=version)


class _Read(NamedTuple):
    selection: Selection
    units: Units
    order: Slices | None
    lost: tuple[LostImage, ...]


def _read(workspace: Workspace, choice: Choice, unit: str, *, plain: bool, inherit: bool, ordered: bool) -> _Read:
    workspace.require_images()
    if choice.series or ordered:
        workspace.refresh_series()
    version = choice.version
    with workspace.reading() as connection:
        digest, keys = ("digest",) if workspace.output.is_remote else (), KEYS if ordered or not plain else ()
        selection = read_selection(connection, (*Record._fields, *digest, *keys), choice)
        units = label_units(connection, selection, unit, inherit=inherit, version=version)
        order = order_slices(connection, selection, version=version) if ordered else None
        return _Read(selection, units, order, () if version is None else tuple(lost_images(connection, version)))

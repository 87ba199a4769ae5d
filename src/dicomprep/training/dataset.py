"""A map-style data set for torch's DataLoader, and a plain sequence without torch."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import index as as_index
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.frames import Choice
from dicomprep.database.queries.selection import Selection, read_selection
from dicomprep.database.queries.versions import LostImage, describe_lost, lost_images
from dicomprep.errors import ConfigError
from dicomprep.extras import load_extra
from dicomprep.training.reading import read_thumbnail, with_channels
from dicomprep.training.sampling import BalancedSampler, class_weights, positive_weights
from dicomprep.workspace import Database, Workspace

__all__ = ["UNLABELED", "Batch", "Dataset", "Record", "collate"]

UNLABELED = -1
"""The target of a frame that has no label."""


NO_FOLD = -1
"""The fold of a frame that is in none."""


class Record(NamedTuple):
    """What the database says of a frame. Texts are empty where nothing is known, so that any loader can batch them."""

    id: int
    filename: str
    study_id: str
    thumbnail_path: str
    """Below the output folder."""
    frame_number: int
    split: str
    modality: str
    patient_key: str
    label: str
    width: int
    height: int
    series_instance_uid: str
    group_key: str
    """The same for all images of a patient, also of one who is known by several IDs."""
    fold: int
    """From 0; -1 without a fold, as in test."""


Labels = str | Sequence[str] | Mapping[str, float] | None
Transform = Callable[[Any], Any]
Sample = tuple[Any, Any, Record]


class Batch(NamedTuple):
    """Samples side by side, as a network takes them."""

    images: Any
    """(n, channels, rows, columns) float32 from 0 to 1."""
    targets: Any
    """(n,) int64, or float32 where labels are mapped to such; (n, classes) float32 of a data set with `multi`."""
    records: tuple[Record, ...]


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
    `split` is train, val, test, or several of them. `where` is a condition as for `dicomprep export --where`. `kind` is
    a kind of images or several of them, as for `--kind`: by default original and derived; `all` for any.
    `version` is the name of one that `dicomprep freeze` recorded: its images, splits, labels and classes, in the order
    of its keys, whatever has been labeled since. Images that are no longer given are in `lost`; a warning counts them.

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
        version: str | None = None,
    ) -> None:
        if channels not in (None, 1, 3):
            raise ConfigError(f"channels={channels}: choose 1, 3 or None.")
        named = labels if isinstance(labels, str) and labels != "any" else None
        if named is not None:
            raise ConfigError(f'labels="{named}": give names in a list, or "any".')
        if multi and isinstance(labels, Mapping):
            raise ConfigError("labels: a mapping gives one target per image; with multi=True, give names in a list.")
        wanted = () if labels is None or isinstance(labels, str) else tuple(labels)
        splits = (split,) if isinstance(split, str) else tuple(split)
        kinds = (kind,) if isinstance(kind, str) else tuple(kind)
        labeled = labels is not None if multi else labels == "any"
        choice = Choice(
            split=splits,
            label=() if multi else wanted,
            labeled=labeled,
            kind=kinds,
            where=where,
            version=version,
        )
        workspace = Workspace.of(db)
        workspace.require_images()
        with workspace.reading() as connection:
            columns = (*Record._fields, "digest") if workspace.output.is_remote else Record._fields
            self._selection: Selection = read_selection(connection, columns, choice)
            self.lost: tuple[LostImage, ...] = () if version is None else tuple(lost_images(connection, version))
            """Images of the version that are no longer given: the key, the reason and, if it has one, the file name."""
        if self.lost:
            warnings.warn(f"{describe_lost(self.lost)} (Dataset.lost)", stacklevel=2)
        self._images = workspace.images
        self.transform, self.channels, self.multi = transform, channels, multi
        self.classes: tuple[str, ...] = wanted or _class_names(self._selection, multi=multi)
        """The names of the labels; a target is an index into them, unless labels were mapped."""
        self.targets: NDArray[Any] = (
            _marks(self._selection, self.classes) if multi else _targets(self._selection, self.classes, labels)
        )
        """The target of every frame."""

    def __len__(self) -> int:
        return len(self._selection)

    def __getitem__(self, index: int) -> Sample:
        """(array, target, record) of one frame; IndexError beyond the last."""
        number = self._number(index)
        record = self.record(number)
        digests = self._selection.columns.get("digest")
        digest = digests[number] if digests else None
        pixels = with_channels(read_thumbnail(self._images, record.thumbnail_path, digest), self.channels)
        array = pixels if self.transform is None else self.transform(pixels)
        target = self.targets[number]
        return array, target.copy() if self.multi else target.item(), record

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """The samples of one batch: what torch asks for, and where mixed images are noticed."""
        samples = [self[index] for index in indices]
        if self.transform is None:
            _require_alike(samples)
        return samples

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return (
            f"Dataset({len(self):,} images, classes {', '.join(self.classes) or 'none'}, below {self._images.address})"
        )

    def record(self, index: int) -> Record:
        """What the database says of one frame, without reading its image."""
        values = self._selection.row(self._number(index), Record._fields)
        known = Record._make("" if value is None else value for value in values)
        return known if known.fold != "" else known._replace(fold=NO_FOLD)  # type: ignore[comparison-overlap]

    def path(self, index: int) -> str:
        """Where the image of one frame lies."""
        return self._images.where(self._selection.columns["thumbnail_path"][self._number(index)])

    def batch(self, indices: Sequence[int]) -> Batch:
        """Some frames as arrays, ready for a network; ConfigError where gray and color are mixed."""
        samples = self.__getitems__(indices)
        return Batch(_stack(samples), _numbers([target for _, target, _ in samples]), tuple(s[2] for s in samples))

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

        Give it to a DataLoader as `sampler`. An epoch has `length` draws, by default as many as there are frames. With
        `multi`, frames of no class count as one class more.
        """
        if by not in ("patient", "class"):
            raise ConfigError(f'by="{by}": choose patient or class.')
        if by == "patient":
            return BalancedSampler(self._selection.coded("patient_key").codes, length=length, seed=seed)
        if not self.multi:
            return BalancedSampler(self._class_numbers(), length=length, seed=seed)
        none = (self.targets == 0).all(axis=1, keepdims=True)
        members, groups = np.nonzero(np.hstack((self.targets > 0, none)))
        return BalancedSampler(groups, members=members, length=length, seed=seed)

    def _number(self, index: int) -> int:
        number = as_index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"index {number} is out of range for {len(self)} images")
        return number % len(self)

    def _class_numbers(self) -> NDArray[np.int64]:
        return _by_label(self._selection, {name: number for number, name in enumerate(self.classes)}, np.int64)


def collate(samples: Sequence[Sample]) -> Batch:
    """A batch of torch tensors: `collate_fn` for a DataLoader over a Dataset without a transform."""
    torch = load_extra("torch", extra="torch", purpose="collate")
    targets = torch.from_numpy(_numbers([target for _, target, _ in samples]))
    return Batch(torch.from_numpy(_stack(samples)), targets, tuple(record for _, _, record in samples))


def _targets(selection: Selection, classes: Sequence[str], labels: Labels) -> NDArray[Any]:
    if isinstance(labels, Mapping):
        whole = all(isinstance(value, int) for value in labels.values())
        return _by_label(selection, labels, np.int64 if whole else np.float32)
    return _by_label(selection, {name: number for number, name in enumerate(classes)}, np.int64)


def _class_names(selection: Selection, *, multi: bool) -> tuple[str, ...]:
    """The labels that occur; with several to an image, what they are made of."""
    if not multi:
        return selection.classes
    return tuple(sorted({name for label in selection.classes for name in label.split(",") if name}))


def _marks(selection: Selection, classes: Sequence[str]) -> NDArray[np.float32]:
    """(n, classes): 1 where a frame's label has the class, else 0; -1 without a label."""
    label = selection.coded("label")
    known = np.zeros((len(label.values), len(classes)), np.float32)
    for row, value in zip(known, label.values, strict=True):
        row[:] = UNLABELED if value is None else np.isin(classes, value.split(","))
    return known[label.codes]


def _by_label(selection: Selection, numbers: Mapping[str, float], dtype: type[Any]) -> NDArray[Any]:
    """The number of each frame's label."""
    label = selection.coded("label")
    known = np.array([numbers.get(value, UNLABELED) for value in label.values], dtype)
    return known[label.codes] if len(selection) else np.zeros(0, dtype)


def _numbers(targets: Sequence[Any]) -> NDArray[Any]:
    return np.array(targets, np.int64 if all(isinstance(target, int) for target in targets) else np.float32)


def _stack(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """(n, channels, rows, columns) from 0 to 1."""
    _require_alike(samples)
    first = np.asarray(samples[0][0])
    channels = 3 if first.ndim == 3 else 1
    stacked = np.empty((len(samples), channels, *first.shape[:2]), np.float32)
    scale = np.float32(1 / np.iinfo(first.dtype).max)
    for place, (pixels, _, _) in zip(stacked, samples, strict=True):
        np.multiply(pixels.transpose(2, 0, 1) if channels == 3 else pixels[None], scale, out=place)
    return stacked


def _require_alike(samples: Sequence[Sample]) -> None:
    if not samples:
        raise ConfigError("The batch is empty: give at least one index.")
    first = samples[0]
    for pixels, _, record in samples:
        if pixels.ndim != first[0].ndim:
            gray, color = (record, first[2]) if pixels.ndim == 2 else (first[2], record)
            message = f"{gray.filename} is grayscale and {color.filename} is color, and a batch holds only one kind"
            raise ConfigError(f"{message}: use Dataset(…, channels=3), or 1.")
        if pixels.shape != first[0].shape:
            message = f"{record.filename} has {pixels.shape[:2]} pixels and {first[2].filename} {first[0].shape[:2]}"
            raise ConfigError(f"{message}: they come from runs with different --size; select with `where`.")

"""Balanced sampling of frames, by patient or by class."""

import math
import os
import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ConfigError

__all__ = ["BalancedSampler", "class_weights", "positive_weights"]


class BalancedSampler:
    """Indices drawn with replacement, each group as likely as any other: a `sampler` for torch's DataLoader.

    Every iteration is another epoch: the draws differ, and are the same in every process with the same seed. Where
    several processes train together (torch.distributed, or `RANK` and `WORLD_SIZE` as torchrun sets them), each gets
    its share of the draws, as many as the others.
    """

    def __init__(
        self,
        groups: NDArray[np.integer],
        *,
        members: NDArray[np.integer] | None = None,
        length: int | None = None,
        seed: int = 0,
    ) -> None:
        """`groups` has one number an index; indices with a negative one are never drawn.

        With `members`, (n,) indices, `groups` says of which group each of these is; one may be in several.
        """
        order = np.argsort(groups, kind="stable")[np.count_nonzero(groups < 0) :]
        _, self._starts, self._counts = np.unique(groups[order], return_index=True, return_counts=True)
        self._indices = (order if members is None else members[order]).astype(np.int64)
        self._length = np.unique(self._indices).size if length is None else length
        self._seed, self._epoch = seed, 0
        if self._indices.size == 0:
            raise ConfigError("No frames to sample from: none has a patient, or a label, to balance by.")

    def __len__(self) -> int:
        """Draws of one epoch, in this process."""
        return math.ceil(self._length / _world()[1])

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng((self._seed, self._epoch))
        self._epoch += 1
        rank, processes = _world()
        length = len(self) * processes
        group = random.integers(self._counts.size, size=length)
        member = (random.random(length) * self._counts[group]).astype(np.int64)
        return iter(self._indices[self._starts[group] + member][rank::processes].tolist())

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be that of `epoch`, as after a restart."""
        self._epoch = epoch


def _world() -> tuple[int, int]:
    """Which of how many processes that train together this one is; torch is asked where it is loaded."""
    distributed = getattr(sys.modules.get("torch"), "distributed", None)
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    try:
        rank, processes = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return 0, 1
    return (rank, processes) if 0 <= rank < processes else (0, 1)


def class_weights(targets: NDArray[np.integer], classes: int) -> NDArray[np.float32]:
    """Weigh classes for a loss: inverse to how often each occurs, 1 on average over the frames; 0 for one without any.

    `targets` are (n,) class numbers; negative ones have no label. Returns (classes,) float32.

    >>> class_weights(np.array([0, 0, 0, 1, 1, 1, 1, 1, 1]), 2).tolist()
    [1.5, 0.75]
    """
    counts = np.bincount(targets[targets >= 0], minlength=classes)
    occurring = max(1, int(np.count_nonzero(counts)))
    weights = np.divide(counts.sum(), counts * occurring, out=np.zeros(classes), where=counts > 0)
    return weights.astype(np.float32)


def positive_weights(targets: NDArray[np.floating]) -> NDArray[np.float32]:
    """Weigh classes for one binary loss each: how many frames have 0 for one with 1; 0 where none has 1.

    `targets` are (n, classes) of 1, 0 and -1 (no label). Returns (classes,) float32, the `pos_weight` of torch.

    >>> positive_weights(np.array([[1, 0], [0, 0], [0, 0], [-1, -1]], np.float32)).tolist()
    [2.0, 0.0]
    """
    positive, negative = (np.count_nonzero(targets == value, axis=0) for value in (1, 0))
    return np.divide(negative, positive, out=np.zeros(targets.shape[1]), where=positive > 0).astype(np.float32)

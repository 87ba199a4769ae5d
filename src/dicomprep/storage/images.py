"""The store of images at a place, whatever kind of place that is."""

import os

from dicomprep.storage.base import ImageStore
from dicomprep.storage.paths import OWN_PREFIX
from dicomprep.storage.place import Place

__all__ = ["holds_images", "open_images"]


def open_images(place: Place) -> ImageStore:
    """The store at a place; nothing is asked of it yet."""
    if place.is_remote:
        from dicomprep.storage.object_images import ObjectImages

        return ObjectImages(place.text)
    from dicomprep.storage.local_images import LocalImages

    return LocalImages(place.text)


def holds_images(place: Place) -> bool:
    """Whether a place holds anything but what this program keeps there for itself."""
    if place.is_remote:
        entries = open_images(place).entries("")
        return any(not entry.path.startswith(OWN_PREFIX) for entry in entries)
    if not place.path.is_dir():
        return False
    with os.scandir(place.path) as found:
        return any(not entry.name.startswith(OWN_PREFIX) for entry in found)

"""Raw DICOM files in; training-ready images, a database and hold-out splits out."""

from typing import TYPE_CHECKING, Any

from dicomprep.version import VERSION

if TYPE_CHECKING:
    from dicomprep.api import Processed, preprocess, process_dicom
    from dicomprep.errors import (
        ConfigError,
        DicomprepError,
        EnvironmentFault,
        ErrorCode,
        ExportError,
        InputError,
        LabelError,
    )
    from dicomprep.pipeline.result import Result
    from dicomprep.pipeline.timing import Timer
    from dicomprep.pixels.image_file import decode_image
    from dicomprep.pixels.png import decode_png
    from dicomprep.training.batches import Batch, collate
    from dicomprep.training.dataset import Dataset
    from dicomprep.training.drawings import Annotations
    from dicomprep.training.frame import StoredFrame, frame
    from dicomprep.training.records import Record, UnitRecord
    from dicomprep.training.tables import frames, to_fastai
    from dicomprep.volumetric.select import volume, volumes
    from dicomprep.volumetric.volume import Volume

__all__ = [
    "Annotations",
    "Batch",
    "ConfigError",
    "Dataset",
    "DicomprepError",
    "EnvironmentFault",
    "ErrorCode",
    "ExportError",
    "InputError",
    "LabelError",
    "Processed",
    "Record",
    "Result",
    "StoredFrame",
    "Timer",
    "UnitRecord",
    "Volume",
    "collate",
    "decode_image",
    "decode_png",
    "frame",
    "frames",
    "preprocess",
    "process_dicom",
    "to_fastai",
    "volume",
    "volumes",
]

__version__ = VERSION

_HOMES = {
    "Processed": "api",
    "preprocess": "api",
    "process_dicom": "api",
    "Result": "pipeline.result",
    "Timer": "pipeline.timing",
    "decode_image": "pixels.image_file",
    "decode_png": "pixels.png",
    "Batch": "training.batches",
    "Dataset": "training.dataset",
    "collate": "training.batches",
    "Annotations": "training.drawings",
    "Record": "training.records",
    "UnitRecord": "training.records",
    "StoredFrame": "training.frame",
    "frame": "training.frame",
    "frames": "training.tables",
    "to_fastai": "training.tables",
    "Volume": "volumetric.volume",
    "volume": "volumetric.select",
    "volumes": "volumetric.select",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  (heavy modules are imported when first asked for)
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"dicomprep.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

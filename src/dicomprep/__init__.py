"""Raw DICOM files in; training-ready images, a database and hold-out splits out."""

from typing import TYPE_CHECKING, Any

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
    from dicomprep.result import Result
    from dicomprep.timing import Timer

__all__ = [
    "ConfigError",
    "DicomprepError",
    "EnvironmentFault",
    "ErrorCode",
    "ExportError",
    "InputError",
    "LabelError",
    "Processed",
    "Result",
    "Timer",
    "preprocess",
    "process_dicom",
]

_HOMES = {
    "Processed": "api",
    "preprocess": "api",
    "process_dicom": "api",
    "Result": "result",
    "Timer": "timing",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  (heavy modules are imported when first asked for)
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"dicomprep.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""Source → Frames: open a file once, decode each of its frames once."""

from dataclasses import dataclass

from dicomprep.config import ImageOptions
from dicomprep.dicom.corrections import resolve_pixel_element, resolve_sampling, resolve_transfer_syntax
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.header import read_header
from dicomprep.dicom.layout import read_layout, require_room
from dicomprep.dicom.patient import PatientIdentity, read_patient
from dicomprep.dicom.pixel_data import PixelData
from dicomprep.dicom.placement import Placer
from dicomprep.dicom.ranges import is_label_map
from dicomprep.errors import ErrorCode, InputError
from dicomprep.models import Frame, Instance
from dicomprep.pipeline.stages.frame_reader import FrameReader
from dicomprep.pixels.content import Placement
from dicomprep.pixels.intensity import ValueRange
from dicomprep.pixels.stored import Layout
from dicomprep.storage.source import MemoryFile, SourceFile

__all__ = ["DicomImage", "decode"]


@dataclass(frozen=True, slots=True)
class DicomImage:
    """A file that holds an image: what it is, and its frames on demand."""

    instance: Instance
    patient: PatientIdentity
    frame_count: int
    layout: Layout
    _reader: FrameReader

    def frame(self, index: int, options: ImageOptions) -> Frame:
        """Decode frame `index` (from 0) to stored values and all that draws them; InputError where that cannot be done.

        `options` replace the file's windows, and let codecs decode fewer rows and columns. Returns pixels, sign-
        extended (PS3.5 8.1.1), (rows, columns[, 3]) of any dtype, and a palette (entries, 3) uint16.
        """
        self._reader.options = options
        return self._reader.frame(index)

    @property
    def available_frames(self) -> int:
        """For so many frames there are pixels, at least some; those after them cannot be drawn."""
        return self._reader.data.available_frames

    @property
    def is_divisible(self) -> bool:
        """Any frame can be decoded without those before it."""
        return not self._reader.data.is_video

    def predecoded(self) -> frozenset[int]:
        """Frames that are decoded already, for they were needed to measure the file's range."""
        return frozenset(self._reader.predecoded)

    def shared_range(self) -> ValueRange | None:
        """The range shared by all frames without a window; None until it is needed."""
        return self._reader.range

    def take_shared_range(self, found: ValueRange | None) -> None:
        """Take over what was measured when the file was opened elsewhere."""
        self._reader.range = found

    def attributes(self, index: int) -> FrameAttributes:
        """What the header says of a frame."""
        return FrameAttributes(self._reader.header.attributes, index)

    def placement(self, options: ImageOptions) -> Placement:
        """What part of all frames is drawn under these options, and which way round."""
        return self._reader.placer.place(options)


def decode(file: SourceFile | MemoryFile, *, max_bytes: int, extra: tuple[str, ...] = ()) -> DicomImage:
    """Read the header of an open file (PS3.10) and make its frames, (rows, columns[, 3]), available; none is decoded.

    `max_bytes` bounds what an inflated data set or a decoded frame may take; `extra` are keywords beyond the
    allow-list. Raises InputError: `not_dicom`, `no_pixel_data` (NoImage), or why the image cannot be drawn.
    """
    header = read_header(file, max_bytes=max_bytes, extra=extra)
    instance = header.instance()
    pixels = header.pixels
    if pixels is None or pixels.length == 0:
        raise NoImage(instance, header.explain_no_image())
    layout, notes = read_layout(header.attributes, pixels.keyword)
    pixels, element_notes = resolve_pixel_element(header, pixels, layout)
    layout, sampling_notes = resolve_sampling(header, pixels, layout)
    syntax, syntax_notes = resolve_transfer_syntax(header, pixels, layout)
    require_room(layout, file_size=file.size, max_bytes=max_bytes)
    patient = read_patient(header.attributes)
    data = PixelData(header, pixels, layout, syntax)
    layout = data.layout
    notes = (*header.encoding.notes, *notes, *element_notes, *sampling_notes, *syntax_notes, *data.notes)
    reader = FrameReader(header, data, layout, notes, is_label_map(header.attributes), Placer(header, data))
    return DicomImage(instance, patient, data.frame_count, layout, reader)


class NoImage(InputError):
    """A valid DICOM file that holds no image; its header is known all the same."""

    def __init__(self, instance: Instance, detail: str) -> None:
        super().__init__(ErrorCode.NO_PIXEL_DATA, detail)
        self.instance = instance

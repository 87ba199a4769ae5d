"""Files that say something of images, as highdicom makes them of a small CT series; structure sets by hand."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, RTStructureSetStorage, generate_uid

from tests.building import REST_NS, make_dicom

__all__ = [
    "make_key_images",
    "make_presentation",
    "make_report",
    "make_segmentation",
    "make_series",
    "make_structure_set",
    "save",
]

ROWS, COLUMNS = 16, 16
DEVICE = {
    "series_instance_uid": generate_uid(entropy_srcs=["what describes"]),
    "series_number": 9,
    "instance_number": 1,
    "manufacturer": "M",
    "manufacturer_model_name": "MM",
    "software_versions": "1",
    "device_serial_number": "S",
}
STUDY, SERIES, SPACE = (generate_uid(entropy_srcs=[word]) for word in ("study", "series", "space"))


def make_series(folder: Path, count: int = 4, *, patient_id: str = "P1") -> list[Dataset]:
    """Slices of CT, 2.5 mm apart; what highdicom wants of a source is in them."""
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 1000, (ROWS, COLUMNS), dtype=np.uint16)
        make_dicom(
            folder / f"{number}.dcm",
            pixels,
            patient_id=patient_id,
            SOPClassUID=CTImageStorage,
            SOPInstanceUID=generate_uid(entropy_srcs=["slice", str(number)]),
            StudyInstanceUID=STUDY,
            SeriesInstanceUID=SERIES,
            FrameOfReferenceUID=SPACE,
            PositionReferenceIndicator="",
            InstanceNumber=number + 1,
            ImagePositionPatient=[-10, -20, 100 - 2.5 * number],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[0.5, 0.5],
            SliceThickness=2.5,
            RescaleSlope=1,
            RescaleIntercept=-1024,
            WindowCenter=40,
            WindowWidth=400,
            PatientBirthDate="",
            PatientSex="O",
            StudyID="1",
            AccessionNumber="",
            StudyDate="20200101",
            StudyTime="",
            ReferringPhysicianName="",
        )
    return [dcmread(folder / f"{number}.dcm") for number in range(count)]


def save(dataset: Dataset, path: Path) -> Path:
    """Write a file that has been lying there for a while."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)
    rested = path.stat().st_mtime_ns - REST_NS
    os.utime(path, ns=(rested, rested))
    return path


def make_segmentation(
    sources: Sequence[Dataset], masks: NDArray[Any] | None = None, *, labels: Sequence[str] = ("liver",), **options: Any
) -> Dataset:
    """A segmentation of slices: (slices, rows, columns, segments), by default a square on each in each segment."""
    if masks is None:
        masks = np.zeros((len(sources), ROWS, COLUMNS, len(labels)), bool)
        for segment in range(len(labels)):
            masks[:, 2 + segment : 12, 3:12, segment] = True
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver if number == 1 else codes.SCT.Spleen,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, label in enumerate(labels, 1)
    ]
    with warnings.catch_warnings(action="ignore"):
        return hd.seg.Segmentation(
            source_images=list(sources),
            pixel_array=masks.astype(np.uint8),
            segmentation_type=options.pop("segmentation_type", hd.seg.SegmentationTypeValues.BINARY),
            segment_descriptions=described,
            sop_instance_uid=generate_uid(entropy_srcs=["seg", *labels]),
            **DEVICE,
            **options,
        )


def make_report(sources: Sequence[Dataset], *, tracking: str = "Lesion 1") -> Dataset:
    """A report of TID 1500: a length and a diagnosis of a region in the first slice, a mean of the second."""
    context = hd.sr.ObservationContext(
        observer_person_context=hd.sr.ObserverContext(
            observer_type=codes.DCM.Person,
            observer_identifying_attributes=hd.sr.PersonObserverIdentifyingAttributes(name="Doe^John"),
        )
    )
    first, second = sources[0], sources[1]
    region = hd.sr.ImageRegion(
        graphic_type=hd.sr.GraphicTypeValues.POLYLINE,
        graphic_data=np.array([[1, 1], [9, 1], [9, 9], [1, 1]]),
        source_image=hd.sr.SourceImageForRegion(first.SOPClassUID, first.SOPInstanceUID),
    )
    groups = [
        hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.sr.TrackingIdentifier(generate_uid(entropy_srcs=["a"]), tracking),
            referenced_region=region,
            finding_type=codes.SCT.Nodule,
            finding_sites=[hd.sr.FindingSite(codes.SCT.Lung)],
            measurements=[hd.sr.Measurement(codes.SCT.Diameter, 12.5, codes.UCUM.Millimeter)],
            qualitative_evaluations=[
                hd.sr.QualitativeEvaluation(
                    name=hd.sr.CodedConcept("276214006", "SCT", "Findings category type"), value=codes.SCT.Cyst
                )
            ],
        ),
        hd.sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.sr.TrackingIdentifier(generate_uid(entropy_srcs=["b"]), tracking),
            source_images=[hd.sr.SourceImageForMeasurementGroup(second.SOPClassUID, second.SOPInstanceUID)],
            measurements=[hd.sr.Measurement(codes.SCT.Mean, -119.5, codes.UCUM.HounsfieldUnit)],
        ),
    ]
    content = hd.sr.MeasurementReport(
        observation_context=context,
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    names = ("series_instance_uid", "series_number", "instance_number", "manufacturer")
    return hd.sr.Comprehensive3DSR(
        evidence=list(sources),
        content=content[0],
        sop_instance_uid=generate_uid(entropy_srcs=["sr", tracking]),
        institution_name="I",
        **{name: DEVICE[name] for name in names},
    )


def make_key_images(sources: Sequence[Dataset], *, description: str | None = None) -> Dataset:
    """A Key Object Selection of all slices given."""
    content = hd.ko.KeyObjectSelection(
        document_title=codes.DCM.ForTeaching, referenced_objects=list(sources), description=description
    )
    names = ("series_instance_uid", "series_number", "instance_number", "manufacturer")
    return hd.ko.KeyObjectSelectionDocument(
        evidence=list(sources),
        content=content,
        sop_instance_uid=generate_uid(entropy_srcs=["ko", str(description)]),
        institution_name="I",
        **{name: DEVICE[name] for name in names},
    )


def make_presentation(sources: Sequence[Dataset], *, label: str = "NODULE") -> Dataset:
    """A grayscale presentation state of slices, which draws a line on the first and writes beside it."""
    line = hd.pr.GraphicObject(
        graphic_type=hd.pr.GraphicTypeValues.POLYLINE,
        graphic_data=np.array([[1.0, 1.0], [9.0, 9.0]]),
        units=hd.pr.AnnotationUnitsValues.PIXEL,
    )
    text = hd.pr.TextObject("Doe^John", units=hd.pr.AnnotationUnitsValues.PIXEL, anchor_point=(2.0, 2.0))
    annotation = hd.pr.GraphicAnnotation(
        referenced_images=[sources[0]],
        graphic_layer=(layer := hd.pr.GraphicLayer("LAYER1", order=1)),
        graphic_objects=[line],
        text_objects=[text],
    )
    return hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=list(sources),
        sop_instance_uid=generate_uid(entropy_srcs=["pr", label]),
        content_label=label,
        graphic_annotations=[annotation],
        graphic_layers=[layer],
        **DEVICE,
    )


def make_structure_set(path: Path, sources: Sequence[Dataset], *, name: str = "Liver", by_plane: bool = False) -> Path:
    """A structure set of a region with two contours on the first slice and one on the second, and an empty one."""
    heights = [0, 0, 1]
    contours = []
    for slice_number in heights:
        x, y, z = (float(part) for part in sources[slice_number].ImagePositionPatient)
        image = {
            "ReferencedSOPClassUID": sources[slice_number].SOPClassUID,
            "ReferencedSOPInstanceUID": sources[slice_number].SOPInstanceUID,
        }
        contour = {
            "ContourGeometricType": "CLOSED_PLANAR",
            "NumberOfContourPoints": 3,
            "ContourData": [x, y, z, x + 1, y, z, x + 1, y + 1, z],
        }
        contours.append(contour if by_plane else contour | {"ContourImageSequence": [image]})
    study = {"RTReferencedSeriesSequence": [{"SeriesInstanceUID": sources[0].SeriesInstanceUID}]}
    return make_dicom(
        path,
        PixelData=None,
        SOPClassUID=RTStructureSetStorage,
        Modality="RTSTRUCT",
        ReferencedFrameOfReferenceSequence=[
            {"FrameOfReferenceUID": sources[0].FrameOfReferenceUID, "RTReferencedStudySequence": [study]}
        ],
        StructureSetROISequence=[
            {"ROINumber": number, "ReferencedFrameOfReferenceUID": sources[0].FrameOfReferenceUID, "ROIName": words}
            for number, words in ((1, name), (2, "PTV"))
        ],
        ROIContourSequence=[{"ReferencedROINumber": 1, "ContourSequence": contours}],
        RTROIObservationsSequence=[
            {"ReferencedROINumber": 1, "RTROIInterpretedType": "ORGAN"},
            {"ReferencedROINumber": 2, "RTROIInterpretedType": "PTV"},
        ],
    )

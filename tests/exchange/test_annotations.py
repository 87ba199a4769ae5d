"""Annotations in the formats of other programs: out, and in again, to a hundredth of a pixel."""

import csv
import json
import pickle
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dicomprep
from dicomprep.database.queries.annotations import Drawn, all_annotations
from dicomprep.database.queries.frames import Choice
from dicomprep.database.writes.annotations import GivenAnnotation, add_annotations
from dicomprep.database.writes.store import Store
from dicomprep.errors import ConfigError
from dicomprep.exchange.annotation_export import export_annotations
from dicomprep.exchange.annotations import AnnotationsImported, import_annotations
from dicomprep.exchange.drawings.base import Pixels
from dicomprep.exchange.drawings.registry import DrawingFormatName
from dicomprep.exchange.export import export_frames
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.exchange.versions import freeze
from dicomprep.pixels.shapes import Shape, ShapeKind
from tests.building import make_dicom
from tests.describing import make_segmentation, make_series, save
from tests.running import Place, cli, set_labels

FILES = {DrawingFormatName.LABELSTUDIO: "out.json", DrawingFormatName.CVAT: "out.xml", DrawingFormatName.CSV: "out.csv"}
BOX = Drawn(shape=Shape.box(3.125, 10.3, 30.7, 55.5), label="Nodule", note="smooth, =1+1")
OTHER_BOX = Drawn(shape=Shape.box(0, 0, 60, 90), label="Łung")
POINT = Drawn(shape=Shape(ShapeKind.POINT, ((5.4, 66.5),)), label="Nodule")
POLYGON = Drawn(shape=Shape(ShapeKind.POLYGON, ((4, 5), (40.2, 7.7), (33, 80.1), (9.5, 60))), label="Łung")
DRAWN = {0: (BOX, POINT, POLYGON), 1: (BOX, BOX), 2: (OTHER_BOX,)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Images whose pixels are no squares, cropped to a canvas that is none; a label without a drawing on one."""
    place = Place(tmp_path_factory.mktemp("Ä annotated"))
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 4000, (60, 90), dtype=np.uint16)
        make_dicom(place.source / f"Ä p{number}/IMG.dcm", pixels, patient_id=f"P{number}", PixelSpacing=[2.0, 1.0])
    place.run(size="64x48", fit="crop", split="40/40/20")
    store, ids = Store(place.address), dict(place.rows("SELECT filename, id FROM images"))
    with store.transaction() as connection:
        for number, several in DRAWN.items():
            name = "Ann" if number else "Łukasz"
            add_annotations(connection, [GivenAnnotation(ids[f"Ä p{number}/IMG"], one, name) for one in several])
    store.close()
    set_labels(place, {"Ä p3/IMG": "normal"})
    return place


def copy_without_annotations(place: Place, base: Path) -> Place:
    import shutil

    shutil.copytree(place.base, base)
    other = Place(base)
    store = Store(other.address)
    with store.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM annotation_events")
    store.close()
    return other


def drawn_in(place: Place) -> dict[str, list[tuple]]:
    names = {frame_id: name for name, frame_id in place.rows("SELECT filename, id FROM images")}
    found: dict[str, list[tuple]] = {}
    with place.workspace.reading() as connection:
        for one in all_annotations(connection):
            drawn = one.drawn
            found.setdefault(names[one.frame_id], []).append((drawn.shape, drawn.label, drawn.note, one.annotator))
    return found


def distance(one: Shape, other: Shape) -> float:
    return float(np.abs(one.array - other.array).max())


@pytest.mark.parametrize("pixels", Pixels)
@pytest.mark.parametrize("format", sorted(set(DrawingFormatName) - {DrawingFormatName.YOLO, DrawingFormatName.MASKS}))
def test_they_come_back(place: Place, tmp_path: Path, format: DrawingFormatName, pixels: Pixels) -> None:
    out = tmp_path / FILES.get(format, "out")
    done = export_annotations(place.workspace, format, out, pixels=pixels)
    assert (done.images, done.annotated, done.shapes, dict(done.left_out)) == (4, 3, 6, {})
    other = copy_without_annotations(place, tmp_path / "copy")
    came = import_annotations(other.workspace, format, out, pixels=pixels)
    assert (came.recorded, came.unchanged, came.told, came.matched.unmatched) == (6, 0, (), [])
    before, after = drawn_in(place), drawn_in(other)
    assert before.keys() == after.keys()
    for name, several in before.items():
        assert sorted(map(str, (said[1:] for said in several))) == sorted(map(str, (said[1:] for said in after[name])))
        for shape, *said in several:
            twins = [s for s, *rest in after[name] if rest == said and s.kind is shape.kind]
            assert min(distance(shape, twin) for twin in twins) < 0.01
    again = import_annotations(other.workspace, format, out, pixels=pixels)
    assert (again.recorded, again.unchanged) == (0, 6)
    assert b"P0" not in b"".join(f.read_bytes() for f in ([out] if out.is_file() else out.iterdir()))


def test_yolo_has_images_beside_labels_and_empty_files_for_negatives(place: Place, tmp_path: Path) -> None:
    out = tmp_path / "yolo"
    done = export_annotations(place.workspace, DrawingFormatName.YOLO, out)
    assert (done.images, done.shapes, list(done.left_out.values())) == (4, 6, [1])
    texts = {f.stem: f.read_text().splitlines() for f in out.glob("labels/*/*.txt")}
    assert sorted(map(len, texts.values())) == [0, 1, 2, 2]
    assert {f.stem for f in out.glob("images/*/*.png")} == set(texts)
    numbers = [float(word) for lines in texts.values() for line in lines for word in line.split()[1:]]
    assert min(numbers) >= 0
    assert max(numbers) <= 1
    other = copy_without_annotations(place, tmp_path / "copy")
    came = import_annotations(other.workspace, DrawingFormatName.YOLO, out, annotator="Ann")
    assert (came.recorded, came.told) == (5, ())
    boxes = [s for several in drawn_in(other).values() for s, *_ in several if s.kind is ShapeKind.BOX]
    assert sum(distance(box, BOX.shape) < 0.01 for box in boxes) == 3


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_opens_in_pycocotools(place: Place, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    export_annotations(place.workspace, DrawingFormatName.COCO, tmp_path / "coco")
    seen = 0
    for file in (tmp_path / "coco").glob("*.json"):
        opened = coco.COCO(file)
        for one in opened.loadAnns(opened.getAnnIds()):
            seen += 1
            image = opened.imgs[one["image_id"]]
            if one["segmentation"]:
                mask = opened.annToMask(one)
                assert mask.shape == (image["height"], image["width"])
        assert {c["name"] for c in opened.loadCats(opened.getCatIds())} == {"Nodule", "Łung"}
    assert seen == 6


def test_cvat_and_label_studio_have_the_form_that_they_document(place: Place, tmp_path: Path) -> None:
    export_annotations(place.workspace, DrawingFormatName.CVAT, tmp_path / "out.xml")
    root = ET.parse(tmp_path / "out.xml").getroot()
    assert (root.tag, root.findtext("version"), root.findtext("meta/task/size")) == ("annotations", "1.1", "4")
    labels = {label.findtext("name") for label in root.iter("label")}
    for image in root.iter("image"):
        assert {"id", "name", "width", "height", "subset"} <= set(image.keys())
        for shape in image:
            assert shape.get("label") in labels
            assert shape.tag in ("box", "points", "polygon")
            assert {"occluded", "source", "z_order"} <= set(shape.keys())
    export_annotations(place.workspace, DrawingFormatName.LABELSTUDIO, tmp_path / "out.json")
    for task in json.loads((tmp_path / "out.json").read_text()):
        assert task["data"]["image"].endswith(".png")
        for result in (r for one in task["annotations"] for r in one["result"]):
            value = result["value"]
            assert {"id", "type", "from_name", "to_name", "original_width", "original_height"} <= result.keys()
            assert isinstance(value[result["type"]], list)


def coco_of(place: Place, *annotations: dict, size: tuple[int, int] | None = None) -> dict:
    name = "Ä p4/IMG.dcm"
    height, width = size or (60, 90)
    return {
        "images": [
            {"id": 7, "file_name": name, "height": height, "width": width},
            {"id": 8, "file_name": "strange.png"},
        ],
        "categories": [{"id": 1, "name": "Mass"}],
        "annotations": [{"id": n, "image_id": 7, "category_id": 1, **one} for n, one in enumerate(annotations)],
    }


def imported(place: Place, base: Path, content: object, **options: object) -> AnnotationsImported:
    path = base / "given.json"
    path.write_text(json.dumps(content))
    return import_annotations(place.workspace, DrawingFormatName.COCO, path, pixels=Pixels.SOURCE, **options)


def test_what_is_none_is_named_and_the_rest_comes(place: Place, tmp_path: Path) -> None:
    other = copy_without_annotations(place, tmp_path / "copy")
    given = coco_of(
        place,
        {"bbox": [1, 2, 3, 4]},
        {"bbox": [80, 2, 30, 4]},  # 1: reaches beyond
        {"bbox": [100, 2, 3, 4]},  # 2: outside
        {"bbox": [1, 2, float("nan"), 4]},
        {"bbox": [1, 2, 1e999, 4]},
        {"bbox": ["a", 2, 3, 4]},
        {"bbox": [1, 2, 0, 4]},
        {"bbox": [1, 2]},
        {"bbox": None},
        {"segmentation": [[1, 1] * 10_001]},
        {"segmentation": [[1, 1, 2, 2]]},
        {"segmentation": [[1, 1, 9, 2, 5, 9], [20, 20, 29, 20, 25, 29]]},
        {"segmentation": {"size": [60, 90], "counts": "x"}, "bbox": [5, 5, 9, 9]},
        {"keypoints": [1, 2, 2] * 17},
        {"bbox": [1, 2, 3, 4], "image_id": 99},
        {"bbox": [1, 2, 3, 4], "image_id": 8},
        {"bbox": [1, 2, 3, 4], "category_id": {"a": 1}},
        {"bbox": [-10, -10, 300, 300], "attributes": {"annotator": "a,b"}},
        {"bbox": [1, 1, 300, 1e300]},
    )
    given["annotations"] += [7, None, []]
    done = imported(other, tmp_path, given)
    assert done.recorded == 5
    told = "\n".join(done.told)
    for words in (
        "2 × reaches beyond its image: cut to it: annotation 1; annotation 17",
        "1 × lies outside of its image: annotation 2",
        "a coordinate is not a number: annotation 3; annotation 4; annotation 5",
        "a box without an area: annotation 6",
        "a polygon of 2 corners: annotation 10",
        "a polygon needs pairs of coordinates, at most 10,000",
        "an object of several polygons",
        "a mask: imported as its box",
        "a skeleton of several keypoints",
        "of an image that the file does not have",
        "not what the format has",
        "or with a comma",
    ):
        assert words in told, words
    assert [done.matched.table.lines[row] for row in done.matched.unmatched] == [2]
    widest = max(float(s.bounds[3]) for several in drawn_in(other).values() for s, *_ in several)
    assert widest <= 90


def test_a_file_made_for_other_pixels_is_named_with_the_remedy(place: Place, tmp_path: Path) -> None:
    other = copy_without_annotations(place, tmp_path / "copy")
    path = tmp_path / "given.json"
    path.write_text(json.dumps(coco_of(place, {"bbox": [1, 2, 3, 4]})))
    done = cli(other.base, "annotations", "import", "coco", path, "--db", other.db)
    assert done.returncode == 0
    assert "1 × of an image of 90×60 pixels, which has 48×64 here (--pixels source): annotation" in done.stdout
    assert "1 of 2 rows matches no image" in done.stdout
    path.write_text(json.dumps(coco_of(place, {"bbox": [1, 2, 3, 4]}, size=(61, 90))))
    done = cli(other.base, "annotations", "import", "coco", path, "--db", other.db, "--pixels", "source")
    assert "0 annotations recorded" in done.stdout


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("coco", "[]"),
        ("coco", '{"images": 1, "annotations": []}'),
        ("coco", "[" * 100_000),
        ("labelstudio", '{"a": 1}'),
        ("labelstudio", "[1]"),
        ("cvat", "<a/>"),
        ("cvat", '<!DOCTYPE a [<!ENTITY b "b">]><annotations>&b;</annotations>'),
        ("cvat", "<annotations>"),
        ("yolo", ""),
        ("csv", "filename,label\na,b\n"),
        ("csv", "patient_id,x,y\nP1,2,3\n"),
    ],
)
def test_files_that_are_something_else_are_refused(place: Place, tmp_path: Path, format: str, content: str) -> None:
    path = tmp_path / "given.csv"
    path.write_text(content)
    with pytest.raises(ConfigError):
        import_annotations(place.workspace, DrawingFormatName(format), path)


@pytest.mark.parametrize(
    "rows",
    [
        ["Image Index,Finding Label,Bbox [x,y,w,h]", "Ä p4/IMG.dcm,Mass,1,2,30,40"],  # NIH
        ["patientId,x,y,width,height,Target", "Ä p4/IMG,1,2,30,40,1", "Ä p3/IMG,,,,,0"],  # RSNA
        ["image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max", "Ä p4/IMG,Mass,3,R9,1,2,31,42"],  # VinDr
    ],
)
def test_tables_of_data_sets_are_read_as_they_are(place: Place, tmp_path: Path, rows: list[str]) -> None:
    other = copy_without_annotations(place, tmp_path / "copy")
    (tmp_path / "t.csv").write_text("\n".join(rows), encoding="utf-8")
    by = "patientId=filename" if "patientId" in rows[0] else None
    done = import_annotations(other.workspace, DrawingFormatName.CSV, tmp_path / "t.csv", pixels=Pixels.SOURCE, by=by)
    assert done.recorded == 1
    [(shape, label, _, who)] = drawn_in(other)["Ä p4/IMG"]
    assert shape == Shape.box(2, 1, 42, 31)
    assert (label, who) == {0: ("Mass", "imported"), 1: (None, "imported"), 2: ("Mass", "R9")}[
        ["Index", "patientId", "rad_id"].index(next(w for w in ("Index", "patientId", "rad_id") if w in rows[0]))
    ]


def test_what_is_turned_becomes_a_polygon(place: Place, tmp_path: Path) -> None:
    other = copy_without_annotations(place, tmp_path / "copy")
    value = {"x": 50, "y": 50, "width": 20, "height": 20, "rotation": 90, "rectanglelabels": ["Mass"]}
    result = {"type": "rectanglelabels", "original_width": 90, "original_height": 60, "value": value}
    task = {"data": {"image": "/data/upload/3/1a2b3c4d-IMG.dcm"}, "annotations": [{"result": [result]}]}
    task["data"]["image"] = "/data/local-files/?d=Ä p4/IMG.dcm"
    (tmp_path / "t.json").write_text(json.dumps([task]))
    done = import_annotations(other.workspace, DrawingFormatName.LABELSTUDIO, tmp_path / "t.json", pixels=Pixels.SOURCE)
    assert (done.recorded, done.told) == (1, ())
    [(shape, *_)] = drawn_in(other)["Ä p4/IMG"]
    assert shape.kind is ShapeKind.POLYGON
    assert np.allclose(shape.bounds, (30, 33, 48, 45))


def test_the_commands_say_what_they_did(place: Place, tmp_path: Path) -> None:
    done = cli(place.base, "annotations", "export", "csv", tmp_path / "a.csv", "--db", place.db, "--split", "train")
    assert done.returncode == 0
    assert "Wrote " in done.stdout
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} <= {"train"}
    assert "'=1+1" not in str(rows)  # the formula is not at the cell's start
    assert cli(place.base, "annotations", "export", "cvat", tmp_path / "a.csv", "--db", place.db).returncode == 2
    options = {"choice": Choice(held=True), "unlabeled": True}
    assert export_annotations(place.workspace, DrawingFormatName.COCO, tmp_path / "c", **options).images == 5


def test_a_dataset_gives_them_in_pixels_of_the_thumbnail(place: Place) -> None:
    data = dicomprep.Dataset(place.db, annotations=True)
    assert data.annotation_classes == ("Nodule", "Łung")
    samples = {record.filename[:4]: (drawn, record) for _, _, record, drawn in data}
    drawn, record = samples["Ä p0"]
    assert (drawn.boxes.shape, drawn.points.shape, len(drawn.polygons)) == ((1, 4), (1, 2), 1)
    assert (drawn.labels.tolist(), drawn.point_labels.tolist(), drawn.polygon_labels.tolist()) == ([0], [0], [1])
    frame = dicomprep.frame(record.id, db=place.db)
    assert np.abs(frame.to_source(drawn.boxes) - BOX.shape.bounds).max() < 0.01
    whole, _ = samples["Ä p2"]
    assert whole.boxes.tolist() == [[0, 0, 64, 48]]  # cut to what the thumbnail shows
    assert whole.xyxy.tolist() == [[0, 0, 48, 64]]
    assert all(len(one) == 0 for one in samples["Ä p4"][0])
    batch = dicomprep.collate([data[0], data[4]])
    assert [type(one) for one in batch.annotations] == [dicomprep.Annotations] * 2
    assert dicomprep.collate([dicomprep.Dataset(place.db)[0]]).annotations == ()
    pickle.loads(pickle.dumps(data))
    with pytest.raises(ConfigError, match="of images"):
        dicomprep.Dataset(place.db, annotations=True, unit="study")


def test_a_version_keeps_what_was_drawn(place: Place, tmp_path: Path) -> None:
    other = copy_without_annotations(place, tmp_path / "copy")
    store, frame_id = Store(other.address), other.rows("SELECT id FROM images ORDER BY id")[0]
    with store.transaction() as connection:
        add_annotations(connection, [GivenAnnotation(frame_id, BOX, "Ann")])
    freeze(other.workspace, "v1")
    with store.transaction() as connection:
        add_annotations(connection, [GivenAnnotation(frame_id, POINT, "Ann")])
    store.close()
    kept = {r.id: drawn for _, _, r, drawn in dicomprep.Dataset(other.db, annotations=True, version="v1")}[frame_id]
    now = dicomprep.Dataset(other.db, annotations=True)[0][3]
    assert (len(kept.boxes), len(kept.points), len(now.boxes), len(now.points)) == (1, 0, 1, 1)
    out = tmp_path / "v.csv"
    done = export_annotations(other.workspace, DrawingFormatName.CSV, out, choice=Choice(version="v1", held=True))
    assert done.shapes == 1


@pytest.mark.parametrize("kind", [Format.FOLDER, Format.WEBDATASET])
def test_exports_have_them_beside_their_images(place: Place, tmp_path: Path, kind: Format) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        export_frames(kind, out, place.workspace, options=ExportOptions(annotations=True))
    found = {path.stem: json.loads(path.read_text()) for path in (out / "annotations").iterdir()}
    assert sum(len(one["images"]) for one in found.values()) == 5
    assert sum(len(one["annotations"]) for one in found.values()) == 6
    for split, one in found.items():
        for image in one["images"]:
            assert (image["width"], image["height"]) == (48, 64)
            assert kind is not Format.FOLDER or (out / image["file_name"]).is_file()
            assert split in image["file_name"] or kind is not Format.FOLDER
    with pytest.raises(ConfigError, match="annotations"):
        export_frames(kind, out, place.workspace, options=ExportOptions())


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("pixels", Pixels)
def test_segments_of_seg_files_are_masks_of_coco(tmp_path: Path, pixels: Pixels) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    place = Place(tmp_path)
    slices = make_series(place.source / "ct")
    save(make_segmentation(slices[:2], labels=("liver", "spleen")), place.source / "seg.dcm")
    place.run(size="64x48", fit="pad", split="100/0/0")
    given = ("annotations", "export", "coco", "c", "--db", place.db, "--segments", "--pixels", pixels)
    done = cli(place.base, *given)
    assert "Wrote 4 annotations on 2 of 2 images" in done.stdout, done.stderr
    opened = coco.COCO(place.base / "c" / "train.json")
    whole = np.zeros((16, 16), bool)
    whole[2:12, 3:12] = True
    areas = []
    for one in opened.loadAnns(opened.getAnnIds()):
        mask, image = opened.annToMask(one).astype(bool), opened.imgs[one["image_id"]]
        assert mask.shape == (image["height"], image["width"])
        assert mask.sum() == one["area"]
        areas.append(int(mask.sum()))
        rows, columns = np.nonzero(mask)
        assert one["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        if pixels is Pixels.SOURCE and opened.cats[one["category_id"]]["name"] == "Liver":
            assert (mask == whole).all()
    scale = 1 if pixels is Pixels.SOURCE else 9
    assert sorted(areas) == sorted([90 * scale, 81 * scale] * 2)
    assert cli(place.base, *given[:2], "cvat", "x.xml", *given[4:]).returncode == 2
    assert cli(place.base, *given[:2], "masks", "m", *given[4:]).returncode == 0
    names = (place.base / "m" / "classes.txt").read_text().splitlines()
    for one in opened.loadAnns(opened.getAnnIds()):
        number = names.index(opened.cats[one["category_id"]]["name"]) + 1
        key = Path(opened.imgs[one["image_id"]]["file_name"]).stem
        with Image.open(place.base / "m" / "train" / str(number) / f"{key}.png") as picture:
            assert (np.asarray(picture) == opened.annToMask(one) * 255).all()
    assert len(list((place.base / "m").rglob("*.png"))) == len(areas)
    with pytest.raises(ConfigError, match="not imported"):
        import_annotations(place.workspace, DrawingFormatName.MASKS, place.base / "m")

"""Exports of annotation tools that use all that their formats offer, for an image of 40x30."""

import base64
import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from samples import picture

AT = {"left": 4, "top": 3, "width": 16, "height": 12}
CORNERS = {"x1": 4, "y1": 3, "x2": 20, "y2": 15}
VERTICES = [[4, 3], [20, 3], [20, 15]]
POINTS = [{"x": x, "y": y} for x, y in VERTICES]
RECT = {"name": "rect", "x": 4, "y": 3, "width": 16, "height": 12}


def write(folder: Path, name: str, content: object, images: Sequence[str] = ("a.png",)) -> Path:
    """Writes a JSON file, or JSON lines from a tuple, and images; returns the folder."""
    for image in images:
        picture(folder / image)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = content if isinstance(content, tuple) else (content,)
    path.write_text("\n".join(map(json.dumps, lines)))
    return folder


def region(shape: dict, **attributes: object) -> dict:
    """A region of VIA 1 or 2."""
    return {"shape_attributes": shape, "region_attributes": attributes}


def via(folder: Path, *regions: object) -> Path:
    image = {"filename": "a.png", "size": 9, "regions": list(regions), "file_attributes": {}}
    return write(folder, "via.json", {"a.png9": image})


def rich_via(folder: Path) -> Path:
    xs, ys = [4, 20, 20], [3, 3, 15]
    ellipse = {"name": "ellipse", "cx": 20, "cy": 15, "rx": 10, "ry": 5}
    shapes = (
        {"name": "polygon", "all_points_x": xs, "all_points_y": ys},
        {"name": "circle", "cx": 20, "cy": 15, "r": 5},
        ellipse | {"theta": 0},
        ellipse | {"theta": 1.5708},
        {"name": "point", "cx": 20, "cy": 15},
        {"name": "polyline", "all_points_x": xs, "all_points_y": ys},
    )
    return via(folder, *(region(shape, kind="cat") for shape in shapes))


VIA_3_ATTRIBUTES = {
    "1": {"aname": "class", "anchor_id": "FILE1_Z0_XY1", "type": 4, "options": {"0": "cat"}},
    "2": {"aname": "weather", "anchor_id": "FILE1_Z0_XY0", "type": 1, "options": {}},
}


def via_3(folder: Path) -> Path:
    shapes = ([2, 4, 3, 16, 12], [7, 4, 3, 20, 3, 20, 15], [3, 20, 15, 5], [4, 20, 15, 10, 5])
    metadata = {
        f"1_{number}": {"vid": "7", "flg": 0, "z": [], "xy": xy, "av": {"1": "0"}}
        for number, xy in enumerate((*shapes, [1, 4, 3], []))
    }
    metadata["1_z"] = {"vid": "7", "z": [1.5, 2], "xy": [2, 4, 3, 16, 12], "av": {"1": "0"}}
    content = {
        "project": {"pid": "__VIA_PROJECT_ID__", "pname": "pets"},
        "config": {"file": {"loc_prefix": {"1": ""}}},
        "attribute": VIA_3_ATTRIBUTES,
        "file": {
            "1": {"fid": "1", "fname": "a.png", "type": 2, "loc": 1, "src": ""},
            "2": {"fid": "2", "fname": "b.png", "type": 2, "loc": 1, "src": ""},
        },
        "metadata": metadata,
        "view": {"7": {"fid_list": ["1"]}, "8": {"fid_list": ["2"]}},
    }
    return write(folder, "via3.json", content, ("a.png", "b.png"))


def vott_asset(name: str, state: int, *regions: object) -> dict:
    asset = {"name": name, "size": {"width": 40, "height": 30}, "state": state}
    return {"asset": asset, "regions": list(regions), "version": "2.2.0"}


def vott_region(kind: str, *tags: str) -> dict:
    return {"type": kind, "tags": list(tags), "boundingBox": AT, "points": POINTS}


def vott(folder: Path) -> Path:
    kinds = ("RECTANGLE", "cat", "pet"), ("POLYGON", "cat"), ("POINT", "cat")
    assets = {
        "1": vott_asset("a.png", 2, *(vott_region(*kind) for kind in kinds)),
        "2": vott_asset("b.png", 1),
        "3": vott_asset("c.png", 0),
    }
    content = {"name": "pets", "tags": [], "assets": assets}
    return write(folder, "pets-export.json", content, ("a.png", "b.png", "c.png"))


def supervisely_bitmap(size: tuple[int, int]) -> str:
    """A PNG as Supervisely packs it: opaque, but for its first row."""
    image = Image.new("RGBA", size, (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, size[0], 1))
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return base64.b64encode(zlib.compress(stream.getvalue())).decode()


def figure(kind: str, exterior: object = (), interior: object = (), **more: object) -> dict:
    points = {"exterior": exterior, "interior": interior}
    return {"classTitle": "cat", "geometryType": kind, "points": points} | more


def supervisely(folder: Path, *figures: object, tags: Sequence[object] = ()) -> Path:
    content = {"size": {"width": 40, "height": 30}, "tags": tags, "objects": figures}
    picture(folder / "ds" / "img" / "a.png")
    return write(folder, "ds/ann/a.png.json", content, ())


def rich_supervisely(folder: Path) -> Path:
    outer, inner = [[4, 3], [20, 3], [20, 15], [4, 15]], [[[8, 6], [12, 6], [12, 9], [8, 9]]]
    nodes = {
        "nose": {"loc": [5, 6], "disabled": False},
        "tail": {"loc": [9, 16]},
        "ear": {"loc": [0, 0], "disabled": True},
    }
    return supervisely(
        folder,
        figure("rectangle", [[20, 15], [4, 3]]),
        figure("polygon", outer, inner),
        figure("bitmap", bitmap={"data": supervisely_bitmap((4, 3)), "origin": [10, 11]}),
        figure("oriented_bbox", [[10, 10], [30, 20]], angle=1.5707963),
        figure("graph", nodes=nodes),
        figure("point", [[1, 1]]),
        figure("line", [[1, 1], [2, 2]]),
        tags=[{"name": "indoors"}],
    )


def instance(kind: str, points: object = None, **more: object) -> dict:
    """An instance of SuperAnnotate."""
    return {"type": kind, "className": "cat", "classId": 1, "points": points} | more


def superannotate(folder: Path) -> Path:
    turned = {"x1": 20, "y1": 5, "x2": 30, "y2": 15, "x3": 20, "y3": 25, "x4": 10, "y4": 15}
    hole = [8, 6, 12, 6, 12, 9, 8, 9]
    instances = [
        instance("bbox", CORNERS),
        instance("rbbox", turned),
        instance("polygon", [4, 3, 20, 3, 20, 15, 4, 15], exclude=[hole]),
        instance("ellipse", cx=20, cy=15, rx=10, ry=5, angle=90),
        instance("template", [{"id": 1, "x": 5, "y": 6}, {"id": 2, "x": 9, "y": 16}]),
        instance("point", None, x=1, y=1),
        instance("polyline", [1, 1, 2, 2]),
        instance("tag"),
    ]
    about = {"name": "a.png", "width": 40, "height": 30, "status": "Completed"}
    content = {"metadata": about, "instances": instances, "tags": []}
    return write(folder, "a.png___objects.json", content)


def labelbox(folder: Path) -> Path:
    objects = [
        {"name": "cat", "bounding_box": AT},
        {"name": "cat", "polygon": POINTS},
        {"name": "cat", "mask": {"url": "https://example.com/m"}, "annotation_kind": "Mask"},
        {"name": "cat", "point": {"x": 1, "y": 1}},
    ]
    labels = [
        {"annotations": {"objects": [], "classifications": []}},
        {"annotations": {"objects": objects, "classifications": [{"name": "indoors"}]}},
    ]
    row = {
        "data_row": {"external_id": "a.png", "row_data": "https://example.com/x.png"},
        "media_attributes": {"width": 40, "height": 30},
        "projects": {"p": {"labels": labels}},
    }
    unlabelled = row | {"data_row": {"external_id": "b.png"}, "projects": {"p": {"labels": []}}}
    return write(folder, "x.ndjson", (row, unlabelled), ("a.png", "b.png"))


def scale(folder: Path) -> Path:
    def shape(kind: str, *points: tuple[float, float], **more: object) -> dict:
        vertices = [{"x": x, "y": y} for x, y in points]
        return {"label": "cat", "type": kind, "vertices": vertices} | more

    annotations = [
        {"label": "cat", "type": "box"} | AT,
        shape("polygon", (4, 3), (20, 3), (20, 15)),
        shape("box", (20, 5), (30, 15), (20, 25), (10, 15), rotation=0.78, left=1, top=1),
        shape("ellipse", (4, 9), (12, 3), (20, 9), (12, 15)),
        shape("line", (1, 1), (2, 2)),
    ]
    params = {"attachment": "https://example.com/pets/a%2Epng?sig=1"}
    tasks = [
        {"task_id": "1", "params": params, "response": {"annotations": annotations}},
        {"task_id": "2", "params": {"attachment": "https://example.com/b.png"}},
    ]
    return write(folder, "x.json", tasks)


def bdd100k(folder: Path) -> Path:
    outline = [{"vertices": VERTICES, "types": "LLL", "closed": True}]
    attributes = {"occluded": True, "truncated": False, "crowd": True, "areaType": "direct"}
    labels = [
        {"category": "car", "box2d": CORNERS, "attributes": attributes, "score": 0.5},
        {"category": "car", "poly2d": outline},
        {"category": "car", "box2d": CORNERS, "poly2d": [[4, 3, "L"], [20, 3, "L"], [20, 15, "L"]]},
        {"category": "lane", "poly2d": [outline[0] | {"closed": False}]},
        {"category": "car", "box3d": {}},
    ]
    return write(folder, "det.json", [{"name": "a.png", "labels": labels}])


def labelme_object(points: Sequence[tuple[object, object]], extra: str = "") -> str:
    stored = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in points)
    return f"<object><name>cat</name>{extra}<polygon>{stored}</polygon></object>"


def labelme_xml(folder: Path, *objects: str) -> Path:
    picture(folder / "a.png")
    (folder / "a.xml").write_text(
        "<annotation><filename>a.png</filename><source><sourceImage>x</sourceImage>"
        "<sourceAnnotation>LabelMe Webtool</sourceAnnotation></source>"
        f"{''.join(objects)}<imagesize><nrows>30</nrows><ncols>40</ncols></imagesize></annotation>"
    )
    return folder


def rich_labelme_xml(folder: Path) -> Path:
    triangle = (4, 3), (20, 3), (20, 15)
    box = (20, 15), (4, 15), (4, 3), (20, 3)
    segment = "<segm><box><xmin>4</xmin><ymin>3</ymin><xmax>20</xmax><ymax>15</ymax></box></segm>"
    return labelme_xml(
        folder,
        labelme_object(triangle, "<deleted>0</deleted><occluded>yes</occluded>"),
        labelme_object(triangle, "<deleted>1</deleted>"),
        labelme_object(box, "<type>bounding_box</type>"),
        f"<object><name>cat</name>{segment}</object>",
        labelme_object(triangle[:2]),
    )


def write_all(folder: Path) -> dict[str, Path]:
    """Writes a folder for each format; returns format -> folder."""
    writers = {
        "via": rich_via,
        "vott": vott,
        "supervisely": rich_supervisely,
        "superannotate": superannotate,
        "labelbox": labelbox,
        "scale": scale,
        "bdd100k": bdd100k,
        "labelme_xml": rich_labelme_xml,
    }
    return {name: write(folder / name) for name, write in writers.items()}

"""labelme's reader and writer of its own files."""

from pathlib import Path

from exchange import Item, main, object_of
from labelme._label_file import LabelFile


def read(folder: Path) -> Item:
    images = []
    for path in sorted(folder.glob("*/*.json")):
        file = LabelFile(str(path))
        groups: dict[object, Item] = {}
        for number, shape in enumerate(file.shapes):
            points = [(float(x), float(y)) for x, y in shape["points"]]
            xs, ys = zip(*points, strict=True)
            ring = [v for point in points for v in point]
            is_polygon = shape["shape_type"] == "polygon"
            edges = min(xs), min(ys), max(xs), max(ys)
            item = object_of(shape["label"], edges, [ring] if is_polygon else None)
            groups[number if shape["group_id"] is None else f"group {shape['group_id']}"] = item
        images.append(
            {
                "name": Path(file.imagePath).name,
                "split": path.parent.name,
                "width": content_size(path)[0],
                "height": content_size(path)[1],
                "objects": list(groups.values()),
            }
        )
    labels = {item["label"] for image in images for item in image["objects"]}
    return {"classes": sorted(labels), "images": images}


def content_size(path: Path) -> tuple[int, int]:
    import json

    content = json.loads(path.read_text())
    return content["imageWidth"], content["imageHeight"]


def write(content: Item, folder: Path) -> None:
    for image in content["images"]:
        home = folder / image["split"]
        home.mkdir(parents=True, exist_ok=True)
        (home / image["name"]).symlink_to(image["path"])
        shapes = []
        for item in image["objects"]:
            left, upper, right, lower = item["box"]
            points, kind = [[left, upper], [right, lower]], "rectangle"
            if item["rings"]:
                (ring,) = item["rings"]
                points = [list(p) for p in zip(ring[::2], ring[1::2], strict=True)]
                kind = "polygon"
            shapes.append(
                {
                    "label": item["label"],
                    "points": points,
                    "group_id": None,
                    "description": "",
                    "shape_type": kind,
                    "flags": {},
                    "mask": None,
                }
            )
        file = LabelFile()
        file.save(
            filename=str(home / f"{Path(image['name']).stem}.json"),
            shapes=shapes,
            image_path=image["name"],
            image_height=image["height"],
            image_width=image["width"],
        )


if __name__ == "__main__":
    main({"labelme": read}, {"labelme": write, "labelme_masks": write})

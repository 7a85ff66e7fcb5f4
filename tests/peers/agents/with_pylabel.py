"""pylabel's readers and writers."""

from pathlib import Path

from exchange import Item, main, object_of
from pylabel import importer


def coco(folder: Path) -> Item:
    return joined(
        {
            split: importer.ImportCoco(
                str(folder / "annotations" / f"instances_{split}.json"),
                path_to_images=str(folder / "images" / split),
            )
            for split in ("train", "val")
        }
    )


def voc(folder: Path) -> Item:
    loaded = importer.ImportVOC(
        str(folder / "Annotations"), path_to_images=str(folder / "JPEGImages")
    )
    return joined({"": loaded})


def yolo(folder: Path) -> Item:
    import yaml

    names = yaml.safe_load((folder / "data.yaml").read_text())["names"]
    return joined(
        {
            split: importer.ImportYoloV5(
                str(folder / "labels" / split),
                path_to_images=f"../../images/{split}",
                cat_names=[names[number] for number in sorted(names)],
                img_ext="jpg",
            )
            for split in ("train", "val")
        }
    )


def joined(datasets: dict) -> Item:
    images: dict[tuple[str, str], Item] = {}
    for split, dataset in datasets.items():
        for row in dataset.df.to_dict("records"):
            key = split, row["img_filename"]
            about = {"name": key[1], "split": split}
            size = {"width": int(row["img_width"]), "height": int(row["img_height"])}
            image = images.setdefault(key, about | size | {"objects": []})
            try:
                edges = [
                    float(row[f"ann_bbox_{edge}"]) for edge in ("xmin", "ymin", "xmax", "ymax")
                ]
            except ValueError:  # the row of an image without objects
                continue
            if edges[0] == edges[0]:
                image["objects"].append(object_of(row["cat_name"], edges))
    labels = {item["label"] for image in images.values() for item in image["objects"]}
    return {"classes": sorted(labels), "images": list(images.values())}


if __name__ == "__main__":
    main({"coco": coco, "voc": voc, "yolo": yolo}, {})

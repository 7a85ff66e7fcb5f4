"""pycocotools' and lvis' readers; both read files and write none."""

from pathlib import Path

from exchange import Item, from_xywh, main, object_of
from lvis import LVIS
from pycocotools.coco import COCO


def coco(folder: Path) -> Item:
    images, classes = [], []
    for split in ("train", "val"):
        api = COCO(str(folder / "annotations" / f"instances_{split}.json"))
        classes = [category["name"] for category in api.loadCats(api.getCatIds())]
        names = {number: category["name"] for number, category in api.cats.items()}
        for image in api.loadImgs(api.getImgIds()):
            objects = [
                object_of(
                    names[item["category_id"]],
                    from_xywh(*item["bbox"]),
                    bitmap=api.annToMask(item) if item["segmentation"] else None,
                )
                for item in api.loadAnns(api.getAnnIds(imgIds=[image["id"]]))
            ]
            images.append(entry(image, image["file_name"], split, objects))
    return {"classes": classes, "images": images}


def lvis(folder: Path) -> Item:
    images, classes, lists = [], [], {}
    for split in ("train", "val"):
        api = LVIS(str(folder / "annotations" / f"instances_{split}.json"))
        names = {number: category["name"] for number, category in api.cats.items()}
        classes = list(names.values())
        for image in api.load_imgs(api.get_img_ids()):
            objects = [
                object_of(
                    names[item["category_id"]],
                    from_xywh(*item["bbox"]),
                    bitmap=api.ann_to_mask(item) if item["segmentation"] else None,
                )
                for item in api.load_anns(api.get_ann_ids(img_ids=[image["id"]]))
            ]
            name = image["coco_url"].rsplit("/", 1)[-1]
            images.append(entry(image, name, split, objects))
            lists[name] = sorted(names[number] for number in image["neg_category_ids"])
    return {"classes": classes, "images": images, "absent": lists}


def entry(image: Item, name: str, split: str, objects: list[Item]) -> Item:
    size = {"width": image["width"], "height": image["height"]}
    return {"name": name, "split": split, **size, "objects": objects}


if __name__ == "__main__":
    main({"coco": coco, "lvis": lvis}, {})

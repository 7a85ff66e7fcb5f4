"""Ultralytics' data set check and reader, and five training steps of a tiny model.

python with_ultralytics.py read yolo FOLDER RESULT.json
python with_ultralytics.py write train CONTENT.json FOLDER
"""

import os
import sys
import tempfile
import types
from pathlib import Path

# Nothing is downloaded or reported, and settings are not written into the user's home.
os.environ |= {
    "YOLO_CONFIG_DIR": tempfile.mkdtemp(),
    "YOLO_OFFLINE": "true",
    "WANDB_MODE": "disabled",
}

try:
    import torchvision  # noqa: F401
except (ImportError, RuntimeError):
    # Beside a torch for processors, torchvision may be one for GPUs, which cannot be imported.
    # Validation needs one function of it, which Ultralytics has too.
    stand_in = types.ModuleType("torchvision")
    stand_in.ops = types.SimpleNamespace(nms=lambda *given: TorchNMS.nms(*given))
    sys.modules["torchvision"] = stand_in

import numpy as np
from exchange import Item, main, object_of
from ultralytics import YOLO
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
from ultralytics.utils.nms import TorchNMS


def checked(folder: Path) -> dict:
    """What the check makes of data.yaml from another working folder."""
    os.chdir(tempfile.mkdtemp())
    return check_det_dataset(str(folder / "data.yaml"), autodownload=False)


def read(folder: Path) -> Item:
    data = checked(folder.resolve())
    names = data["names"]
    images = []
    for split in ("train", "val"):
        task = "segment" if any_outline(folder / "labels" / split) else "detect"
        dataset = YOLODataset(img_path=data[split], data=data, task=task, augment=False)
        for label in dataset.labels:
            height, width = label["shape"]
            objects = []
            for index, (number, box) in enumerate(zip(label["cls"], label["bboxes"], strict=True)):
                x, y, w, h = (v * side for v, side in zip(box, (width, height) * 2, strict=True))
                segments = label["segments"]
                ring = None
                if len(segments):
                    scaled = np.asarray(segments[index]) * (width, height)
                    ring = [scaled.ravel().tolist()]
                edges = x - w / 2, y - h / 2, x + w / 2, y + h / 2
                objects.append(object_of(names[int(number.item())], edges, ring))
            about = {"name": Path(label["im_file"]).name, "split": split}
            images.append(about | {"width": width, "height": height, "objects": objects})
    return {"classes": [names[number] for number in sorted(names)], "images": images}


def any_outline(folder: Path) -> bool:
    rows = (row for path in folder.glob("*.txt") for row in path.read_text().splitlines())
    return any(len(row.split()) > 5 for row in rows)


def train(content: Item, folder: Path) -> None:
    """Trains for five steps from nothing; fails if a loss is not a number."""
    folder.mkdir(parents=True, exist_ok=True)
    data = content["folder"]
    os.chdir(tempfile.mkdtemp())
    losses = []
    model = YOLO("yolov8n.yaml")
    model.add_callback("on_train_batch_end", lambda trainer: losses.append(float(trainer.loss)))
    model.train(
        data=str(Path(data) / "data.yaml"), epochs=1, imgsz=64, batch=2, device="cpu", workers=0,
        project=str(folder), name="run", plots=False, amp=False, val=True, verbose=False,
    )  # fmt: skip
    (folder / "losses.txt").write_text("\n".join(map(str, losses)))


if __name__ == "__main__":
    main({"yolo": read}, {"train": train})

"""Small data sets that tests write and then read."""

import io
import json
import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tfod_kit.formats.base import Context
from tfod_kit.formats.common.findings import Findings
from tfod_kit.formats.common.image_index import ImageIndex

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


def picture(path: Path, size: tuple[int, int] = (40, 30), **save: object) -> Path:
    """Writes a picture with a gradient, so that turning it shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.linear_gradient("L").resize(size)
    # Files of different names have different bytes, or they would be copies of one image.
    own = {"comment": path.name} if path.suffix.lower() in (".jpg", ".jpeg") else {}
    Image.merge("RGB", (image, image.rotate(90).resize(size), image)).save(path, **own | save)
    return path


def voc_xml(
    name: str,
    objects: Sequence[tuple[str, tuple[object, object, object, object]]] = (),
    size: tuple[int, int] | None = (40, 30),
    extra: str = "",
) -> str:
    """The text of an XML file; objects are (class, (xmin, ymin, xmax, ymax))."""
    shape = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    boxes = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
        f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox>{extra}</object>\n"
        for label, box in objects
    )
    return f"<annotation><filename>{name}</filename>{shape}\n{boxes}</annotation>"


def voc(folder: Path, count: int = 10, size: tuple[int, int] = (40, 30)) -> Path:
    """Images and XML in one folder: cats, dogs, and the first image empty."""
    for number in range(count):
        picture(folder / f"{number}.jpg", size)
        label = "cat" if number % 2 else "dog"
        objects = [(label, (4, 3, 20, 15))] if number else []
        (folder / f"{number}.xml").write_text(voc_xml(f"{number}.jpg", objects, size))
    return folder


def copies(folder: Path) -> Path:
    """Gives all images of a folder the bytes of the first."""
    first, *others = sorted(folder.glob("*.jpg"))
    for path in others:
        path.write_bytes(first.read_bytes())
    return folder


def coco(
    path: Path, images: Sequence[dict], annotations: Sequence[dict], categories: object = None
) -> Path:
    """Writes a COCO file; the categories are 1 cat and 3 dog unless told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    named = [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}]
    content = {
        "images": list(images),
        "annotations": list(annotations),
        "categories": named if categories is None else categories,
    }
    path.write_text(json.dumps(content))
    return path


def context(root: Path, on_error: str = "fix", origin: int = 0) -> Context:
    return Context(root, ImageIndex(root), Findings(on_error), origin)


def encoded(
    kind: str,
    width: int,
    height: int,
    *,
    mode: str = "RGB",
    orientation: int = 1,
    seed: int | None = None,
) -> bytes:
    """The bytes of a picture in one of Pillow's formats: a gradient, or noise by a seed."""
    image = Image.linear_gradient("L").resize((width, height))
    if seed is not None:
        noise = random.Random(seed).randbytes(width * height)
        image = Image.frombytes("L", (width, height), noise)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    image = image.convert(mode)
    image.save(stream, format=kind, **({"exif": exif} if kind == "JPEG" else {}))
    return stream.getvalue()

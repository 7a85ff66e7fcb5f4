"""cvat-sdk's masks: the run lengths that CVAT's server takes and gives."""

from pathlib import Path

import numpy as np
from cvat_sdk.masks import encode_mask
from exchange import Item, main


def encoded(content: Item, folder: Path) -> None:
    """Writes annotations.xml with masks as cvat-sdk encodes them."""
    rows = ["<annotations><version>1.1</version>"]
    for number, image in enumerate(content["images"]):
        size = f'width="{image["width"]}" height="{image["height"]}"'
        split = image["split"]
        rows.append(f'<image id="{number}" name="{image["name"]}" subset="{split}" {size}>')
        for item in image["objects"]:
            runs = item["runs"]
            flat = np.repeat(np.arange(len(runs)) % 2, runs).astype(bool)
            bitmap = flat.reshape((image["height"], image["width"]), order="F")
            rle = [int(value) for value in encode_mask(bitmap)]
            *counts, left, top, right, lower = rle
            place = (
                f'left="{left}" top="{top}" width="{right - left + 1}" height="{lower - top + 1}"'
            )
            text = ", ".join(map(str, counts))
            rows.append(f'<mask label="{item["label"]}" occluded="0" rle="{text}" {place}/>')
        rows.append("</image>")
    home = folder / "images"
    for image in content["images"]:
        (home / image["split"]).mkdir(parents=True, exist_ok=True)
        (home / image["split"] / image["name"]).symlink_to(image["path"])
    (folder / "annotations.xml").write_text("\n".join([*rows, "</annotations>"]))


if __name__ == "__main__":
    main({}, {"cvat_masks": encoded})

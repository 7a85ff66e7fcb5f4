"""Asks TensorFlow Serving's REST interface what is in a picture, and prints it.

python examples/serving/ask_tf_serving.py picture.jpg --label_map work/serving/label_map.pbtxt
"""

import argparse
import base64
import json
import urllib.request
from pathlib import Path

from tfod_kit.core import labels
from tfod_kit.records import images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--label_map", type=Path, required=True)
    parser.add_argument("--address", default="http://127.0.0.1:8501/v1/models/detector")
    parser.add_argument("--min_score", type=float, default=0.5)
    args = parser.parse_args()

    names = labels.load(args.label_map).names
    # The server ignores the EXIF orientation of photos. This turns the pixels of those that need
    # it, and converts what is neither JPEG nor PNG; other files stay as they are.
    encoded = base64.b64encode(images.load(args.picture).data).decode()
    body = {"signature_name": "encoded", "instances": [{"image_bytes": {"b64": encoded}}]}
    request = urllib.request.Request(  # noqa: S310 the user's own server
        f"{args.address}:predict", json.dumps(body).encode()
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        (found,) = json.load(answer)["predictions"]
    rows = zip(
        found["detection_classes"],
        found["detection_scores"],
        found["detection_boxes"],
        strict=True,
    )
    for number, score, box in rows:
        if score >= args.min_score:
            print(f"{names[int(number)]:20} {score:.2f}  {box}")


if __name__ == "__main__":
    main()

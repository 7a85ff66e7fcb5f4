"""`tfod demo`: draws a small data set to try everything on."""

import argparse
from pathlib import Path

from tfod_kit.doors.arguments import local_path


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add = parser.add_argument
    add("--out", type=local_path, default=Path("work/demo"), metavar="DIR", help="where to draw")
    add("--images", type=int, metavar="N", help="images, all splits together (default: 1,500)")
    add("--seed", type=int, default=0, help="another seed draws other images")


def run(args: argparse.Namespace) -> int:
    """Draws the data set, and prints what is in each folder."""
    from tfod_kit import demo

    images = demo.write(args.out, images=args.images, seed=args.seed)
    for split in demo.SPLITS:
        members = [image for image in images if image.split == split]
        shapes = sum(len(image.shapes) for image in members)
        print(f"{split:<6} {len(members):>4} images, {shapes:>5,} shapes")
    print(f"Drawn to {args.out}: Annotations/ and ImageSets/ (Pascal VOC), and")
    print("  annotations/instances_*.json (the same as COCO, with masks and keypoints).")
    print(f"  {demo.UNSEEN}/ contains the images of the test split, JPEGImages/ the others.")
    print(f"Next: tfod convert {args.out} --format voc")
    return 0

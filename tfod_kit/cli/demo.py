"""`tfod demo`: draws a small data set to try everything on."""

import argparse
from pathlib import Path


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add = parser.add_argument
    add("--out", type=Path, default=Path("work/demo"), metavar="DIR", help="where to draw")
    add("--images", type=int, metavar="N", help="pictures, all splits together; 1,500 unless told")
    add("--seed", type=int, default=0, help="another one draws other pictures")


def run(args: argparse.Namespace) -> int:
    """Draws, and says what lies where."""
    from tfod_kit import demo

    pictures = demo.write(args.out, images=args.images, seed=args.seed)
    for split in demo.SPLITS:
        members = [picture for picture in pictures if picture.split == split]
        shapes = sum(len(picture.shapes) for picture in members)
        print(f"{split:<6} {len(members):>4} pictures, {shapes:>5,} shapes")
    print(f"Drawn to {args.out}: Annotations/ and ImageSets/ (Pascal VOC), and")
    print("  annotations/instances_*.json (the same in COCO's form, with masks and keypoints).")
    print(f"  {demo.UNSEEN}/ holds the test split's pictures, JPEGImages/ the others.")
    print(f"Next: tfod convert {args.out} --format voc")
    return 0

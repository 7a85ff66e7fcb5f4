"""`tfod export RUN`: writes a trained model for use elsewhere."""

import argparse
from pathlib import Path

from tfod_kit.cli.shared import config_path
from tfod_kit.export import TARGETS


def register(parser: argparse.ArgumentParser) -> None:
    targets = "; ".join(f"{name}: {target.summary}" for name, target in TARGETS.items())
    inputs = sorted({kind for target in TARGETS.values() for kind in target.input_types})
    parser.add_argument("run", type=Path, help="the run folder")
    parser.add_argument(
        "--out", type=Path, help="the folder to write (default: export/ in the run)"
    )
    parser.add_argument("--target", default="saved_model", help=targets)
    parser.add_argument(
        "--checkpoint", type=Path, help="the prefix to export (default: the run's newest)"
    )
    parser.add_argument(
        "--input_type",
        help=f"what the model shall take: {', '.join(inputs)} (default: the first "
        "that the target has)",
    )


def run(args: argparse.Namespace) -> int:
    folder = config_path(args.run).parent
    out = args.out or folder / "export"
    print(f"Exporting {folder} (loading TensorFlow takes some seconds)", flush=True)
    from tfod_kit.export import export

    prefix = export(
        folder,
        out,
        target=args.target,
        checkpoint=args.checkpoint,
        input_type=args.input_type,
    )
    print(f"Exported {prefix}")
    print(f"  to {out}")
    print(f"Next:  tfod predict {out} PICTURES --out FOLDER")
    return 0

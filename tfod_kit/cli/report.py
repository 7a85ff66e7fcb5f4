"""`tfod report RUN`: one page with all there is to know of a run."""

import argparse
from pathlib import Path

NAME = "report.html"


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("run", type=Path, help="the folder that was trained in")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"the page to write (default: RUN/{NAME})"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the page, and says where."""
    from tfod_kit import reports
    from tfod_kit.io import files
    from tfod_kit.reports import page

    found = reports.read(args.run)
    out = args.out or args.run / NAME
    if out.is_dir():
        out = out / NAME
    files.write_text(out, page.html(found))
    print(f"Open {out}")
    return 0

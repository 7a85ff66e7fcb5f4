"""`tfod export RUN`: writes a trained model for use elsewhere, proved to detect the same."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from tfod_kit import exports
from tfod_kit.cli.shared import config_path, count
from tfod_kit.errors import UsageError
from tfod_kit.exports import PICTURES, TARGETS, Target, chosen
from tfod_kit.exports.job import Wishes, open_source

DEFAULT = "saved_model"


def register(parser: argparse.ArgumentParser) -> None:
    targets = "; ".join(f"{name}: {target.summary}" for name, target in TARGETS.items())
    parser.add_argument("run", type=Path, help="the run folder")
    parser.add_argument(
        "--out",
        type=Path,
        help="the folder to write (default: export/ in the run, export-TARGET/ for other targets); "
        "with several targets, the folder above theirs",
    )
    parser.add_argument("--target", default=DEFAULT, help=f"one, or several: A,B. {targets}")
    parser.add_argument(
        "--checkpoint",
        help="a run's checkpoint to export: latest, best, a step, or a prefix (default: latest)",
    )
    parser.add_argument(
        "--input_type",
        help=f"what the model shall take: {_known('input_types')} (default: the first that the "
        "target has)",
    )
    parser.add_argument(
        "--quantise",
        help=f"how numbers are kept: {_known('quantise')} (default: the first that the target has)",
    )
    parser.add_argument("--io", help=f"the input of an int8 model, or input/output: {_known('io')}")
    parser.add_argument(
        "--calibration", type=count, default=100, help="pictures that int8 is calibrated on"
    )
    parser.add_argument(
        "--any_batch",
        action="store_true",
        help="take any number of images at once, where the default is one",
    )
    parser.add_argument(
        "--records",
        type=Path,
        help="the records to prove parity and to calibrate on (default: those of pipeline.config)",
    )
    parser.add_argument(
        "--parity_pictures", type=count, default=PICTURES, help="pictures to prove parity on"
    )
    parser.add_argument(
        "--no_parity",
        action="store_true",
        help="do not run what was exported beside the checkpoint",
    )


def run(args: argparse.Namespace) -> int:
    folder = config_path(args.run).parent
    names = list(dict.fromkeys(args.target.split(",")))
    wishes = Wishes(args.input_type, args.quantise, args.io, args.calibration, args.any_batch)
    outs = {name: _out(args.out, folder, name, len(names)) for name in names}
    told = {name: _fitting(chosen(name), wishes, names) for name in names}
    for name, out in outs.items():
        exports.check(out, name, told[name])
    source = open_source(folder, checkpoint=args.checkpoint, records=args.records)
    for name in names:
        exports.check_source(source, name, told[name])
    pictures = 0 if args.no_parity else args.parity_pictures
    for name, out in outs.items():
        ways = ", ".join(filter(None, (name, told[name].quantise)))
        print(f"Exporting {source.prefix} ({ways})", flush=True)
        proved = exports.export(source, out, name, told[name], pictures=pictures)
        print(f"  to {out} ({_size(out)})")
        print(f"  parity: {proved or _unproved(pictures)}")
    name, out = next(iter(outs.items()))
    print(f"Next:  {chosen(name).use.format(out=out)}")
    return 0


def _known(options: str) -> str:
    """What any target accepts for an option, each once, in the order of the table."""
    values = (value for target in TARGETS.values() for value in getattr(target, options))
    return ", ".join(dict.fromkeys(values))


def _out(given: Path | None, run: Path, target: str, targets: int) -> Path:
    if given is not None:
        return given / target if targets > 1 else given
    return run / ("export" if target == DEFAULT else f"export-{target}")


def _fitting(target: Target, wishes: Wishes, names: list[str]) -> Wishes:
    """The wishes as they are for one target; of several, each takes those that it knows.

    Raises:
      UsageError: none of them knows one.
    """
    if len(names) == 1:
        return wishes
    kept = {}
    for wish, options in (("input_type", "input_types"), ("quantise", "quantise"), ("io", "io")):
        value = getattr(wishes, wish)
        if value is not None and not any(value in getattr(chosen(n), options) for n in names):
            raise UsageError(
                f"None of the targets has {value!r}.",
                where=f"--{wish}",
                expected=_listed(names, options),
                fix="Correct it, or export to one target at a time.",
            )
        kept[wish] = value if value in getattr(target, options) else None
    return Wishes(calibration=wishes.calibration, any_batch=wishes.any_batch, **kept)


def _listed(names: Iterable[str], options: str) -> str:
    return "; ".join(f"{name}: {', '.join(getattr(chosen(name), options))}" for name in names)


def _unproved(pictures: int) -> str:
    if not pictures:
        return "not proved, as was asked"
    return "NOT PROVED: the run's records are not here; name them with --records"


def _size(folder: Path) -> str:
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{total / 1e6:.1f} MB"

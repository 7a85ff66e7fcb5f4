"""`tfod export` and `tfod_kit.export`: a trained model for use elsewhere."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit import exports
from tfod_kit.compat import engine_packages
from tfod_kit.doors import arguments, shared, values
from tfod_kit.doors.arguments import StrPath, local_name, local_path, option, positional
from tfod_kit.drawing import notebook
from tfod_kit.errors import UsageError
from tfod_kit.exports import PARITY_IMAGES, Target, all_targets, chosen
from tfod_kit.exports.job import ExportOptions
from tfod_kit.exports.source import open_run
from tfod_kit.io.progress import announce

if TYPE_CHECKING:
    from tfod_kit.exports.parity import Parity

DEFAULT = "saved_model"


def _known(options: str) -> str:
    """What any target accepts for an option, each once, in the order of the table."""
    values = (value for target in all_targets().values() for value in getattr(target, options))
    return ", ".join(dict.fromkeys(values))


def _targets() -> str:
    return "; ".join(f"{name}: {target.summary}" for name, target in all_targets().items())


@dataclass(frozen=True, slots=True)
class Exported:
    """One model that was exported; it can be used as the path of its folder.

    Attributes:
      path: the folder.
      target: the name of the export target.
      source: the checkpoint that was exported.
      quantise: how numbers are kept, if the target has a choice.
      parity: how its detections compare with the checkpoint's; None if that was not measured.
      unproved: why parity was not measured.
      pruned: whether the model was pruned; its zipped size is then stated.
    """

    path: Path
    target: str
    source: Path
    quantise: str | None = None
    parity: "Parity | None" = None
    unproved: str = ""
    pruned: bool = False

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        ways = ", ".join(filter(None, (self.target, self.quantise)))
        return "\n".join([f"Exported {self.source} ({ways})", *self.lines])

    @property
    def lines(self) -> list[str]:
        """Where it is, and how it compares with the checkpoint."""
        return [
            f"  to {self.path} ({_size(self.path)}{self._zipped()})",
            f"  parity: {self.parity or self.unproved}",
        ]

    def _zipped(self) -> str:
        if not self.pruned:
            return ""
        contents = (path.read_bytes() for path in self.path.rglob("*") if path.is_file())
        total = sum(len(zlib.compress(content, 9)) for content in contents)
        return f", {total / 1e6:.1f} MB zipped"

    @property
    def use(self) -> str:
        """The command to try next."""
        return chosen(self.target).use.format(out=self.path)


@dataclass(frozen=True, slots=True)
class Exports:
    """The models that were exported, in the order of the targets asked for."""

    models: tuple[Exported, ...]

    def __iter__(self) -> Iterator[Exported]:
        return iter(self.models)

    def __fspath__(self) -> str:
        return str(self.models[0].path)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.models), f"Next:  {self.models[0].use}"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [["target", "folder", "size", "parity"]]
        rows += [
            [each.target, str(each.path), _size(each.path), str(each.parity or each.unproved)]
            for each in self.models
        ]
        return notebook.table(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportArguments:
    """The arguments of `tfod export`; each is explained by its help."""

    run: Path = positional("the run folder", parse=local_path)
    out: Path | None = option(
        None,
        "the folder to write (default: export/ in the run, export-TARGET/ for other targets); with "
        "several targets, the folder above theirs",
        parse=local_path,
    )
    target: tuple[str, ...] = option(
        (DEFAULT,), lambda: f"one, or several: A,B. {_targets()}", parse=values.names, metavar="A,B"
    )
    checkpoint: str | None = option(
        None,
        "a run's checkpoint to export: latest, best, a step, or a prefix (default: latest)",
        parse=local_name,
    )
    input_type: str | None = option(
        None,
        lambda: (
            f"the model's input: {_known('input_types')} (default: the first that the target has)"
        ),
    )
    quantise: str | None = option(
        None,
        lambda: (
            f"how numbers are kept: {_known('quantise')} (default: the first that the target has)"
        ),
    )
    io: str | None = option(
        None, lambda: f"the input of an int8 model, or input/output: {_known('io')}"
    )
    calibration: int = option(100, "images that int8 is calibrated on", parse=values.count)
    any_batch: bool = option(False, "take any number of images at once, where the default is one")
    records: Path | None = option(
        None,
        "the records to prove parity and to calibrate on (default: those of pipeline.config)",
        parse=local_path,
    )
    parity_images: int = option(PARITY_IMAGES, "images to prove parity on", parse=values.count)
    no_parity: bool = option(False, "do not compare what was exported with the checkpoint")


def export(run_folder: StrPath, *target: str, **options: object) -> Exports:
    """Writes a trained model for use elsewhere, and proves that it detects the same.

    Args:
      run_folder: the run to export.
      target: saved_model (the default), tflite, onnx, openvino, tfjs, serving.
      options: those of `tfod export`, such as quantise="int8" or checkpoint="best".

    Raises:
      UsageError: an option is unknown or invalid.
      CheckpointError: the checkpoint cannot be used, or the export detects something else.
      SetupError: the target needs a package that is not installed.
    """
    given: dict[str, object] = {"run": run_folder, **({"target": target} if target else {})}
    return run(arguments.build("export", ExportArguments, {**given, **options}))


def run(arguments: ExportArguments) -> Exports:
    """Exports as `tfod export` with these arguments does, and reports progress on the way."""
    engine_packages.require()
    folder = shared.config_path(arguments.run).parent
    names = tuple(dict.fromkeys(arguments.target))
    requested = ExportOptions(
        arguments.input_type,
        arguments.quantise,
        arguments.io,
        arguments.calibration,
        arguments.any_batch,
    )
    outs = {name: _out(arguments.out, folder, name, len(names)) for name in names}
    fitting = {name: _fitting(chosen(name), requested, names) for name in names}
    for name, out in outs.items():
        exports.check(out, name, fitting[name])
    source = open_run(folder, checkpoint=arguments.checkpoint, records=arguments.records)
    fitting = {name: exports.fitted(source, name, fitting[name]) for name in names}
    for name in names:
        exports.check_source(source, name, fitting[name])
    images = 0 if arguments.no_parity else arguments.parity_images
    models = []
    for name, out in outs.items():
        announce(f"Exporting {source.prefix} ({name})")
        parity = exports.export(source, out, name, fitting[name], parity_images=images)
        models.append(
            Exported(
                out,
                name,
                source.prefix,
                fitting[name].quantise,
                parity,
                _unproved(name, images),
                source.pruned,
            )
        )
    return Exports(tuple(models))


def _out(given: Path | None, run: Path, target: str, targets: int) -> Path:
    if given is not None:
        return given / target if targets > 1 else given
    return run / ("export" if target == DEFAULT else f"export-{target}")


def _fitting(target: Target, requested: ExportOptions, names: Sequence[str]) -> ExportOptions:
    """The options for one of several targets: those values that it supports.

    Raises:
      UsageError: none of the targets supports a value.
    """
    if len(names) == 1:
        return requested
    kept = {}
    for name, column in (("input_type", "input_types"), ("quantise", "quantise"), ("io", "io")):
        value = getattr(requested, name)
        if value is not None and not any(value in getattr(chosen(n), column) for n in names):
            raise UsageError(
                f"None of the targets has {value!r}.",
                where=f"--{name}",
                expected=_listed(names, column),
                fix="Correct it, or export to one target at a time.",
            )
        kept[name] = value if value in getattr(target, column) else None
    return ExportOptions(calibration=requested.calibration, any_batch=requested.any_batch, **kept)


def _listed(names: Iterable[str], options: str) -> str:
    return "; ".join(f"{name}: {', '.join(getattr(chosen(name), options))}" for name in names)


def _unproved(target: str, images: int) -> str:
    if not images:
        return "not proved, as was asked"
    if obstacle := chosen(target).obstacle():
        return f"NOT PROVED: {obstacle}"
    return "NOT PROVED: the run's records are not here; name them with --records"


def _size(folder: Path) -> str:
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{total / 1e6:.1f} MB"

"""Exports trained models for use elsewhere: TARGETS lists the formats, `export` writes one.

See `exports.target` for what a target consists of.
"""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit import __version__, pipeline_config
from tfod_kit.core import labels
from tfod_kit.detectors import input_size
from tfod_kit.errors import CheckpointError, UsageError, did_you_mean
from tfod_kit.exports import parity
from tfod_kit.exports.job import ExportOptions, Job, require
from tfod_kit.exports.parity import Parity
from tfod_kit.exports.source import TrainedModel
from tfod_kit.exports.target import FLOAT32, Target
from tfod_kit.io import files, plugins

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

__all__ = [
    "TARGETS",
    "ExportOptions",
    "Job",
    "Parity",
    "Target",
    "TrainedModel",
    "all_targets",
    "check",
    "check_source",
    "chosen",
    "export",
    "fitted",
]

LABEL_MAP = labels.FILE_NAME
INFO = input_size.EXPORT_FILE
PARITY_IMAGES = 16

# A target is one module of this package that defines TARGET, and its name here.
_NAMES = (
    "saved_model",
    "tflite",
    "onnx",
    "openvino",
    "serving",
    "tfjs",
    "edgetpu",
    "tflite_micro",
    "tensorrt",
    "coreml",
)
TARGETS: dict[str, Target] = {name: import_module(f"{__name__}.{name}").TARGET for name in _NAMES}


def all_targets() -> dict[str, Target]:
    """The targets of TARGETS, and those that other installed packages register.

    Raises:
      SetupError: a package registers something that is not a target.
    """
    return _registered() | TARGETS


@cache
def _registered() -> dict[str, Target]:
    return plugins.load(plugins.TARGETS, Target)


def chosen(name: str) -> Target:
    """The target of that name.

    Raises:
      UsageError: there is no such target; the nearest name is suggested.
    """
    target = TARGETS.get(name) or all_targets().get(name)
    if target is None:
        raise UsageError(f"There is no target {name!r}.", fix=did_you_mean(name, all_targets()))
    return target


def export(
    source: TrainedModel,
    out: Path,
    target: str = "saved_model",
    options: ExportOptions | None = None,
    *,
    parity_images: int = PARITY_IMAGES,
) -> Parity | None:
    """Exports a model to `out`, whole or not at all, and proves that it detects the same.

    The folder also gets the label map, model.json, which describes the export, and parity.json.

    Args:
      source: the trained model, from `source.open_run`.
      out: the folder to write; an earlier export in it is replaced.
      target: a name of `all_targets`.
      options: options of the target.
      parity_images: how many images of the records to compare on; 0 omits the proof.

    Returns:
      The figures of the proof; None if it was omitted, there are no records to compare on, or the
      target cannot be run on this machine.

    Raises:
      UsageError: there is no such target, it does not support the options, or `out` contains
        something else.
      SetupError: a package is missing.
      CheckpointError: the checkpoint does not fit the model, or the export detects something else.
    """
    options = fitted(source, target, options or ExportOptions())
    check(out, target, options)
    check_source(source, target, options)
    kind = chosen(target)
    with files.atomic_folder(out) as folder:
        job = _job(source, folder, target, options)
        kind.write(job)
        labels.save(source.label_map, folder / LABEL_MAP)
        _write_json(folder / INFO, _info(job, target))
        if not parity_images or not source.records or kind.obstacle():
            return None
        with _opened(kind, folder) as detector:
            proof = parity.prove(source, detector, kind.quantise[job.quantise], parity_images)
        _write_json(folder / parity.FILE, {"target": target} | proof.as_dict())
        if not proof.holds:
            raise _differs(target, job, proof)
        _write_json(folder / INFO, _info(job, target) | {"proved": True})
    return proof


def fitted(source: TrainedModel, target: str, options: ExportOptions) -> ExportOptions:
    """The options for a model: one that was trained quantised becomes int8 where that is learnt.

    Raises:
      UsageError: there is no such target.
    """
    if options.quantise is None and chosen(target).learnt_int8 and source.quantised:
        return replace(options, quantise="int8")
    return options


def check(out: Path, target: str, options: ExportOptions | None = None) -> None:
    """Checks what can be checked without the model. Raises like `export`."""
    kind = chosen(target)
    _with_defaults(target, options or ExportOptions())
    _refuse_foreign(out)
    require(target, kind.packages, kind.extra)


def check_source(source: TrainedModel, target: str, options: ExportOptions | None = None) -> None:
    """Checks whether the target can export this model. Raises like `export`."""
    kind = chosen(target)
    architecture = pipeline_config.architecture(source.config)
    if not kind.accepts(architecture):
        able = [name for name, other in all_targets().items() if other.accepts(architecture)]
        raise UsageError(
            f"The target {target!r} cannot take this model.",
            where=source.run,
            expected=f"one of {', '.join(kind.architectures)}",
            found=architecture,
            fix=f"Export it to one of {', '.join(able)}.",
        )
    if kind.check is not None:
        kind.check(source)
    quantise = _with_defaults(target, options or ExportOptions())["quantise"]
    learnt = kind.learnt_int8 and source.quantised
    if quantise == "int8" and not learnt and not source.records:
        raise UsageError(
            "There are no records to calibrate int8 on.",
            where=source.run,
            fix="Name the folder that `tfod convert` wrote with --records.",
        )


def _job(source: TrainedModel, folder: Path, target: str, options: ExportOptions) -> Job:
    return Job(
        source,
        folder,
        **_with_defaults(target, options),
        calibration=options.calibration,
        any_batch=options.any_batch,
    )


def _with_defaults(target: str, options: ExportOptions) -> dict[str, str]:
    """The options that are a choice, with the target's defaults filled in."""
    kind = chosen(target)
    numbers = options.quantise or next(iter(kind.quantise))
    if options.io not in (None, FLOAT32) and numbers != "int8":
        raise UsageError(
            "Only an int8 model takes whole numbers.", where="--io", fix="Add --quantise int8."
        )
    return {
        "input_type": _one_of(target, "input type", options.input_type, kind.input_types),
        "quantise": _one_of(target, "way to quantise", options.quantise, tuple(kind.quantise)),
        "io": _one_of(target, "type of input numbers", options.io, kind.io),
    }


def _one_of(target: str, what: str, value: str | None, choices: tuple[str, ...]) -> str:
    if value is None:
        return choices[0]
    if value not in choices:
        raise UsageError(
            f"The target {target!r} has no {what} {value!r}.", fix=did_you_mean(value, choices)
        )
    return value


def _info(job: Job, target: str) -> dict[str, Any]:
    return {
        "tfod_kit": __version__,
        "target": target,
        "input_type": job.input_type,
        "quantise": job.quantise,
        "checkpoint": job.source.prefix.name,
        input_size.RESIZED_TO: input_size.as_entry(job.source.config),
        "classes": dict(job.source.label_map.ids),
        "proved": False,
        "unproved": chosen(target).unproved,
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    files.write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _opened(target: Target, folder: Path) -> "AbstractContextManager[Detector]":
    if target.open is not None:
        return target.open(folder)
    from tfod_kit import detectors

    return nullcontext(detectors.load(folder))


def _differs(target: str, job: Job, proof: Parity) -> CheckpointError:
    allowed = proof.tolerance
    expected = (
        f"IoU {allowed.iou} or more (masks {allowed.mask_iou}), scores within {allowed.score:g}, "
        f"keypoints within {allowed.keypoint:g} of the image's sides"
        if allowed.iou is not None
        else f"a loss of mAP of at most {allowed.map_drop}"
    )
    return CheckpointError(
        "The exported model does not detect what the checkpoint detects; nothing was written.",
        where=f"{job.source.prefix} as {target}, {job.quantise}",
        expected=expected,
        found=str(proof),
        fix=_advice(target, job, proof),
    )


def _advice(target: str, job: Job, proof: Parity) -> str:
    """What to do about a model that detects something else, by the likely cause."""
    accept = "--no_parity exports without the proof."
    if job.quantise != FLOAT32:
        closer = list(chosen(target).quantise)
        closer = closer[: closer.index(job.quantise)]
        if job.quantise == "int8" and chosen(target).learnt_int8 and job.source.quantised:
            accept = f"Training longer with --quantise settles the ranges. {accept}"
        elif job.quantise == "int8":
            accept = f"--calibration {4 * job.calibration} calibrates on more images. {accept}"
        return f"Export with --quantise {' or '.join(closer)}. {accept}"
    if proof.hardly_trained:
        return (
            "The checkpoint's scores are nearly equal, as those of a model that has hardly been "
            f"trained, so that rounding decides what it detects. Train longer. {accept}"
        )
    return (
        "Numbers are not the cause: they are float32 in both. Please report it with the figures "
        f"above and the pipeline.config; until then, export to another target. {accept}"
    )


def _refuse_foreign(out: Path) -> None:
    """Refuses to replace a folder that contains anything but an export."""
    if out.is_dir() and any(out.iterdir()) and not (out / INFO).is_file():
        raise UsageError(
            "The folder to export to contains something else.",
            where=out,
            expected="a folder that is missing, empty, or an earlier export",
            found=", ".join(sorted(entry.name for entry in out.iterdir())[:5]),
            fix="Name another folder with --out.",
        )

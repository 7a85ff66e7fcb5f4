"""Writes trained models for use elsewhere: TARGETS names what for, `export` does it.

A target is one module beside this one and one line here. The module has `write(job) -> None`, which
writes into `job.folder`, and may have `check(source)`, which refuses a model beforehand. Where the
artefact runs in something that `engine.detector.load` does not know (a browser), it also has
`opened(folder)`, a context manager that gives a detector.
"""

import importlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tfod_kit import __version__, pipeline_config
from tfod_kit.core import labels
from tfod_kit.errors import CheckpointError, UsageError, did_you_mean
from tfod_kit.exports import parity
from tfod_kit.exports.job import Job, Source, Wishes, require
from tfod_kit.exports.parity import EXACT, HALF, QUANTISED, Parity, Tolerance
from tfod_kit.io import files

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

LABEL_MAP = labels.FILE_NAME
INFO = "model.json"
FLOAT32 = "float32"
PICTURES = 16


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of artefact.

    Attributes:
      module: where its `write` is.
      summary: what it is for, in a few words.
      input_types: what the exported model can take; the first is the default.
      quantise: the ways to keep its numbers, and how far each may be from the checkpoint; the
        first is the default.
      io: the types that an int8 model's input can have, and after a slash those of its output
        where they are no floats; the first is the default.
      architectures: the models it can take, as pipeline.config names them; empty for all.
      packages: what must be importable to write it.
      extra: the extra of tfod_kit that brings them.
      use: a command to try the artefact with; {out} is its folder.
    """

    module: str
    summary: str
    input_types: tuple[str, ...] = ("image_tensor",)
    quantise: Mapping[str, Tolerance] = field(default_factory=lambda: {FLOAT32: EXACT})
    io: tuple[str, ...] = (FLOAT32,)
    architectures: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    extra: str = ""
    use: str = "tfod predict {out} PICTURES --out FOLDER"


TARGETS = {
    "saved_model": Target(
        "tfod_kit.exports.saved_model",
        "TensorFlow SavedModel, as exporter_main_v2 writes it",
        (
            "image_tensor",
            "float_image_tensor",
            "encoded_image_string_tensor",
            "tf_example",
        ),
    ),
    "tflite": Target(
        "tfod_kit.exports.tflite",
        "TensorFlow Lite, for phones and edge boards",
        quantise={FLOAT32: EXACT, "float16": HALF, "dynamic": QUANTISED, "int8": QUANTISED},
        io=(FLOAT32, "uint8", "int8", "uint8/uint8", "int8/int8"),
        architectures=("ssd", "center_net"),
        packages=("ai_edge_litert",),
    ),
    "onnx": Target(
        "tfod_kit.exports.onnx",
        "ONNX, for ONNX Runtime on servers and desktops",
        # tf2onnx leaves weights of a Mask R-CNN outside of its graph, as inputs.
        architectures=("ssd", "center_net"),
        packages=("onnx", "onnxruntime", "tf2onnx"),
        extra="onnx",
    ),
    "openvino": Target(
        "tfod_kit.exports.openvino",
        "OpenVINO, for Intel's processors",
        quantise={FLOAT32: EXACT, "float16": HALF, "int8": QUANTISED},
        packages=("openvino",),
        extra="openvino",
    ),
    "serving": Target(
        "tfod_kit.exports.serving",
        "TensorFlow Serving's folder, which takes pixels or encoded pictures, any number at once",
        packages=("tensorflow_serving",),
        extra="serving",
    ),
    "tfjs": Target(
        "tfod_kit.exports.tfjs",
        "a web page that detects in pictures and before the camera, with TensorFlow.js",
        use="python -m http.server --directory {out} 8000   # then http://localhost:8000",
    ),
}


def chosen(name: str) -> Target:
    """The target of that name.

    Raises:
      UsageError: there is none; the nearest is offered.
    """
    if name not in TARGETS:
        raise UsageError(f"There is no target {name!r}.", fix=did_you_mean(name, TARGETS))
    return TARGETS[name]


def export(
    source: Source,
    out: Path,
    target: str = "saved_model",
    wishes: Wishes | None = None,
    *,
    pictures: int = PICTURES,
) -> Parity | None:
    """Writes a model to `out`, whole or not at all, and proves that it detects the same.

    Beside the model lie its label map, model.json with what it is, and parity.json.

    Args:
      source: the trained model, from `job.open_source`.
      out: the folder to write; replaced if it is there and an export.
      target: a name in TARGETS.
      wishes: what is asked of the target.
      pictures: how many of the records' pictures to compare on; 0 leaves the proof out.

    Returns:
      The proof's figures; None when it was left out, or there are no records to take pictures from.

    Raises:
      UsageError: no such target, the target cannot do that, or `out` is something else's folder.
      SetupError: a package is absent.
      CheckpointError: the checkpoint is another model's, or the artefact does not detect the same.
    """
    wishes = wishes or Wishes()
    check(out, target, wishes)
    check_source(source, target, wishes)
    kind = chosen(target)
    module = importlib.import_module(kind.module)
    with files.atomic_folder(out) as folder:
        job = Job(
            source,
            folder,
            **_settled(target, wishes),
            calibration=wishes.calibration,
            any_batch=wishes.any_batch,
        )
        module.write(job)
        labels.save(source.label_map, folder / LABEL_MAP)
        _write_json(folder / INFO, _info(job, target))
        if not pictures or not source.records:
            return None
        with _opened(module, folder) as artefact:
            proved = parity.prove(source, artefact, kind.quantise[job.quantise], pictures)
        _write_json(folder / parity.FILE, {"target": target} | proved.as_dict())
        if not proved.holds:
            raise _differs(target, job, proved)
    return proved


def check(out: Path, target: str, wishes: Wishes | None = None) -> None:
    """Finds what is wrong with an order, whatever the model. Raises as `export`."""
    kind = chosen(target)
    _settled(target, wishes or Wishes())
    _refuse_foreign(out)
    require(target, kind.packages, kind.extra)


def check_source(source: Source, target: str, wishes: Wishes | None = None) -> None:
    """Finds what is wrong with a target for this model. Raises as `export`."""
    able = [
        name
        for name, kind in TARGETS.items()
        if not kind.architectures
        or pipeline_config.architecture(source.config) in kind.architectures
    ]
    if target not in able:
        raise UsageError(
            f"The target {target!r} cannot take this model.",
            where=source.run,
            expected=f"one of {', '.join(chosen(target).architectures)}",
            found=pipeline_config.architecture(source.config),
            fix=f"Export it to one of {', '.join(able)}.",
        )
    module = importlib.import_module(chosen(target).module)
    if hasattr(module, "check"):
        module.check(source)
    if _settled(target, wishes or Wishes())["quantise"] == "int8" and not source.records:
        raise UsageError(
            "There are no records to calibrate int8 on.",
            where=source.run,
            fix="Name the folder that `tfod convert` wrote with --records.",
        )


def _settled(target: str, wishes: Wishes) -> dict[str, str]:
    """The wishes that are a choice, with the target's defaults."""
    kind = chosen(target)
    if wishes.io not in (None, FLOAT32) and wishes.quantise != "int8":
        raise UsageError(
            "Only an int8 model takes whole numbers.", where="--io", fix="Add --quantise int8."
        )
    return {
        "input_type": _one_of(target, "input type", wishes.input_type, kind.input_types),
        "quantise": _one_of(target, "way to quantise", wishes.quantise, tuple(kind.quantise)),
        "io": _one_of(target, "type of input numbers", wishes.io, kind.io),
    }


def _one_of(target: str, what: str, wanted: str | None, known: tuple[str, ...]) -> str:
    if wanted is None:
        return known[0]
    if wanted not in known:
        raise UsageError(
            f"The target {target!r} has no {what} {wanted!r}.", fix=did_you_mean(wanted, known)
        )
    return wanted


def _info(job: Job, target: str) -> dict[str, Any]:
    return {
        "tfod_kit": __version__,
        "target": target,
        "input_type": job.input_type,
        "quantise": job.quantise,
        "checkpoint": job.source.prefix.name,
        "classes": dict(job.source.label_map.ids),
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    files.write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _opened(module: ModuleType, folder: Path) -> "AbstractContextManager[Detector]":
    if hasattr(module, "opened"):
        return module.opened(folder)
    from tfod_kit import detectors

    return nullcontext(detectors.load(folder))


def _differs(target: str, job: Job, proved: Parity) -> CheckpointError:
    allowed = proved.tolerance
    expected = (
        f"IoU {allowed.iou} or more (masks {allowed.mask_iou}), scores within {allowed.score:g}, "
        f"keypoints within {allowed.keypoint:g} of the picture"
        if allowed.iou is not None
        else f"a loss of mAP of at most {allowed.map_drop}"
    )
    return CheckpointError(
        "The exported model does not detect what the checkpoint detects; nothing was written.",
        where=f"{job.source.prefix} as {target}, {job.quantise}",
        expected=expected,
        found=str(proved),
        fix="Export with another --quantise, or with --no_parity if that is good enough.",
    )


def _refuse_foreign(out: Path) -> None:
    """An export replaces an export, and never a folder with anything else in it."""
    if out.is_dir() and any(out.iterdir()) and not (out / INFO).is_file():
        raise UsageError(
            "The folder to export to holds something else.",
            where=out,
            expected="a folder that is absent, empty, or an earlier export",
            found=", ".join(sorted(entry.name for entry in out.iterdir())[:5]),
            fix="Name another folder with --out.",
        )

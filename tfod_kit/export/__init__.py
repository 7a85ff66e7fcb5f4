"""Writes trained models for use elsewhere: TARGETS names what for, `export` does it.

A target is one module beside this one with
`write(config, checkpoint, folder, input_type) -> None`, and one line here.
"""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path

from tfod_kit import __version__, checkpoints, files, labels, pipeline_config
from tfod_kit.errors import UsageError, did_you_mean

CONFIG = pipeline_config.FILE_NAME
LABEL_MAP = labels.FILE_NAME
INFO = "model.json"


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of artefact.

    Attributes:
      module: where its `write` is.
      summary: what it is for, in a few words.
      input_types: what the exported model can take; the first is the default.
    """

    module: str
    summary: str
    input_types: tuple[str, ...]


TARGETS = {
    "saved_model": Target(
        "tfod_kit.export.saved_model",
        "TensorFlow SavedModel, as exporter_main_v2 writes it",
        (
            "image_tensor",
            "float_image_tensor",
            "encoded_image_string_tensor",
            "tf_example",
        ),
    ),
}


def export(
    run: Path,
    out: Path,
    *,
    target: str = "saved_model",
    checkpoint: Path | None = None,
    input_type: str | None = None,
) -> Path:
    """Writes the model of a run folder to `out`, whole or not at all; returns the checkpoint used.

    Beside the model lie its config, its label map and model.json with what it is.

    Args:
      run: the folder with pipeline.config and checkpoints.
      out: the folder to write; replaced if it is there.
      target: a name in TARGETS.
      checkpoint: the prefix to take instead of the newest.
      input_type: what the exported model shall take; the target's default when None.

    Raises:
      UsageError: no such target or input type, or `out` is something else's folder.
      ConfigError, CheckpointError: the run is not complete.
    """
    if target not in TARGETS:
        raise UsageError(f"There is no target {target!r}.", fix=did_you_mean(target, TARGETS))
    chosen = TARGETS[target]
    kind = input_type or chosen.input_types[0]
    if kind not in chosen.input_types:
        raise UsageError(
            f"The target {target!r} has no input type {kind!r}.",
            fix=did_you_mean(kind, chosen.input_types),
        )
    _refuse_foreign(out)
    config = pipeline_config.load(run / CONFIG)
    prefix = checkpoints.resolve(checkpoint or run)
    label_map = labels.load(pipeline_config.label_map_path(config, run))
    with files.atomic_folder(out) as folder:
        importlib.import_module(chosen.module).write(config, prefix, folder, kind)
        labels.save(label_map, folder / LABEL_MAP)
        info = {
            "tfod_kit": __version__,
            "target": target,
            "input_type": kind,
            "checkpoint": prefix.name,
            "classes": dict(label_map.ids),
        }
        files.write_text(folder / INFO, json.dumps(info, indent=2, ensure_ascii=False) + "\n")
    return prefix


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

"""Loads the checkpoint to fine-tune into a model.

Upstream restores the feature extractor alone when the classes differ. By default everything that
fits is restored here: see engine/carry_over.py.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from tfod_kit.core import labels
from tfod_kit.core.labels import LabelMap
from tfod_kit.engine import carry_over, class_rows, restore
from tfod_kit.engine.carry_over import CarryOver
from tfod_kit.engine.model import create_training_variables
from tfod_kit.engine.restore import Restored
from tfod_kit.engine.upstream import Dataset, DetectionModel
from tfod_kit.errors import CheckpointError, first_line
from tfod_kit.pipeline_config import PipelineConfig, is_remote, model_of
from tfod_kit.pipeline_config.messages import TrainConfig
from tfod_kit.runs import checkpoint_classes, checkpoints
from tfod_kit.runs.checkpoint_index import VALUE

_DETECTION = "detection"

Parts: TypeAlias = Literal["all", "backbone"]


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What to restore from the checkpoint to fine-tune.

    Attributes:
      parts: "all" for everything that fits; "backbone" for the feature extractor, as upstream.
      label_map: the label map that the checkpoint was trained with; None to look for it.
    """

    parts: Parts = "all"
    label_map: Path | None = None


def load(
    model: DetectionModel,
    config: PipelineConfig,
    data: Dataset,
    where: Path,
    options: RestoreOptions,
) -> CarryOver | Restored:
    """Loads the config's fine_tune_checkpoint; reports what was restored.

    Args:
      model: upstream's DetectionModel; afterwards its variables exist.
      config: its config; a missing fine_tune_checkpoint_type is filled in.
      data: the training input, which creates the model's variables.
      where: the config's file, for the message.
      options: what to restore.

    Raises:
      CheckpointError: the checkpoint is missing or does not fit the model, or the label map is not
        the checkpoint's.
      ConfigError: the label map cannot be read.
    """
    from object_detection.utils import config_util

    settings = config.train_config
    prefix = checkpoints.resolve(Path(settings.fine_tune_checkpoint))
    config_util.update_fine_tune_checkpoint_type(settings)
    kind = settings.fine_tune_checkpoint_type
    _check_version(settings, prefix, where)
    create_training_variables(model, data, unpad=settings.unpad_groundtruth_tensors)
    if kind == _DETECTION and options.parts == "all":
        return restore_what_fits(model, config, prefix, options)
    return _restore(model, prefix, kind, where)


def plan(
    model: DetectionModel, config: PipelineConfig, prefix: Path, options: RestoreOptions
) -> CarryOver:
    """What is taken over from a detector's checkpoint, without changing the model.

    Args:
      model: upstream's DetectionModel, whose variables exist.
      config: its config.
      prefix: the checkpoint.
      options: what to restore.

    Raises:
      CheckpointError: the feature extractor does not fit, the checkpoint is damaged, or the label
        map is not the checkpoint's.
    """
    report = restore.restored(model, prefix, _DETECTION)
    if not report.complete:
        raise _misfit(prefix, report)
    stored = restore.stored(model, prefix)
    shapes = {name: tuple(value.shape) for name, value in restore.named_variables(model)}
    count = carry_over.stored_classes(config, shapes, stored)
    match = None
    if count is not None:
        known = checkpoint_classes.find(prefix, count, options.label_map)
        own = _own_classes(config)
        match = carry_over.match_classes(model_of(config).num_classes, own, count, known)
    return carry_over.plan(config, shapes, stored, match)


def restore_what_fits(
    model: DetectionModel, config: PipelineConfig, prefix: Path, options: RestoreOptions
) -> CarryOver:
    """Restores everything of a detector's checkpoint that fits; arguments and errors as `plan`."""
    import tensorflow as tf

    done = plan(model, config, prefix, options)
    reader = tf.train.load_checkpoint(str(prefix))
    for name, variable in restore.named_variables(model):
        if name in done.copied:
            variable.assign(reader.get_tensor(done.copied[name].key + VALUE))
        elif name in done.by_class and done.match is not None:
            values = reader.get_tensor(done.by_class[name].key + VALUE)
            match = done.match
            variable.assign(class_rows.rearranged(values, done.axes[name], match.rows, match.pool))
    return done


def _restore(model: DetectionModel, prefix: Path, kind: str, where: Path) -> Restored:
    """Restores what upstream restores for a type, and requires all of it.

    Unlike upstream's, it accepts checkpoints without a save counter.
    """
    import tensorflow as tf

    try:
        objects = model.restore_from_objects(fine_tune_checkpoint_type=kind)
        status = tf.train.Checkpoint(**objects).read(str(prefix)).expect_partial()
        status.assert_existing_objects_matched()
    except (OSError, ValueError, AssertionError, tf.errors.OpError) as error:
        raise CheckpointError(
            "The checkpoint to fine-tune does not fit this model.",
            where=prefix,
            expected=f"a TF2 checkpoint of this model ({kind})",
            found=first_line(error),
            fix=f"Check fine_tune_checkpoint and fine_tune_checkpoint_type in {where}.",
        ) from error
    return restore.restored(model, prefix, kind)


def _check_version(settings: TrainConfig, prefix: Path, where: Path) -> None:
    from object_detection import model_lib_v2
    from object_detection.protos import train_pb2

    if not model_lib_v2.is_object_based_checkpoint(str(prefix)):
        raise CheckpointError(
            "The checkpoint to fine-tune is one of TensorFlow 1.",
            where=prefix,
            expected="a checkpoint that TensorFlow 2 wrote",
            found="variables stored by name",
            fix="Take an archive of the TensorFlow 2 model zoo.",
        )
    if settings.fine_tune_checkpoint_version == train_pb2.CheckpointVersion.V1:
        raise CheckpointError(
            "fine_tune_checkpoint_version is V1, and TensorFlow 2 needs V2.",
            where=where,
            fix="Set fine_tune_checkpoint_version: V2 (`tfod configure` does).",
        )


def _own_classes(config: PipelineConfig) -> LabelMap:
    """The classes that the config trains; an empty map if its label map is not on this machine."""
    path = config.train_input_reader.label_map_path
    if not path or is_remote(path) or not Path(path).is_file():
        return LabelMap({})
    return labels.load(Path(path))


def _misfit(prefix: Path, report: Restored) -> CheckpointError:
    return CheckpointError(
        "The checkpoint to fine-tune is another model's: its feature extractor does not fit.",
        where=prefix,
        found=str(report).replace("\n", f"\n{'':12}"),
        fix="Use a checkpoint of exactly this model, or configure the model that the checkpoint is "
        "of (--zoo FOLDER does).",
    )

"""Finds settings that would fail, or train something unintended, without TensorFlow."""

import glob
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfod_kit.core import labels
from tfod_kit.errors import ConfigError
from tfod_kit.pipeline_config.extractors import EXTRACTORS, tf2_equivalent
from tfod_kit.pipeline_config.input_sizes import input_sizes
from tfod_kit.pipeline_config.messages import (
    DetectionModel,
    ImageResizer,
    InputReader,
    PipelineConfig,
)
from tfod_kit.pipeline_config.records import is_remote

PLACEHOLDER = "PATH_TO_BE_CONFIGURED"

_RESNET_STRIDE = 16  # upstream's faster_rcnn_resnet_keras_feature_extractor.py


def architecture(config: PipelineConfig) -> str:
    """The architecture of the config's model: "ssd", "faster_rcnn" or "center_net".

    Raises:
      ConfigError: no model is set, or one that this API cannot train.
    """
    chosen = config.model.WhichOneof("model")
    if chosen not in EXTRACTORS:
        raise ConfigError(
            "The config has no model that can be trained.",
            where="model",
            expected="one of " + ", ".join(f"{name} {{ }}" for name in EXTRACTORS),
            found=chosen or "none",
            fix="Write a config with `tfod configure MODEL`.",
        )
    return str(chosen)


def model_of(config: PipelineConfig) -> DetectionModel:
    """The message of the model that is set. Raises as `architecture`."""
    model: DetectionModel = getattr(config.model, architecture(config))
    return model


def check(config: PipelineConfig, *, where: object = None) -> None:
    """Raises the first error that `validate` finds, with the others in its message."""
    errors = validate(config)
    if errors:
        first = errors[0]
        others = "".join(f"\nAlso: {error.problem}" for error in errors[1:])
        place = ", ".join(str(part) for part in (where, first.where) if part)
        raise ConfigError(
            first.problem,
            where=place or None,
            expected=first.expected,
            found=first.found,
            fix=(first.fix or "") + others or None,
        )


def validate(config: PipelineConfig) -> list[ConfigError]:
    """Everything in the config that cannot work on this machine; empty if nothing is wrong.

    The errors are returned, not raised. Paths on remote file systems (gs://...) are not checked.
    """
    try:
        architecture(config)
    except ConfigError as error:
        return [error]
    return [
        *_extractor(config),
        *_placeholders(config, ""),
        *_classes(config),
        *_readers(config),
        *_checkpoint(config),
        *_training(config),
        *_schedule(config),
        *_shapes(config),
    ]


def _extractor(config: PipelineConfig) -> Iterator[ConfigError]:
    name = architecture(config)
    kind = model_of(config).feature_extractor.type
    if kind not in EXTRACTORS[name]:
        yield ConfigError(
            f"The feature extractor {kind!r} does not exist for TensorFlow 2.",
            where=f"model.{name}.feature_extractor.type",
            expected=f"one of {', '.join(EXTRACTORS[name])}",
            fix=tf2_equivalent(name, kind),
        )


def _placeholders(message: Any, prefix: str) -> Iterator[ConfigError]:
    for field, value in message.ListFields():
        path = f"{prefix}{field.name}"
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for item in value if field.is_repeated else (value,):
                yield from _placeholders(item, f"{path}.")
        elif field.cpp_type == field.CPPTYPE_STRING and PLACEHOLDER in str(value):
            yield ConfigError(
                "A path is still to be filled in.",
                where=path,
                found=str(value),
                fix="Let `tfod configure` write the config, or enter the path.",
            )


def _classes(config: PipelineConfig) -> Iterator[ConfigError]:
    present = model_of(config).num_classes
    if present < 1:
        yield ConfigError(
            "The model has no classes.",
            where=f"model.{architecture(config)}.num_classes",
            expected="the highest id in the label map",
            found=present,
            fix="Set it, or let `tfod configure` write the config.",
        )
    for where, reader in _named_readers(config):
        path = reader.label_map_path
        if is_remote(path) or PLACEHOLDER in path:
            continue
        if not path:
            yield ConfigError(
                "No label map is named.",
                where=f"{where}.label_map_path",
                fix="Name it, or let `tfod configure` write the config.",
            )
            continue
        try:
            needed = labels.load(Path(path)).num_classes
        except ConfigError as error:
            place = f"{where}.label_map_path: {error.where}"
            yield ConfigError(
                error.problem,
                where=place,
                expected=error.expected,
                found=error.found,
                fix=error.fix,
            )
            continue
        if 0 < present < needed:
            # Upstream silently leaves out objects whose id is above num_classes.
            yield ConfigError(
                "The label map has more classes than the model.",
                where=f"model.{architecture(config)}.num_classes",
                expected=f"{needed}, the highest id in {path}",
                found=present,
                fix=f"Set num_classes to {needed}.",
            )


def _readers(config: PipelineConfig) -> Iterator[ConfigError]:
    for where, reader in _named_readers(config):
        paths = list(filter(None, reader.tf_record_input_reader.input_path))
        if not paths:
            yield ConfigError(
                "No records are named.",
                where=f"{where}.tf_record_input_reader.input_path",
                fix="Name them, or let `tfod configure` write the config.",
            )
        for path in paths:
            if not is_remote(path) and PLACEHOLDER not in path and not glob.glob(path):  # noqa: PTH207 absolute
                yield ConfigError(
                    "The records do not exist.",
                    where=f"{where}.tf_record_input_reader.input_path",
                    found=path,
                    fix="Run `tfod convert`, or `tfod configure` again if they were moved.",
                )


def _checkpoint(config: PipelineConfig) -> Iterator[ConfigError]:
    training = config.train_config
    prefix = training.fine_tune_checkpoint
    if not prefix or PLACEHOLDER in prefix:
        return
    where = "train_config.fine_tune_checkpoint"
    if not is_remote(prefix) and not Path(f"{prefix}.index").is_file():
        yield ConfigError(
            "The checkpoint to start from does not exist.",
            where=where,
            expected=f"{prefix}.index",
            fix="Name its prefix, such as .../checkpoint/ckpt-0: `tfod configure --checkpoint`.",
        )
    if training.fine_tune_checkpoint_type not in ("classification", "detection", "full"):
        yield ConfigError(
            f"The checkpoint type {training.fine_tune_checkpoint_type!r} is not known.",
            where=f"{where}_type",
            expected="detection (a whole detector), classification (a backbone) or full",
            fix="Set it to detection, which also replaces CenterNet's old 'fine_tune'.",
        )


def _training(config: PipelineConfig) -> Iterator[ConfigError]:
    training = config.train_config
    if training.batch_size < 1 or training.num_steps < 1:
        yield ConfigError(
            "Nothing would be trained.",
            where="train_config",
            found=f"batch_size {training.batch_size}, num_steps {training.num_steps}",
            fix="Set both to 1 or more.",
        )
    if training.optimizer.WhichOneof("optimizer") is None:
        yield ConfigError(
            "The config has no optimizer.",
            where="train_config.optimizer",
            fix="Add one, or start from `tfod configure MODEL`.",
        )


def _schedule(config: PipelineConfig) -> Iterator[ConfigError]:
    optimizer = config.train_config.optimizer
    chosen = optimizer.WhichOneof("optimizer")
    rate = getattr(optimizer, chosen).learning_rate if chosen else None
    if rate is None or rate.WhichOneof("learning_rate") != "cosine_decay_learning_rate":
        return
    schedule = rate.cosine_decay_learning_rate
    where = f"train_config.optimizer.{chosen}.learning_rate.cosine_decay_learning_rate"
    if schedule.warmup_steps + schedule.hold_base_rate_steps >= schedule.total_steps:
        yield ConfigError(
            "The warm-up leaves no steps for the actual training.",
            where=f"{where}.warmup_steps",
            expected=f"fewer than total_steps, {schedule.total_steps}",
            found=schedule.warmup_steps + schedule.hold_base_rate_steps,
            fix="Lower it; `tfod configure --steps N` keeps it in proportion.",
        )
    if schedule.warmup_learning_rate > schedule.learning_rate_base:
        yield ConfigError(
            "The warm-up's learning rate is above the one it leads to.",
            where=f"{where}.warmup_learning_rate",
            expected=f"at most learning_rate_base, {schedule.learning_rate_base:.4g}",
            found=f"{schedule.warmup_learning_rate:.4g}",
            fix="Lower it, or change both with `tfod configure --learning_rate`.",
        )
    if schedule.total_steps < config.train_config.num_steps:
        yield ConfigError(
            "The learning rate is 0 before the training ends: the last steps would train nothing.",
            where=f"{where}.total_steps",
            expected=f"num_steps, {config.train_config.num_steps}",
            found=schedule.total_steps,
            fix="Make them equal; `tfod configure --steps N` sets both.",
        )


def _shapes(config: PipelineConfig) -> Iterator[ConfigError]:
    """What upstream reports only while building the model, or with unclear messages."""
    model = model_of(config)
    name = architecture(config)
    if name == "faster_rcnn" and model.second_stage_batch_size > model.first_stage_max_proposals:
        yield ConfigError(
            "The second stage uses more proposals than the first stage keeps.",
            where="model.faster_rcnn.second_stage_batch_size",
            expected=f"at most first_stage_max_proposals, {model.first_stage_max_proposals}",
            found=model.second_stage_batch_size,
            fix="Lower it, or raise first_stage_max_proposals.",
        )
    kind = model.feature_extractor.type
    if re.fullmatch(r"faster_rcnn_resnet\d+_keras", kind):
        yield from _stride(model.feature_extractor.first_stage_features_stride)
    if kind in EXTRACTORS[name]:
        accepted = input_sizes(name, model.feature_extractor)
        wrong = [size for size in _sizes(model.image_resizer) if not accepted.fits(size)]
        if wrong:
            yield ConfigError(
                f"A model with {kind} does not accept this input size.",
                where=f"model.{name}.image_resizer",
                expected=accepted.expected,
                found=", ".join(map(str, dict.fromkeys(wrong))),
                fix=f"Use {accepted.nearest(max(wrong))}.",
            )


def _stride(stride: int) -> Iterator[ConfigError]:
    if stride != _RESNET_STRIDE:
        yield ConfigError(
            "TensorFlow 2 has no ResNet with this stride for Faster R-CNN.",
            where="model.faster_rcnn.feature_extractor.first_stage_features_stride",
            expected=_RESNET_STRIDE,
            found=stride,
            fix=f"Set it and the anchors' strides to {_RESNET_STRIDE}: `tfod configure --base` "
            "does.",
        )


def _sizes(resizer: ImageResizer) -> list[int]:
    if resizer.HasField("fixed_shape_resizer"):
        return [resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width]
    if resizer.HasField("keep_aspect_ratio_resizer"):
        return [resizer.keep_aspect_ratio_resizer.max_dimension]
    return []


def _named_readers(config: PipelineConfig) -> Iterator[tuple[str, InputReader]]:
    yield "train_input_reader", config.train_input_reader
    for index, reader in enumerate(config.eval_input_reader):
        yield f"eval_input_reader[{index}]", reader

"""What in a config would fail, or train something else than meant, found without TensorFlow."""

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfod_kit import labels
from tfod_kit.errors import ConfigError
from tfod_kit.pipeline_config.extractors import EXTRACTORS, tf2_equivalent
from tfod_kit.pipeline_config.text import PipelineConfig

PLACEHOLDER = "PATH_TO_BE_CONFIGURED"


def architecture(config: PipelineConfig) -> str:
    """Which model the config sets: "ssd", "faster_rcnn" or "center_net".

    Raises:
      ConfigError: none, or one that this API cannot train.
    """
    chosen = config.model.WhichOneof("model")
    if chosen not in EXTRACTORS:
        raise ConfigError(
            "The config sets no model that can be trained.",
            where="model",
            expected="one of " + ", ".join(f"{name} {{ }}" for name in EXTRACTORS),
            found=chosen or "none",
            fix="Write a config with `tfod configure MODEL`.",
        )
    return chosen


def model_of(config: PipelineConfig) -> Any:
    """The message of the one model that is set. Raises as `architecture`."""
    return getattr(config.model, architecture(config))


def check(config: PipelineConfig, *, where: object = None) -> None:
    """Raises the first of `validate`'s findings, the rest told in its message."""
    findings = validate(config)
    if findings:
        first = findings[0]
        others = "".join(f"\nAlso: {finding.problem}" for finding in findings[1:])
        place = ", ".join(str(part) for part in (where, first.where) if part)
        raise ConfigError(
            first.problem,
            where=place or None,
            expected=first.expected,
            found=first.found,
            fix=(first.fix or "") + others or None,
        )


def validate(config: PipelineConfig) -> list[ConfigError]:
    """Everything in the config that cannot work on this machine; empty when all is well.

    The findings are errors to print or raise. Paths on remote file systems (gs://...) are not
    looked at.
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
                fix="Let `tfod configure` write the config, or put the path there.",
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
        if _is_remote(path) or PLACEHOLDER in path:
            continue
        try:
            needed = labels.load(Path(path)).num_classes
        except ConfigError as error:
            yield ConfigError(
                error.problem,
                where=f"{where}.label_map_path: {error.where}",
                expected=error.expected,
                found=error.found,
                fix=error.fix,
            )
            continue
        if 0 < present < needed:
            # Upstream leaves out objects whose id is above num_classes, without a word.
            yield ConfigError(
                "The label map has more classes than the model.",
                where=f"model.{architecture(config)}.num_classes",
                expected=f"{needed}, the highest id in {path}",
                found=present,
                fix=f"Set num_classes to {needed}.",
            )


def _readers(config: PipelineConfig) -> Iterator[ConfigError]:
    for where, reader in _named_readers(config):
        paths = list(reader.tf_record_input_reader.input_path)
        if not paths:
            yield ConfigError(
                "No records are named.",
                where=f"{where}.tf_record_input_reader.input_path",
                fix="Name them, or let `tfod configure` write the config.",
            )
        for path in paths:
            if not _is_remote(path) and PLACEHOLDER not in path and not glob.glob(path):  # noqa: PTH207 absolute
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
    if not _is_remote(prefix) and not Path(f"{prefix}.index").is_file():
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
            fix="Set it to detection; CenterNet's old 'fine_tune' is called that too.",
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


def _named_readers(config: PipelineConfig) -> Iterator[tuple[str, Any]]:
    yield "train_input_reader", config.train_input_reader
    for place, reader in enumerate(config.eval_input_reader):
        yield f"eval_input_reader[{place}]", reader


def _is_remote(path: str) -> bool:
    return "://" in path

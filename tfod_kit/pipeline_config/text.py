"""pipeline.config as text: reading it with explained errors, and writing it."""

import re
from pathlib import Path
from typing import Any

from tfod_kit.compat import protos
from tfod_kit.core import labels
from tfod_kit.errors import ConfigError, did_you_mean
from tfod_kit.io import files
from tfod_kit.pipeline_config.messages import PipelineConfig
from tfod_kit.pipeline_config.windows import repair_paths

_NO_FIELD = re.compile(r'Message type "([\w.]+)" has no field named "(\w+)"')
_NEVER_PUBLISHED = ("random_imgaug",)
_NO_VALUE = re.compile(r'Enum type "([\w.]+)" has no value named (\w+)')

FILE_NAME = "pipeline.config"


def load(path: Path) -> PipelineConfig:
    """The config in a file, which may be a folder's pipeline.config.

    Raises:
      ConfigError: it cannot be read, or is no pipeline config; with line and column.
    """
    return loads(_text(path / FILE_NAME if path.is_dir() else path), where=path)


def load_foreign(path: Path) -> tuple[PipelineConfig, list[str]]:
    """A config that was written elsewhere, and the names of the parts that this API lacks.

    The zoo's EfficientDet configs hold an augmentation that the published API never had; it is
    left out. Raises as `load` for anything else.
    """
    text = _text(path / FILE_NAME if path.is_dir() else path)
    dropped = [name for name in _NEVER_PUBLISHED if re.search(rf"\b{name}\s*:?\s*{{", text)]
    for name in dropped:
        text = _without(name, text)
    config = loads(text, where=path)
    kept = [step for step in config.train_config.data_augmentation_options if step.ListFields()]
    del config.train_config.data_augmentation_options[:]
    config.train_config.data_augmentation_options.extend(kept)
    return config, dropped


def loads(text: str, *, where: object = "the config") -> PipelineConfig:
    """The config that a text holds. Raises as `load`; `where` names it in the messages."""
    from google.protobuf import text_format

    config = protos.load("pipeline").TrainEvalPipelineConfig()
    try:
        text_format.Parse(repair_paths(text), config)
    except text_format.ParseError as error:
        raise _explained(text, where, error) from error
    if not config.ListFields():
        raise ConfigError(
            "The config is empty.",
            where=where,
            expected="model { ... } train_config { ... } and the readers",
            fix="Write one with `tfod configure`.",
        )
    return config


def dumps(config: PipelineConfig) -> str:
    """The config's text; `loads` gives back an equal config."""
    from google.protobuf import text_format

    return text_format.MessageToString(config, as_utf8=True)


def save(config: PipelineConfig, path: Path, *, header: str = "") -> None:
    """Writes the config, whole or not at all, below `header`'s lines as comments."""
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    files.write_text(path, comment + dumps(config))


def label_map_path(config: PipelineConfig, folder: Path) -> Path:
    """The label map that the config's evaluation names, else the one in the run folder."""
    readers = config.eval_input_reader
    named = readers[0].label_map_path if readers else ""
    return Path(named or folder / labels.FILE_NAME)


def copy_of(config: PipelineConfig) -> PipelineConfig:
    """A config of its own, so that the given one stays as it is."""
    twin = type(config)()
    twin.CopyFrom(config)
    return twin


def _without(name: str, text: str) -> str:
    """The text without a message field; its line ends stay, so that line numbers still hold."""
    pieces = []
    place = 0
    for found in re.finditer(rf"\b{name}\s*:?\s*{{", text):
        end, depth = found.end(), 1
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        pieces += [text[place : found.start()], "\n" * text.count("\n", found.start(), end)]
        place = end
    return "".join(pieces) + text[place:]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(
            "The pipeline config cannot be read.",
            where=path,
            found=error.strerror,
            fix="Write one with `tfod configure`, or correct the path.",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            "This is not a pipeline config: it is not text.",
            where=path,
            found=str(error),
            fix="Name the pipeline.config file.",
        ) from error


def _explained(text: str, where: object, error: Any) -> ConfigError:
    line, column = error.GetLine(), error.GetColumn()
    lines = text.splitlines()
    source = lines[line - 1].strip() if line and line <= len(lines) else ""
    return ConfigError(
        "This is not a pipeline config that the Object Detection API can read.",
        where=f"{where}, line {line}, column {column}",
        expected=_expected(str(error)),
        found=f"{source}   ({_reason(str(error))})" if source else _reason(str(error)),
        fix=_fix(str(error)),
    )


def _reason(message: str) -> str:
    """The parser's message without its position and its copy of the line."""
    return re.sub(r"^\d+:\d+ : (?s:'.*': )?", "", message).replace("object_detection.protos.", "")


def _expected(message: str) -> str | None:
    if found := _NO_FIELD.search(message):
        return did_you_mean(found[2], _descriptor("FindMessageTypeByName", found[1]).fields_by_name)
    if found := _NO_VALUE.search(message):
        return did_you_mean(found[2], _descriptor("FindEnumTypeByName", found[1]).values_by_name)
    return None


def _fix(message: str) -> str:
    if "specified along with" in message:
        return "Keep one model in `model { }`."
    if message.endswith('Expected "}".'):
        return "Close every { with a }: the file may have been cut short."
    if "Couldn't parse string" in message or "ending quote" in message:
        return "Write paths with forward slashes, in quotes."
    if any(f'"{name}"' in message for name in _NEVER_PUBLISHED):
        return "The published API never had it: `tfod configure --base FILE` leaves it out."
    if _NO_FIELD.search(message):
        return (
            "Correct or remove the line. A config for TensorFlow 1 or of a fork of the API may "
            "hold fields that this one does not know: start from `tfod configure MODEL` instead."
        )
    return "Correct the line."


def _descriptor(finder: str, name: str) -> Any:
    from google.protobuf import descriptor_pool

    return getattr(descriptor_pool.Default(), finder)(name)

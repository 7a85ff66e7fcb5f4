"""Reads pipeline.config with errors that explain what is wrong, and writes it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tfod_kit.compat import protos
from tfod_kit.core import labels
from tfod_kit.errors import ConfigError, did_you_mean
from tfod_kit.io import files
from tfod_kit.pipeline_config.messages import PipelineConfig
from tfod_kit.pipeline_config.windows import repair_paths

if TYPE_CHECKING:
    from google.protobuf.message import Message

_Message = TypeVar("_Message", bound="Message")

_NO_FIELD = re.compile(r'Message type "([\w.]+)" has no field named "(\w+)"')
_NEVER_PUBLISHED = ("random_imgaug",)
_NO_VALUE = re.compile(r'Enum type "([\w.]+)" has no value named (\w+)')

FILE_NAME = "pipeline.config"


def load(path: Path) -> PipelineConfig:
    """Loads a config from a file, or from the pipeline.config in a folder.

    Raises:
      ConfigError: the file cannot be read, or is not a pipeline config; with line and column.
    """
    return loads(_text(path / FILE_NAME if path.is_dir() else path), where=path)


def load_foreign(path: Path) -> tuple[PipelineConfig, list[str]]:
    """Loads a config written by others, without the parts that the published API lacks.

    The zoo's EfficientDet configs contain an augmentation that the API never had; it is left out.

    Returns:
      The config, and the names of the parts that were left out.

    Raises:
      ConfigError: as `load` does.
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
    """Parses a config from text. Raises as `load`; `where` is its name in messages."""
    from google.protobuf import text_format

    config: PipelineConfig = protos.load("pipeline").TrainEvalPipelineConfig()
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
    """The config as text; `loads` returns an equal config."""
    from google.protobuf import text_format

    return text_format.MessageToString(config, as_utf8=True)


def save(config: PipelineConfig, path: Path, *, header: str = "") -> None:
    """Writes the config atomically, after the lines of `header` as comments."""
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    files.write_text(path, comment + dumps(config))


def label_map_path(config: PipelineConfig, folder: Path) -> Path:
    """The label map of the config's evaluation, or else the one in the run folder."""
    readers = config.eval_input_reader
    named = readers[0].label_map_path if readers else ""
    return Path(named or folder / labels.FILE_NAME)


def copy_of(config: _Message) -> _Message:
    """A copy that can be changed without changing the original."""
    copy = type(config)()
    copy.CopyFrom(config)
    return copy


def _without(name: str, text: str) -> str:
    """The text without a message field; line breaks stay, so that line numbers still match."""
    pieces = []
    kept_to = 0
    for match in re.finditer(rf"\b{name}\s*:?\s*{{", text):
        end, depth = match.end(), 1
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        pieces += [text[kept_to : match.start()], "\n" * text.count("\n", match.start(), end)]
        kept_to = end
    return "".join(pieces) + text[kept_to:]


def _text(path: Path) -> str:
    try:
        return files.read_text(path)
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
    if field := _NO_FIELD.search(message):
        return did_you_mean(field[2], _descriptor("FindMessageTypeByName", field[1]).fields_by_name)
    if value := _NO_VALUE.search(message):
        return did_you_mean(value[2], _descriptor("FindEnumTypeByName", value[1]).values_by_name)
    return None


def _fix(message: str) -> str:
    if "specified along with" in message:
        return "Keep one model in `model { }`."
    if message.endswith('Expected "}".'):
        return "Close every { with a }: the file may have been cut short."
    if "Couldn't parse string" in message or "ending quote" in message:
        return "Write paths with forward slashes, in quotes."
    if any(f'"{name}"' in message for name in _NEVER_PUBLISHED):
        return "The published API does not have it: `tfod configure --base FILE` leaves it out."
    if _NO_FIELD.search(message):
        return (
            "Correct or remove the line. A config for TensorFlow 1 or for a fork of the API may "
            "have fields that this API lacks: start from `tfod configure MODEL` instead."
        )
    return "Correct the line."


def _descriptor(finder: str, name: str) -> Any:
    from google.protobuf import descriptor_pool

    return getattr(descriptor_pool.Default(), finder)(name)

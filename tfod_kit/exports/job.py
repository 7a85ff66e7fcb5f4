"""What an export target is given: the trained model, a folder and the options."""

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.errors import SetupError, UsageError
from tfod_kit.exports.source import TrainedModel


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The options of an export.

    Attributes:
      input_type: the input of the exported model; None means the target's default.
      quantise: the number format: float32, or another one of the target; None means its default.
      io: the input type of an int8 model, such as uint8; "uint8/uint8" sets the output type too.
      calibration: how many images int8 is calibrated on.
      any_batch: whether the model takes any number of images at once, if there is a choice.
    """

    input_type: str | None = None
    quantise: str | None = None
    io: str | None = None
    calibration: int = 100
    any_batch: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One export.

    Attributes:
      source: the trained model.
      folder: an empty folder to write into; it is renamed once everything has succeeded.
      input_type, quantise, io, calibration, any_batch: as in `ExportOptions`, with the target's
        defaults filled in.
    """

    source: TrainedModel
    folder: Path
    input_type: str
    quantise: str
    io: str
    calibration: int
    any_batch: bool


def require(target: str, packages: Iterable[str], extra: str) -> None:
    """Checks that packages can be imported, before anything slow starts.

    Raises:
      SetupError: one is missing; names the extra that installs it.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        command = (
            f"pip install 'tfod_kit[{extra}]'" if extra else f"pip install {' '.join(missing)}"
        )
        raise SetupError(
            f"The target {target!r} needs packages that are not installed.",
            found=f"no {', no '.join(missing)}",
            fix=command,
        )


def require_any_batch(source: TrainedModel, export: str) -> None:
    """Checks that the model supports a batch size that its graph does not state.

    Args:
      source: the trained model.
      export: the kind of export, for the message.

    Raises:
      UsageError: upstream can only run this model with a fixed batch size.
    """
    if source.largest_batch == 1:
        raise UsageError(
            f"{export} takes any number of images, and this model only one at a time.",
            where=source.run,
            found="a CenterNet with keypoints of one class among several",
            fix="Export to saved_model with input type image_tensor, without --any_batch; or to "
            "onnx or openvino.",
        )

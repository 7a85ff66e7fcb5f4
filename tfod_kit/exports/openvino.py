"""The OpenVINO target: model.xml and model.bin."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.detectors.openvino import FILE, LABELS
from tfod_kit.errors import SetupError
from tfod_kit.exports import environment, openvino_int8
from tfod_kit.exports.job import Job
from tfod_kit.exports.target import FLOAT32, Target
from tfod_kit.exports.tolerance import EXACT, HALF, QUANTISED
from tfod_kit.io.capture_output import capture_output

if TYPE_CHECKING:
    from openvino import Model

# It needs an older numpy than the stack, and 400 MB, so it gets an environment of its own.
_NNCF = "nncf==3.4.0"


def write(job: Job) -> None:
    """Writes the model, which includes resizing and postprocessing.

    Raises:
      CheckpointError: the checkpoint does not fit the model.
      SetupError: OpenVINO cannot convert the model, or nncf cannot be installed for int8.
    """
    import openvino

    try:
        with capture_output(), _without_telemetry():
            model = openvino.convert_model(str(job.source.saved_model))
    except RuntimeError as error:
        raise SetupError(
            "OpenVINO cannot convert this model.",
            where=job.source.run,
            found=str(error).strip().splitlines()[-1],
            fix="Export it to saved_model or onnx.",
        ) from error
    model.set_rt_info(json.dumps(dict(job.source.label_map.ids), ensure_ascii=False), LABELS)
    if job.quantise == "int8":
        _quantise(model, job)
    else:
        half = job.quantise == "float16"
        openvino.save_model(model, job.folder / FILE, compress_to_fp16=half)


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Disables the converter's telemetry, which is only off in CI."""
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before


def _quantise(model: "Model", job: Job) -> None:
    """Writes the model in int8, calibrated on images of the records."""
    import numpy as np
    import openvino

    python = environment.python("nncf", [_NNCF, f"openvino=={metadata.version('openvino')}"])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        openvino.save_model(model, folder / FILE, compress_to_fp16=False)
        images = [np.asarray(item.image)[None] for item in job.source.examples(job.calibration)]
        np.savez(folder / "images.npz", *images)
        # -P: do not import from the program's folder, which contains an openvino.py too.
        program = ["-P", openvino_int8.__file__, folder / FILE, folder / "images.npz"]
        environment.run(python, [*program, job.folder / FILE], what="Quantising with nncf")


TARGET = Target(
    write=write,
    summary="OpenVINO, for Intel's processors",
    quantise={FLOAT32: EXACT, "float16": HALF, "int8": QUANTISED},
    packages=("openvino",),
    extra="openvino",
)

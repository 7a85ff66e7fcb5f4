"""The OpenVINO target: model.xml and model.bin."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from tfod_kit.detectors.openvino import FILE, LABELS
from tfod_kit.errors import SetupError
from tfod_kit.exports import environment, openvino_int8
from tfod_kit.exports.job import Job
from tfod_kit.io.capture_output import capture_output

# It wants an older numpy than the stack's, and 400 MB, so that it has an environment of its own.
_NNCF = "nncf==3.4.0"


def write(job: Job) -> None:
    """Writes the model; its resizing and its postprocessing are inside.

    Raises:
      CheckpointError: the checkpoint is not this model's.
      SetupError: OpenVINO cannot convert the model, or nncf cannot be had for int8.
    """
    import openvino

    try:
        with capture_output(), _unreported():
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
def _unreported() -> Iterator[None]:
    """Keeps the converter from reporting its use to its makers, which it leaves out in CI alone."""
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before


def _quantise(model: Any, job: Job) -> None:
    """Writes the model in int8, calibrated on the records' pictures."""
    import numpy as np
    import openvino

    python = environment.python("nncf", [_NNCF, f"openvino=={metadata.version('openvino')}"])
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        openvino.save_model(model, folder / FILE, compress_to_fp16=False)
        images = [np.asarray(item.image)[None] for item in job.source.examples(job.calibration)]
        np.savez(folder / "pictures.npz", *images)
        # -P: the folder of the program is not to be searched, for it has an openvino.py too.
        program = ["-P", openvino_int8.__file__, folder / FILE, folder / "pictures.npz"]
        environment.run(python, [*program, job.folder / FILE], what="Quantising with nncf")

"""The OpenVINO target: model.xml and model.bin."""

import json

from tfod_kit.engine.detectors.openvino import FILE, LABELS
from tfod_kit.errors import SetupError
from tfod_kit.export.job import Job
from tfod_kit.export.quiet import quiet


def write(job: Job) -> None:
    """Writes the model; its resizing and its postprocessing are inside.

    Raises:
      CheckpointError: the checkpoint is not this model's.
      SetupError: OpenVINO cannot convert the model.
    """
    import openvino

    try:
        with quiet():
            model = openvino.convert_model(str(job.source.saved_model))
    except RuntimeError as error:
        raise SetupError(
            "OpenVINO cannot convert this model.",
            where=job.source.run,
            found=str(error).strip().splitlines()[-1],
            fix="Export it to saved_model or onnx.",
        ) from error
    model.set_rt_info(json.dumps(dict(job.source.label_map.ids), ensure_ascii=False), LABELS)
    half = job.quantise == "float16"
    openvino.save_model(model, job.folder / FILE, compress_to_fp16=half)

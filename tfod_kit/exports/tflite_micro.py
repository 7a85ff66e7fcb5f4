"""The target for microcontrollers: TensorFlow Lite without a custom operation, and C around it.

The model gives raw boxes and scores. The folder has it as a C array, the anchors and constants as a
header, and a decoder in C; `detectors.raw_boxes` is the same decoder in Python, which the parity
proof runs.
"""

from pathlib import Path
from typing import Any, TypeAlias

from tfod_kit.detectors import raw_boxes
from tfod_kit.detectors.raw_boxes import Decoder
from tfod_kit.detectors.tflite import FILE
from tfod_kit.detectors.tflite_metadata import Metadata, embed
from tfod_kit.errors import UsageError
from tfod_kit.exports import raw_ssd, tflite
from tfod_kit.exports.job import Job
from tfod_kit.exports.target import FLOAT32, Target
from tfod_kit.exports.tolerance import EXACT, QUANTISED
from tfod_kit.io import files

HEADER, DATA = "tfod_model.h", "tfod_model.c"
SOURCES = ("tfod_decode.h", "tfod_decode.c")
_SOURCES_FOLDER = Path(__file__).with_name("micro")
_BYTES_A_LINE = 16
# The input, the boxes and the scores, each with the "shape", "dtype" and "quantization" that LiteRT
# states.
Tensors: TypeAlias = tuple[Any, Any, Any]
_C_TYPES = {"float32": "float", "int8": "int8_t", "uint8": "uint8_t"}


def write(job: Job) -> None:
    """Writes model.tflite, decoder.json, and both as C with a decoder.

    Raises:
      CheckpointError: the checkpoint does not fit the model.
      SetupError: TensorFlow's converter fails.
      UsageError: int8 of a model that was trained quantised.
    """
    if job.quantise != FLOAT32 and job.source.quantised:
        raise UsageError(
            "This target calibrates int8, and cannot take the ranges of a quantised training.",
            where=job.source.run,
            fix="Export it to tflite, or export a run that was trained without --quantise.",
        )
    folder = job.source.folder("tflite_raw", lambda folder: raw_ssd.save(job.source, folder))
    converted, metadata = tflite.converted_with_metadata(job, folder)
    model = embed(converted, metadata)
    decoder = raw_ssd.decoder(job.source)
    files.write_bytes(job.folder / FILE, model)
    raw_boxes.write(decoder, job.folder)
    # The array has no metadata, which would only take memory.
    files.write_text(job.folder / DATA, array(converted))
    files.write_text(job.folder / HEADER, header(decoder, tensors(converted), metadata))
    for name in SOURCES:
        files.write_bytes(job.folder / name, (_SOURCES_FOLDER / name).read_bytes())


def array(model: bytes) -> str:
    """The model as a C array."""
    lines = [
        "  " + ", ".join(f"0x{byte:02x}" for byte in model[start : start + _BYTES_A_LINE]) + ","
        for start in range(0, len(model), _BYTES_A_LINE)
    ]
    return "\n".join(
        [
            f'/* Written by `tfod export --target tflite_micro`. */\n#include "{HEADER}"\n',
            "/* TensorFlow Lite for Microcontrollers reads it where it is, aligned to 16 bytes. */",
            "#if defined(__GNUC__)\n__attribute__((aligned(16)))\n#endif",
            "const unsigned char tfod_model[] = {",
            *lines,
            "};",
            f"const unsigned int tfod_model_length = {len(model)};\n",
        ]
    )


def header(decoder: Decoder, described: Tensors, metadata: Metadata) -> str:
    """The constants of a model, and its anchors, as a C header.

    Args:
      decoder: what decodes the outputs.
      described: the model's tensors.
      metadata: the class names, and the mean and standard deviation of the input.
    """
    inputs, boxes, scores = described
    classes = scores["shape"][-1]
    least = max(decoder.min_score, 0.0)
    constants = {
        "INPUT_HEIGHT": inputs["shape"][1],
        "INPUT_WIDTH": inputs["shape"][2],
        "ANCHORS": len(decoder.anchors),
        "CLASSES": classes,
        "MIN_SCORE": _float(least),
        "IOU_THRESHOLD": _float(decoder.iou_threshold),
        "MAX_DETECTIONS": decoder.max_detections,
        "MAX_PER_CLASS": decoder.max_per_class,
        **{f"{axis}_SCALE": _float(v) for axis, v in zip("YXHW", decoder.scales, strict=True)},
    }
    for name, details in (("INPUT", inputs), ("BOX", boxes), ("SCORE", scores)):
        scale, zero = details["quantization"]
        constants |= {f"{name}_SCALE": _float(scale or 1.0), f"{name}_ZERO": zero}
    labels = ", ".join(f'"{_escaped(name)}"' for name in metadata.labels)
    rows = [f"  {{{', '.join(map(_float, anchor))}}}," for anchor in decoder.anchors]
    kinds = [_C_TYPES[details["dtype"].__name__] for details in (inputs, boxes)]
    return "\n".join(
        [
            "/* Written by `tfod export --target tflite_micro`. */",
            "#ifndef TFOD_MODEL_H_\n#define TFOD_MODEL_H_\n\n#include <stdint.h>\n",
            "/* input = (pixel - mean) / std / TFOD_INPUT_SCALE + TFOD_INPUT_ZERO, rounded */",
            f"typedef {kinds[0]} tfod_input;\ntypedef {kinds[1]} tfod_value;",
            *(f"#define TFOD_{name} {value}" for name, value in constants.items()),
            f"static const float tfod_mean[3] = {{{', '.join(map(_float, metadata.mean))}}};",
            f"static const float tfod_std[3] = {{{', '.join(map(_float, metadata.std))}}};",
            f"static const char *const tfod_class_names[] = {{{labels}}};",
            "extern const unsigned char tfod_model[];",
            "extern const unsigned int tfod_model_length;",
            "/* y, x, height and width of each anchor, as parts of the input */",
            "static const float tfod_anchors[TFOD_ANCHORS][4] = {",
            *rows,
            "};\n#endif /* TFOD_MODEL_H_ */\n",
        ]
    )


def tensors(model: bytes) -> Tensors:
    """What the interpreter states of the input, the boxes and the scores."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model)
    (inputs,) = interpreter.get_input_details()
    scores, boxes = sorted(interpreter.get_output_details(), key=lambda item: len(item["shape"]))
    return inputs, boxes, scores


def _float(value: float) -> str:
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _escaped(name: str) -> str:
    """A name in a C string: UTF-8, other bytes than letters and digits as octal numbers."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in name.encode()
    )


TARGET = Target(
    write=write,
    check=raw_ssd.check,
    summary="TensorFlow Lite for microcontrollers: raw boxes, a C array and a decoder in C",
    quantise={"int8": QUANTISED, FLOAT32: EXACT},
    io=("int8/int8", "uint8/uint8", FLOAT32),
    architectures=("ssd",),
    packages=("ai_edge_litert",),
    unproved="the C code on a board; its decoder equals the one in Python, which was run",
)

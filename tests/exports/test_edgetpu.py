"""The Edge TPU target. In place of Google's compiler, a program writes reports in its words.

They are those of https://www.coral.ai/docs/edgetpu/compiler/.
"""

import json
import os
from pathlib import Path

import pytest
from trained import Trained

from tfod_kit import detectors, exports
from tfod_kit.errors import SetupError
from tfod_kit.exports import ExportOptions, edgetpu
from tfod_kit.exports.source import open_run

REPORT = """Edge TPU Compiler version 16.0.384591198
Input: model.tflite
Output: model_edgetpu.tflite

Operator                       Count      Status

CONV_2D                        55         Mapped to Edge TPU
DEPTHWISE_CONV_2D              17         Mapped to Edge TPU
CUSTOM                         1          Operation is working on an unsupported data type
"""
PRINTED = """Model compiled successfully in 3478 ms.

Number of operations that will run on Edge TPU: 72
Number of operations that will run on CPU: 1
"""


def _compiler(folder: Path, *, code: int = 0) -> str:
    """A program that compiles as Google's does."""
    path = folder / edgetpu.COMPILER
    path.write_text(
        "#!/bin/sh\n"
        f'if [ {code} != 0 ]; then echo "Model not quantized" >&2; exit {code}; fi\n'
        'cp "$4" "$3/model_edgetpu.tflite"\n'
        f"cat > \"$3/model_edgetpu.log\" <<'END'\n{REPORT}END\n"
        f"cat <<'END'\n{PRINTED}END\n"
    )
    path.chmod(0o755)
    return str(path)


def test_the_report_is_read() -> None:
    mapping = edgetpu.read_report(PRINTED + REPORT)
    assert (mapping.on_edge_tpu, mapping.on_cpu) == (72, 1)
    assert [one.name for one in mapping.operators] == ["CONV_2D", "DEPTHWISE_CONV_2D", "CUSTOM"]
    assert [one.mapped for one in mapping.operators] == [True, True, False]
    assert str(mapping) == (
        "72 of 73 operations run on the Edge TPU; on the CPU: 1 CUSTOM (Operation is working on an "
        "unsupported data type)"
    )
    with pytest.raises(SetupError, match="cannot be read"):
        edgetpu.read_report("Segmentation fault")


def test_the_compiler_is_called_and_its_failure_reported(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"TFL3")
    mapping = edgetpu.compiled(_compiler(tmp_path), tmp_path)
    assert mapping.on_edge_tpu == 72
    assert (tmp_path / edgetpu.COMPILED).read_bytes() == b"TFL3"
    (tmp_path / edgetpu.COMPILED).unlink()
    with pytest.raises(SetupError, match="Model not quantized"):
        edgetpu.compiled(_compiler(tmp_path, code=1), tmp_path)


@pytest.mark.slow
def test_a_trained_model_in_int8_and_compiled(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _compiler(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    options = ExportOptions(calibration=16)
    proof = exports.export(
        open_run(trained.run), tmp_path / "out", "edgetpu", options, parity_images=8
    )
    assert proof is not None
    assert proof.holds
    info = json.loads((tmp_path / "out" / "model.json").read_text())
    assert (info["target"], info["quantise"], info["proved"]) == ("edgetpu", "int8", True)
    assert "model_edgetpu.tflite" in info["unproved"]
    assert json.loads((tmp_path / "out" / "edgetpu.json").read_text())["on_cpu"] == 1
    detector = detectors.load(tmp_path / "out")
    interpreter = detector._interpreter  # type: ignore[attr-defined]
    details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert {item["dtype"].__name__ for item in details} == {"uint8"}

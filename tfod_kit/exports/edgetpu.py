"""The Edge TPU target: a full int8 TensorFlow Lite model, compiled for Coral's boards.

Google's compiler exists for Debian on x86 alone. Where it is installed it is called, and its report
of the operations that it mapped is read; elsewhere the folder has the file that it takes.
"""

import json
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from tfod_kit.detectors.tflite import FILE
from tfod_kit.errors import SetupError
from tfod_kit.exports import tflite
from tfod_kit.exports.job import Job
from tfod_kit.exports.target import Target
from tfod_kit.exports.tolerance import QUANTISED
from tfod_kit.io import files
from tfod_kit.io.progress import announce

COMPILER = "edgetpu_compiler"
COMPILED = f"{Path(FILE).stem}_edgetpu.tflite"
REPORT = "edgetpu.json"
_LOG = f"{Path(FILE).stem}_edgetpu.log"
# Lines of the report, such as "CONV_2D   55   Mapped to Edge TPU".
_OPERATOR = re.compile(
    r"^(?P<name>[A-Z0-9_]+)\s+(?P<count>\d+)\s+(?P<status>\S.*?)\s*$", re.MULTILINE
)
_COUNT = "Number of operations that will run on {}: (\\d+)"
_MAPPED = "Mapped to Edge TPU"


@dataclass(frozen=True, slots=True)
class Operator:
    """Operations of one kind.

    Attributes:
      name: TensorFlow Lite's, such as "CONV_2D".
      count: how many.
      status: the compiler's words: "Mapped to Edge TPU", or why they are not.
    """

    name: str
    count: int
    status: str

    @property
    def mapped(self) -> bool:
        """Whether they run on the Edge TPU."""
        return self.status == _MAPPED


@dataclass(frozen=True, slots=True)
class Mapping:
    """What the compiler reports.

    Attributes:
      on_edge_tpu, on_cpu: the number of operations that run there.
      operators: each kind, and where it runs.
    """

    on_edge_tpu: int
    on_cpu: int
    operators: tuple[Operator, ...]

    def __str__(self) -> str:
        total = self.on_edge_tpu + self.on_cpu
        rest = ", ".join(
            f"{one.count} {one.name} ({one.status})" for one in self.operators if not one.mapped
        )
        return f"{self.on_edge_tpu} of {total} operations run on the Edge TPU" + (
            f"; on the CPU: {rest}" if rest else ""
        )


def write(job: Job) -> None:
    """Writes model.tflite in int8 and, if the compiler is installed, model_edgetpu.tflite.

    Raises:
      CheckpointError: the checkpoint does not fit the model.
      SetupError: a converter or the compiler fails.
    """
    tflite.write(job)
    compiler = shutil.which(COMPILER)
    if compiler is None:
        announce(
            f"{COMPILER} is not installed, so that nothing is compiled. Where it is (Debian, x86): "
            f"{COMPILER} -s {FILE}"
        )
        return
    mapping = compiled(compiler, job.folder)
    announce(f"Compiled for the Edge TPU: {mapping}")
    files.write_text(job.folder / REPORT, json.dumps(asdict(mapping), indent=2) + "\n")


def compiled(compiler: str, folder: Path) -> Mapping:
    """Compiles the model in a folder; returns what runs where.

    Raises:
      SetupError: the compiler fails, or its report cannot be read.
    """
    words = [compiler, "-s", "-o", str(folder), str(folder / FILE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / COMPILED).is_file():
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise SetupError(
            "Google's compiler for the Edge TPU cannot compile this model.",
            where=" ".join(words),
            found="; ".join(lines[-4:]) or f"exit code {done.returncode}",
            fix="Update the compiler; or take it off PATH to get the uncompiled model.",
        )
    log = folder / _LOG
    return read_report(done.stdout + (log.read_text() if log.is_file() else ""))


def read_report(text: str) -> Mapping:
    """What runs where, by the compiler's report.

    Raises:
      SetupError: the text is not its report.
    """
    counts = [re.search(_COUNT.format(device), text) for device in ("Edge TPU", "CPU")]
    operators = {
        found["name"]: Operator(found["name"], int(found["count"]), found["status"])
        for found in _OPERATOR.finditer(text)
    }
    if counts[0] is None:
        raise SetupError(
            f"The report of {COMPILER} cannot be read.",
            expected='a line "Number of operations that will run on Edge TPU: N"',
            found=text.strip()[-200:],
            fix="Please report it, with the compiler's version.",
        )
    on_cpu = int(counts[1][1]) if counts[1] else 0
    return Mapping(int(counts[0][1]), on_cpu, tuple(operators.values()))


TARGET = Target(
    write=write,
    check=tflite.check,
    summary="TensorFlow Lite in int8, compiled for Coral's Edge TPU where the compiler is there",
    quantise={"int8": QUANTISED},
    learnt_int8=True,
    io=("uint8/uint8", "uint8", "int8/int8", "int8"),
    architectures=("ssd",),
    packages=("ai_edge_litert",),
    unproved=f"{COMPILED}, which only an Edge TPU runs; {FILE}, which it is compiled from, was run",
)

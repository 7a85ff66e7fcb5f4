"""Takes steps of a run's model without a teacher and with one, and prints the losses as JSON.

A program (arguments: RUN TEACHER OTHER), because determinism is enabled for a whole process.
TEACHER has the anchors of RUN, OTHER does not.
"""

import json
import sys
from pathlib import Path

import numpy as np

from tfod_kit import pipeline_config
from tfod_kit.engine import restore, runtime
from tfod_kit.training import step_options, teacher
from tfod_kit.training.step import TrainingStep
from tfod_kit.training.step_options import StepOptions
from tfod_kit.training.teacher_options import TeacherOptions

STEPS = 2
OPTIONS = StepOptions(batch_size=2, seed=5, deterministic=True, cache="memory", input_workers=1)


def main(run: Path, source: Path, other: Path) -> None:
    without, weights = taken(run, TeacherOptions())
    none, same = taken(run, TeacherOptions(str(source), 0.0))
    for losses in none:
        del losses["Loss/distillation_loss"]
    taught, _ = taken(run, TeacherOptions(str(other), 3.0), steps=1)
    different = [name for name in weights if not np.array_equal(weights[name], same[name])]
    results = {"without": without, "weight 0": none, "weight 3": taught}
    print(json.dumps(results | {"weights differ": different}))


def taken(
    run: Path, given: TeacherOptions, steps: int = STEPS
) -> tuple[list[dict[str, float]], dict[str, np.ndarray]]:
    """The losses of each step of a training at its beginning, and the weights after them."""
    path = run / "pipeline.config"
    config = step_options.applied(OPTIONS, pipeline_config.load(path))
    strategy = runtime.start().distribute.get_strategy()
    taught = teacher.load(given, config, path)
    step_options.prepare(OPTIONS)
    step = TrainingStep(config, path, strategy, OPTIONS, teacher=taught)
    step.from_scratch()
    batches = iter(step.input)
    losses = [
        {name: float(loss) for name, loss in step.run(batches, 1).losses.items()}
        for _ in range(steps)
    ]
    return losses, {name: value.numpy() for name, value in restore.named_variables(step.model)}


main(*map(Path, sys.argv[1:]))

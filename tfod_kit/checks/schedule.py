"""The check `schedule`: how long the learning-rate schedule is, and how high the rate."""

from collections.abc import Callable

from tfod_kit import pipeline_config
from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import CheckFindings, Location

# The zoo's highest rate for each image of the batch is 0.8 / 512 (SSD MobileNet V2, momentum).
_HIGH_RATE_PER_IMAGE = 0.004
_HIGH_ADAM_RATE = 0.01

# Whether a schedule of a kind (upstream's message) is longer than so many steps.
_OUTLASTS: dict[str, Callable[[pipeline_config.Schedule, int], bool]] = {
    "cosine_decay_learning_rate": lambda schedule, steps: schedule.total_steps > 1.1 * steps,
    "manual_step_learning_rate": lambda schedule, steps: any(
        entry.step > steps for entry in schedule.schedule
    ),
    "exponential_decay_learning_rate": lambda schedule, steps: schedule.decay_steps > steps,
}


def check_schedule(context: CheckContext, findings: CheckFindings) -> None:
    """Compares the learning-rate schedule with num_steps, and the rate with the batch size."""
    training = context.config.train_config
    optimizer = training.optimizer.WhichOneof("optimizer")
    rate = getattr(training.optimizer, optimizer).learning_rate if optimizer else None
    kind = rate.WhichOneof("learning_rate") if rate is not None else None
    if optimizer is None or kind is None:
        return
    steps = training.num_steps
    if steps and kind in _OUTLASTS and _OUTLASTS[kind](getattr(rate, kind), steps):
        findings.warning(
            "schedule_outlasts_training",
            "The learning-rate schedule is longer than the training, which ends before the rate "
            "has decayed.",
            Location(context.config_name, found=f"{kind}, num_steps {steps:,}"),
            fix="`tfod configure --steps N` stretches the schedule to the steps.",
        )
    highest = pipeline_config.learning_rate(context.config)
    limit = _HIGH_ADAM_RATE if "adam" in optimizer else _HIGH_RATE_PER_IMAGE * training.batch_size
    if highest > limit and not training.gradient_clipping_by_norm:
        findings.warning(
            "learning_rate_high",
            "The learning rate is high for this batch size, and gradients are not clipped: the "
            "loss may become NaN.",
            Location(
                context.config_name,
                found=f"{highest:.4g} ({optimizer}, batch_size {training.batch_size})",
            ),
            fix=f"`tfod configure --learning_rate {limit / 2:.2g}`, or set "
            "train_config.gradient_clipping_by_norm to 10.",
        )


CHECK = Check(
    name="schedule",
    covers="the learning rate over the steps",
    codes=("schedule_outlasts_training", "learning_rate_high"),
    run=check_schedule,
    needs=Needs.MODEL,
    quick=True,
)

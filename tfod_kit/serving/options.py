"""The options of `tfod serve`, and those of one request."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tfod_kit.errors import did_you_mean
from tfod_kit.serving.limits import Limits, Refusal


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of `tfod serve`.

    Attributes:
      host: the address to listen on; "0.0.0.0" accepts connections from other machines.
      port: the port; 0 = a free one.
      min_score: the lowest score that is returned, unless a request states another; in [0, 1].
      batch_size: the maximum number of images in a batch.
      model_threads: processor threads of one call of a TensorFlow model; None = by the model.
      window_s: how long a batch waits for the other requests in progress, in seconds.
      label_map: the class names of a model that has no label map of its own.
      checkpoint: a run's checkpoint; None = the latest.
      access_log: whether to log each request.
      token: what clients must send as `Authorization: Bearer TOKEN`; None = no check.
      allow_origins: the origins whose web pages may use the service, or "*" for all.
      limits: beyond them a request waits or is refused.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    min_score: float = 0.5
    batch_size: int = 8
    model_threads: int | None = None
    window_s: float = 0.005
    label_map: Path | None = None
    checkpoint: Path | str | None = None
    access_log: bool = False
    token: str | None = None
    allow_origins: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """The options of one request.

    Attributes:
      min_score: the lowest score that is returned, in [0, 1].
      draw: whether to return the image with its objects drawn on it.
    """

    min_score: float
    draw: bool = False

    def updated(self, given: Iterable[tuple[str, str]]) -> "DetectOptions":
        """These options with those of an address or a form, as (name, text).

        Raises:
          Refusal: 400, an option is unknown, invalid or given twice.
        """
        options, names = self, set()
        for name, text in given:
            if name in names:
                raise Refusal(400, f"{name} is given twice.")
            names.add(name)
            if name == "min_score":
                options = replace(options, min_score=_min_score(text))
            elif name == "draw":
                options = replace(options, draw=_draw(text))
            else:
                raise Refusal(
                    400,
                    f"There is no option {name[:40]!r}. "
                    f"{did_you_mean(name, ('min_score', 'draw'))}",
                )
        return options


def _min_score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = -1.0
    if not 0.0 <= score <= 1.0:
        raise Refusal(400, f"min_score is a number from 0 to 1, not {text[:40]!r}.")
    return score


def _draw(text: str) -> bool:
    if text not in ("0", "1"):
        raise Refusal(400, f"draw is 0 or 1, not {text[:40]!r}.")
    return text == "1"

"""The outcome of `tfod evaluate`: the figures, and where they were written."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.evaluation import result_text
from tfod_kit.runs.results import ClassMetrics, Results


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured; prints as a summary for people.

    Attributes:
      results: every figure and curve.
      document: the JSON file that holds them; `runs.results.load` reads it.
      log_dir: the folder to start TensorBoard on; None if no curves were written.
      notes: remarks that qualify the figures.
    """

    results: Results
    document: Path
    log_dir: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def metrics(self) -> dict[str, float]:
        """The overall figures by name; -1 if there was nothing to measure."""
        return self.results.metrics

    @property
    def classes(self) -> dict[str, ClassMetrics]:
        """The figures of each class."""
        return self.results.classes

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield from result_text.lines(self.results)
        yield f"\nFigures:     {self.document}"
        shown = (("Most wrong:  ", self.results.worst), ("Others:      ", self.results.samples))
        for title, images in shown:
            drawn = [image.drawn for image in images if image.drawn]
            if drawn:
                yield f"{title}{self.document.parent / Path(drawn[0]).parent} ({len(drawn)} images)"
        yield from (f"Note:        {note}" for note in self.notes)
        if self.log_dir is not None:
            yield f"Curves:      tensorboard --logdir {self.log_dir}"

"""The outcome of `tfod evaluate`: the figures, and where they were written."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.drawing import notebook
from tfod_kit.evaluation import result_text
from tfod_kit.runs.results import ClassMetrics, Results

_SHOWN = 4  # images in a notebook


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured; prints as a summary for people.

    Attributes:
      results: every figure and curve.
      document: the JSON file that holds them; `runs.results.load` reads it.
      log_dir: the folder to start TensorBoard on; None if no curves were written.
      notes: remarks that qualify the figures, in addition to those of the results.
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

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [["metric", "value"]]
        rows += [[name, f"{value:.3f}"] for name, value in self.metrics.items() if value >= 0]
        classes = [["class", "AP", "AP@.50"]]
        classes += [
            [name, f"{row.ap:.3f}", f"{row.ap50:.3f}"] for name, row in self.classes.items()
        ]
        drawn = [image.drawn for image in self.results.worst if image.drawn][:_SHOWN]
        images = [
            notebook.photo((self.document.parent / name).read_bytes(), name) for name in drawn
        ]
        return notebook.page([notebook.table(rows), notebook.table(classes), *images])

    def _lines(self) -> Iterator[str]:
        yield from result_text.lines(self.results)
        yield f"\nFigures:     {self.document}"
        shown = (("Most wrong:  ", self.results.worst), ("Others:      ", self.results.samples))
        for title, images in shown:
            drawn = [image.drawn for image in images if image.drawn]
            if drawn:
                yield f"{title}{self.document.parent / Path(drawn[0]).parent} ({len(drawn)} images)"
        yield from (f"Note:        {note}" for note in (*self.results.notes, *self.notes))
        if self.log_dir is not None:
            yield f"Curves:      tensorboard --logdir {self.log_dir}"

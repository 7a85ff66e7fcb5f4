"""`tfod predict` as a function: files, videos and streams in, drawn files and documents out."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tfod_kit import formats
from tfod_kit.drawing import notebook
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.prediction import inputs, outputs
from tfod_kit.prediction.inputs import Input, Video
from tfod_kit.prediction.outputs import PredictionReport
from tfod_kit.prediction.session import Log, PredictOptions, Session

__all__ = ["OUT", "PredictOptions", "PredictionSummary", "predict_files", "saveable"]

JSON = "json"
OUT = Path("work/predictions")
_MIN_TILE, _MAX_OVERLAP = 32, 0.9
_LISTED_FILES = 5
_NOTEBOOK_IMAGES = 6
_DEFAULTS = PredictOptions()


@dataclass(frozen=True, slots=True)
class PredictionSummary:
    """The outcome of `predict_files`; prints as `tfod predict` does, and can be used as the
    path of the folder.

    Attributes:
      out: the folder that holds the results.
      report: the counts.
      saved: what was written besides drawn files: "json" or a format -> its file or folder.
      drawn: whether images and videos were drawn.
      min_score: the lowest score that was kept of any class.
    """

    out: Path
    report: PredictionReport
    saved: Mapping[str, Path]
    drawn: bool
    min_score: float

    @property
    def read_any(self) -> bool:
        """Whether at least one input could be read."""
        return bool(self.report.images or self.report.videos)

    def __fspath__(self) -> str:
        return str(self.out)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        drawn = sorted(self.out.glob("*.jpg")) if self.drawn else []
        images = [notebook.photo(path.read_bytes(), path.name) for path in drawn[:_NOTEBOOK_IMAGES]]
        return notebook.page([notebook.text(str(self)), *images])

    def _lines(self) -> Iterator[str]:
        yield from _counts(self.report, self.min_score)
        if not self.read_any:
            return
        if self.drawn:
            yield f"Images:      {self.out}"
        for name, path in self.saved.items():
            yield f"{'Detections' if name == JSON else name.upper()}:".ljust(13) + str(path)
        yield f"Report:      {self.out / outputs.REPORT}"
        if self.report.unreadable:
            yield f"{len(self.report.unreadable)} could not be read: {_unreadable(self.report)}"


def saveable() -> tuple[str, ...]:
    """What `PredictOptions.save` may name."""
    return (JSON, *formats.FORMATS.writable)


def predict_files(
    model: Path,
    sources: Sequence[str],
    out: Path = OUT,
    options: PredictOptions = _DEFAULTS,
    *,
    log: Log = lambda line: None,
    stdin: IO[bytes] | None = None,
) -> PredictionSummary:
    """Detects objects in files, videos and streams; draws them and lists them in `out`.

    What an earlier call with the same model and options has done is not done again.

    Args:
      model: an exported model or a run folder.
      sources: files, folders, patterns, addresses, streams and cameras; see `inputs.find`.
      out: the folder for the results.
      options: filters, tiles, what to write, and how to treat videos.
      log: receives a line when a model is loaded, and for unreadable files.
      stdin: what the source "-" reads from.

    Raises:
      UsageError: an option is invalid, or a source or the model does not exist.
      CheckpointError: there is no such checkpoint.
    """
    _check(options)
    found = inputs.find(sources, out, stdin)
    _refuse_overwriting(found, out)
    _refuse_live(found, options.save)
    with warnings.catch_warnings():
        # Pillow warns of images that are large and yet allowed.
        warnings.filterwarnings("ignore", module="PIL")
        with Session(model, found, out, options, log) as session:
            session.run()
            saved = {}
            if session.report.images or session.report.videos:
                saved = {
                    name: session.save_json() if name == JSON else session.save_data_set(name)
                    for name in options.save
                }
    return PredictionSummary(out, session.report, saved, options.draw, options.filters.floor)


def _check(options: PredictOptions) -> None:
    for name in options.save:
        if name not in saveable():
            raise UsageError(
                f"There is no {name!r} to save.",
                where="--save",
                fix=did_you_mean(name, saveable()),
            )
    if options.filters.nms_agnostic and options.filters.nms is None:
        raise UsageError(
            "--nms_agnostic extends --nms, which is not given.", fix="Add --nms 0.5, for example."
        )
    tiling = options.tiling
    if tiling is not None and (tiling.side < _MIN_TILE or tiling.overlap > _MAX_OVERLAP):
        raise UsageError(
            "The tiles would be too many.",
            where=f"--tile {tiling.side} --overlap {tiling.overlap}",
            expected=f"a side of {_MIN_TILE} px or more, and an overlap of at most {_MAX_OVERLAP}",
        )


def _refuse_overwriting(sources: Sequence[Input], out: Path) -> None:
    """Images are never drawn over: `out` may not be the folder of an input."""
    for item in sources:
        if item.path.resolve().parent == out.resolve():
            raise UsageError(
                "The results would overwrite the images.",
                where=out,
                fix="Name another folder with --out.",
            )


def _refuse_live(sources: Sequence[Input], saved: Sequence[str]) -> None:
    """The frames of a data set are read from the video again; those of a stream are gone."""
    live = [item.live for item in sources if isinstance(item, Video) and item.live is not None]
    data_sets = [name for name in saved if name != JSON]
    if live and data_sets:
        raise UsageError(
            "A data set cannot hold the frames of a camera or stream.",
            where=live[0],
            fix="Record it to a file and detect in that, or leave out "
            f"{', '.join(data_sets)} in --save; JSON lists the frames.",
        )


def _counts(report: PredictionReport, min_score: float) -> Iterator[str]:
    read = [
        f"{number:,} {name}"
        for number, name in (
            (report.images, "images"),
            (report.videos, "videos"),
            (report.frames, "frames"),
        )
        if number or (name == "images" and not report.videos)
    ]
    objects = report.objects
    yield f"{', '.join(read)}: {objects.total():,} objects ({_listed(objects) or 'none'})"
    if report.tracks:
        yield f"Tracked:     {_listed(report.tracks)}"
    if report.images and objects and report.without_objects:
        yield f"             {report.without_objects:,} images without any"
    if not objects:
        yield f"Nothing scored {min_score} or more: try --min_score 0.1, or train longer."


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {label}" for label, number in counts.most_common())


def _unreadable(report: PredictionReport) -> str:
    names = [row["file"] for row in report.unreadable]
    more = len(names) - _LISTED_FILES
    return ", ".join(names[:_LISTED_FILES]) + (
        f" and {more} more, in {outputs.REPORT}" if more > 0 else ""
    )

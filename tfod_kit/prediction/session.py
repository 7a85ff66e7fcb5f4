"""One run of `tfod predict`: detects in what an earlier run has not done, and keeps a journal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tfod_kit import prediction
from tfod_kit.core.labels import LabelMap
from tfod_kit.drawing import visualize
from tfod_kit.errors import DataError
from tfod_kit.io import files
from tfod_kit.io.progress import progress
from tfod_kit.prediction import fingerprint, inputs, outputs, video_frames, videos
from tfod_kit.prediction.filters import Filters, check_classes
from tfod_kit.prediction.inputs import Input, Video
from tfod_kit.prediction.journal import Journal
from tfod_kit.prediction.pipeline import DetectOptions
from tfod_kit.prediction.tiles import Tiling

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

# Simultaneous calls of the detector: a SavedModel detects one image per call, so a second call
# keeps the cores busy while the first returns its results.
_CONCURRENCY = {"saved_model": 2}

_FRAMES = "frames"  # the folder of the frames that data sets link to
_LISTED_ERRORS = 20  # unreadable images reported as they occur

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """The options of `tfod predict`.

    Attributes:
      label_map: the class names of a model that has no label map of its own.
      checkpoint: a run's checkpoint: "latest", "best", a name or a path; None = the latest.
      batch_size: images per call of the detector.
      restart: whether to detect again what an earlier run has done.
      filters: which objects to keep.
      tiling: how to cut large images into tiles; None = detect only in the whole image.
      draw: whether to draw images and videos.
      save: what to write besides the report: "json" and any annotation formats.
      link: whether data sets link to the images rather than copy them.
      track: whether to track objects through videos.
      every: detect in every Nth frame of a video.
      max_frames: frames after which to stop in each video or stream; None = at its end.
    """

    label_map: Path | None = None
    checkpoint: str | None = None
    batch_size: int = 8
    restart: bool = False
    filters: Filters = field(default_factory=Filters)
    tiling: Tiling | None = None
    draw: bool = True
    save: tuple[str, ...] = ("json",)
    link: bool = False
    track: bool = False
    every: int = 1
    max_frames: int | None = None


class Session:
    """Detects in all inputs except those that an earlier run with the same options has done.

    Attributes:
      report: the counts, complete after `run`.
    """

    def __init__(
        self,
        model: Path,
        sources: Sequence[Input],
        out: Path,
        options: PredictOptions,
        log: Log,
    ) -> None:
        """Opens the journal in `out`.

        Raises:
          UsageError: there is no such model, or another run writes into the folder.
          CheckpointError: there is no such checkpoint.
        """
        from tfod_kit import detectors

        self._model = model
        self._options = options
        self._out = out
        self._log = log
        names = inputs.drawn_names([item.path for item in sources])
        self._drawn = dict(zip((item.path for item in sources), names, strict=True))
        self._inputs = list(sources)
        self._unreadable = 0
        self._stack = ExitStack()
        self._frames: dict[Path, list[dict[str, Any]]] = {}
        runtime, path = detectors.runtime_of(model)
        self._detect_options = DetectOptions(
            options.filters, options.tiling, options.batch_size, _CONCURRENCY.get(runtime, 1)
        )
        source = fingerprint.of_model(
            runtime, path, label_map=options.label_map, checkpoint=options.checkpoint
        )
        set_options = fingerprint.of_options(options.filters, options.tiling)
        if any(isinstance(item, Video) for item in sources):
            set_options["videos"] = (
                f"every {options.every}, at most {options.max_frames}, track {options.track}"
            )
        self._journal = Journal(out, source | set_options, restart=options.restart)
        self.report = outputs.PredictionReport(source["model"], set_options)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._journal.__exit__()

    def run(self) -> None:
        """Detects, draws and records whatever is not done, and writes report.json."""
        remaining = [item for item in self._inputs if not self._is_done(item)]
        done = len(self._inputs) - len(remaining)
        if self._journal.changed:
            changed = ", ".join(self._journal.changed)
            self._log(f"Starting again: changed since the last run: {changed}")
        elif done:
            self._log(
                f"Resuming: {done:,} of {len(self._inputs):,} are done (--restart detects again)"
            )
        if remaining:
            self._detect(remaining)
        for item in self._inputs:
            entry = self._journal.entry(item.path)
            if entry is not None:
                self.report.add(entry)
        files.write_text(self._out / outputs.REPORT, self.report.as_json())

    def save_json(self) -> Path:
        """Writes detections.json; returns its path."""
        path = self._out / outputs.RESULTS
        outputs.save_json(path, self.report.model, self._entries(), self.report.unreadable)
        return path

    def save_data_set(self, name: str) -> Path:
        """Writes images and detections in an annotation format; returns the folder."""
        out = self._out / name
        outputs.save_data_set(name, self._images(), out, self._classes, self._options.link)
        return out

    def _images(self) -> Iterator[dict[str, Any]]:
        """The entries of the images, and of the frames of videos, which become image files."""
        for item, entry in self._readable():
            if not isinstance(item, Video):
                yield entry
            else:
                yield from self._frames_of(item, entry)

    def _frames_of(self, video: Video, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The entries of a video's frames, which are written once for all data sets."""
        if video.path not in self._frames:
            folder = self._frames_folder / files.portable(self._drawn[video.path])
            folder.mkdir(parents=True, exist_ok=True)
            rows = video_frames.extract(
                video, self._out / entry["listed"], Path(self._drawn[video.path]).stem, folder
            )
            kept = self._frames[video.path] = []
            with progress(f"frames of {video.path.name}", entry["frames"], "frames") as bar:
                for row in rows:
                    kept.append(row)
                    bar.advance()
        return self._frames[video.path]

    @cached_property
    def _frames_folder(self) -> Path:
        """Where frames are until the data sets are written; it stays if these link to them."""
        if self._options.link:
            return self._out / _FRAMES
        return Path(self._stack.enter_context(TemporaryDirectory(prefix=".frames-", dir=self._out)))

    def _is_done(self, item: Input) -> bool:
        entry = self._journal.entry(item.path)
        if entry is not None and "unreadable" in entry:
            return (item, "") in self._journal
        drawn = self._drawn_name(item)
        if drawn and not (self._out / drawn).is_file():
            return False
        return (item, drawn) in self._journal

    def _drawn_name(self, item: Input) -> str:
        return self._drawn[item.path] if self._options.draw else ""

    def _entries(self) -> Iterator[dict[str, Any]]:
        """The journal's entries of the readable inputs, in the inputs' order."""
        return (entry for _, entry in self._readable())

    def _readable(self) -> Iterator[tuple[Input, dict[str, Any]]]:
        for item in self._inputs:
            entry = self._journal.entry(item.path)
            if entry is not None and "unreadable" not in entry:
                yield item, entry

    @cached_property
    def _detector(self) -> "Detector":
        import numpy as np

        from tfod_kit import detectors

        options = self._options
        self._log(f"Loading {self._model}")
        detector = detectors.load(
            self._model, label_map=options.label_map, checkpoint=options.checkpoint
        )
        check_classes(sorted(options.filters.classes), detector.label_map, "--classes")
        check_classes(sorted(options.filters.thresholds), detector.label_map, "--thresholds")
        # Warm up, so that the progress rate excludes graph building.
        detector.detect([np.zeros((64, 64, 3), np.uint8)])
        return detector

    @cached_property
    def _classes(self) -> LabelMap | None:
        return self._detector.label_map

    @cached_property
    def _colours(self) -> dict[str, visualize.Colour]:
        return visualize.palette(self._detector.label_map or ())

    def _detect(self, remaining: Sequence[Input]) -> None:
        images = [item for item in remaining if not isinstance(item, Video)]
        _ = self._detector  # loaded before the first progress line
        if images:
            self._detect_in_images(images)
        for item in remaining:
            if isinstance(item, Video):
                self._detect_in_video(item)

    def _detect_in_images(self, images: Sequence[Input]) -> None:
        targets = {item.path: self._out / self._drawn[item.path] for item in images}
        rows = prediction.predict(
            self._detector,
            images,
            self._detect_options,
            drawn=targets if self._options.draw else {},
            colours=self._colours,
        )
        with progress("detecting", len(images), "images") as bar:
            for item, row in zip(images, rows, strict=True):
                if isinstance(row, DataError):
                    self._add_unreadable(item, row, bar.print)
                else:
                    self._journal.add(outputs.as_entry(row), self._drawn_name(item))
                bar.advance()

    def _add_unreadable(self, item: Input, error: DataError, log: Log) -> None:
        reason = files.readable(str(error.found))
        self._journal.add(inputs.file_fields(item.path) | {"unreadable": reason}, "")
        self._unreadable += 1
        if self._unreadable <= _LISTED_ERRORS:
            log(f"tfod: {error}")
        elif self._unreadable == _LISTED_ERRORS + 1:
            log(f"tfod: further unreadable files are listed in {outputs.REPORT}")

    def _detect_in_video(self, video: Video) -> None:
        options = self._options
        video_options = videos.VideoOptions(
            self._detect_options, self._colours, options.track, options.every, options.max_frames
        )
        target = self._out / self._drawn[video.path]
        listed = target.with_suffix(videos.FRAMES_SUFFIX)
        try:
            entry = videos.detect(
                self._detector, video, video_options, listed, target if options.draw else None
            )
        except DataError as error:
            self._add_unreadable(video, error, self._log)
        else:
            self._journal.add(entry, self._drawn_name(video))

"""One run of `tfod predict`: what is done already, what is left, and what comes of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit import prediction
from tfod_kit.core.labels import LabelMap
from tfod_kit.drawing import visualize
from tfod_kit.errors import DataError
from tfod_kit.io import files
from tfod_kit.io.progress import progress
from tfod_kit.prediction import filters as choosing
from tfod_kit.prediction import fingerprint, inputs, outputs, videos
from tfod_kit.prediction.filters import Wanted
from tfod_kit.prediction.inputs import Input, Video
from tfod_kit.prediction.journal import Journal
from tfod_kit.prediction.tiles import Tiling

if TYPE_CHECKING:
    from tfod_kit.detectors import Detector

# Calls of the detector at the same time: where each call takes one picture alone, a second one
# keeps the cores busy while the first hands over its results.
_LANES = {"saved_model": 2}

_TOLD = 20  # unreadable pictures that are named as they come


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asks for; see `tfod predict --help`."""

    model: Path
    label_map: Path | None = None
    checkpoint: str | None = None
    batch_size: int = 8
    wanted: Wanted = field(default_factory=Wanted)
    tiling: Tiling | None = None
    draw: bool = True
    track: bool = False
    every: int = 1
    max_frames: int | None = None
    restart: bool = False


class Session:
    """Looks at all inputs, less those that an earlier run of the same kind has done.

    Attributes:
      report: the counts, complete after `run`.
    """

    def __init__(self, settings: Settings, found: Sequence[Input], out: Path) -> None:
        """Opens the journal in `out`.

        Raises:
          UsageError: there is no such model, or another run writes into the folder.
          CheckpointError: there is no such checkpoint.
        """
        from tfod_kit import detectors

        self._settings = settings
        self._out = out
        names = inputs.drawn_names([item.path for item in found])
        self._drawn = dict(zip((item.path for item in found), names, strict=True))
        self._inputs = list(found)
        self._unread = 0
        self._kind, path = detectors.runtime_of(settings.model)
        source = fingerprint.of_model(
            self._kind, path, label_map=settings.label_map, checkpoint=settings.checkpoint
        )
        options = fingerprint.of_options(settings.wanted, settings.tiling)
        if any(isinstance(item, Video) for item in found):
            options["videos"] = (
                f"every {settings.every}, at most {settings.max_frames}, track {settings.track}"
            )
        self._journal = Journal(out, source | options, anew=settings.restart)
        self.report = outputs.Report(source["model"], options)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.__exit__()

    def run(self) -> None:
        """Detects, draws and notes whatever is not done, and writes report.json."""
        left = [item for item in self._inputs if not self._is_done(item)]
        done = len(self._inputs) - len(left)
        if self._journal.changed:
            print(f"Starting anew: changed since the last run: {', '.join(self._journal.changed)}")
        elif done:
            print(f"Going on: {done:,} of {len(self._inputs):,} are done (--restart looks again)")
        if left:
            self._look(left)
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

    def save_data_set(self, name: str, *, link: bool) -> Path:
        """Writes pictures and detections in an annotation format; returns the folder."""
        out = self._out / name
        outputs.save_data_set(name, self._entries(), out, self._classes, link)
        return out

    def _is_done(self, item: Input) -> bool:
        entry = self._journal.entry(item.path)
        if entry is not None and "unreadable" in entry:
            return (item, "") in self._journal
        drawn = self._drawn_name(item)
        if drawn and not (self._out / drawn).is_file():
            return False
        return (item, drawn) in self._journal

    def _drawn_name(self, item: Input) -> str:
        return self._drawn[item.path] if self._settings.draw else ""

    def _entries(self) -> Iterator[dict[str, Any]]:
        """What was found in the inputs, in their order."""
        for item in self._inputs:
            entry = self._journal.entry(item.path)
            if entry is not None and "unreadable" not in entry:
                yield entry

    @cached_property
    def _detector(self) -> "Detector":
        from tfod_kit import detectors

        settings = self._settings
        print(f"Loading {settings.model}", flush=True)
        loaded = detectors.load(
            settings.model, label_map=settings.label_map, checkpoint=settings.checkpoint
        )
        wanted = settings.wanted
        choosing.check_classes(sorted(wanted.classes), loaded.label_map, "--classes")
        choosing.check_classes(sorted(wanted.thresholds), loaded.label_map, "--thresholds")
        # The first call sets the graph up, which takes seconds that are no picture's.
        import numpy as np

        loaded.detect([np.zeros((64, 64, 3), np.uint8)])
        return loaded

    @cached_property
    def _classes(self) -> LabelMap | None:
        return self._detector.label_map

    @cached_property
    def _colours(self) -> dict[str, visualize.Colour]:
        return visualize.palette(self._detector.label_map or ())

    def _look(self, left: Sequence[Input]) -> None:
        pictures = [item for item in left if not isinstance(item, Video)]
        films = [item for item in left if isinstance(item, Video)]
        _ = self._detector  # loaded before the first progress line
        if pictures:
            self._look_at_pictures(pictures)
        for video in films:
            self._look_at_video(video)

    def _look_at_pictures(self, pictures: Sequence[Input]) -> None:
        settings = self._settings
        targets = {item.path: self._out / self._drawn[item.path] for item in pictures}
        rows = prediction.predict(
            self._detector,
            pictures,
            wanted=settings.wanted,
            tiling=settings.tiling,
            batch_size=settings.batch_size,
            lanes=_LANES.get(self._kind, 1),
            drawn=targets if settings.draw else {},
            colours=self._colours,
        )
        with progress("detecting", len(pictures), "pictures") as bar:
            for item, row in zip(pictures, rows, strict=True):
                if isinstance(row, DataError):
                    self._note_unread(item, row, bar.print)
                else:
                    self._journal.add(outputs.as_entry(row), self._drawn_name(item))
                bar.advance()

    def _note_unread(self, item: Input, error: DataError, say: Any) -> None:
        self._journal.add(
            inputs.named(item.path) | {"unreadable": files.readable(str(error.found))}, ""
        )
        self._unread += 1
        if self._unread <= _TOLD:
            say(f"tfod: {error}")
        elif self._unread == _TOLD + 1:
            say(f"tfod: more that cannot be read are listed in {outputs.REPORT}")

    def _look_at_video(self, video: Video) -> None:
        settings = self._settings
        how = videos.Look(
            self._detector,
            settings.wanted,
            settings.tiling,
            settings.batch_size,
            _LANES.get(self._kind, 1),
            self._colours,
            settings.track,
            settings.every,
            settings.max_frames,
        )
        target = self._out / self._drawn[video.path]
        listed = target.with_suffix(videos.ENDING)
        try:
            entry = videos.look(video, how, listed, target if settings.draw else None)
        except DataError as error:
            self._note_unread(video, error, print)
        else:
            self._journal.add(entry, self._drawn_name(video))

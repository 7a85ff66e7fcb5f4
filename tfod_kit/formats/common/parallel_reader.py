"""Annotations in many files, each of which stands for itself: several processes may read them."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.formats.base import Context
from tfod_kit.formats.common import serialisation
from tfod_kit.formats.common.findings import Findings
from tfod_kit.io import worker_pool
from tfod_kit.io.progress import progress

Each = Callable[[Path, Context], Iterable[ImageAnnotation]]

# What one process more must find to do: it takes 5 ms to start, and more of a large data set.
_FILES, _BYTES = 250, 32 << 20
_PARTS_EACH = 8  # so that none waits long for the slowest


@dataclass(frozen=True, slots=True)
class PerFile:
    """The images of some files, in their order, and so in any number of processes.

    Attributes:
      files: what to read.
      each: reads one; all that it finds goes to the findings of the context that it is given.
      context: where it reads, and in how many processes.
    """

    files: Sequence[Path]
    each: Each
    context: Context

    def __iter__(self) -> Iterator[ImageAnnotation]:
        workers = self._workers()
        return self._by(workers) if workers > 1 else self._here()

    def _here(self) -> Iterator[ImageAnnotation]:
        with progress("reading", len(self.files), "files", brief=True) as bar:
            for path in self.files:
                for annotation in self.each(path, self.context):
                    yield (
                        serialisation.deferred(annotation) if self.context.deferring else annotation
                    )
                bar.advance()

    def _by(self, workers: int) -> Iterator[ImageAnnotation]:
        # Looked up once, before there are several to do it.
        known = {os.fsencode(path): path for path in self.context.images.looked_up()}
        size = -(-len(self.files) // (workers * _PARTS_EACH))
        parts = [
            PerFile(self.files[start : start + size], self.each, self.context)
            for start in range(0, len(self.files), size)
        ]
        bar = progress("reading", len(self.files), "files", brief=True)
        done = worker_pool.run(_read, parts, workers, bar)
        for place, (images, findings) in enumerate(done):
            done[place] = b"", findings  # not to hold all twice
            self.context.findings.merge(findings)
            yield from serialisation.unpack_images(images, known, deferring=self.context.deferring)

    def _workers(self) -> int:
        """How many processes have enough to do; 1 where none can be started cheaply."""
        workers = min(self.context.workers, len(self.files))
        busy = len(self.files) // _FILES
        if busy < workers > 1:
            sizes = (path.stat().st_size for path in self.files if path.is_file())
            busy = max(busy, sum(sizes) // _BYTES)
        workers = min(workers, busy)
        return workers if workers > 1 and worker_pool.fork_is_safe() else 1


def _read(part: PerFile, advance: Callable[[], None]) -> tuple[bytes, Findings]:
    """The images of a part, packed, and what was found; runs in a process of its own."""
    context = replace(part.context, findings=Findings(part.context.findings.on_error))
    images: list[ImageAnnotation] = []
    for path in part.files:
        images += part.each(path, context)
        advance()
    return serialisation.pack_images(images), context.findings

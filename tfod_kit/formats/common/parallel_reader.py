"""Reads annotations in many independent files, by several processes."""

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

# The least work for another process, which takes 5 ms to start, and more in a large data set.
_FILES, _BYTES = 250, 32 << 20
_PARTS_PER_WORKER = 8  # so that none waits long for the slowest


@dataclass(frozen=True, slots=True)
class PerFile:
    """The images of some files, in the same order for any number of processes.

    Attributes:
      files: the files to read.
      each: reads one file; adds its findings to those of the context it gets.
      context: the context of reading, with the number of processes.
    """

    files: Sequence[Path]
    each: Each
    context: Context

    def __iter__(self) -> Iterator[ImageAnnotation]:
        workers = self._workers()
        return self._in_processes(workers) if workers > 1 else self._in_this_process()

    def _in_this_process(self) -> Iterator[ImageAnnotation]:
        with progress("reading", len(self.files), "files", brief=True) as bar:
            for path in self.files:
                for annotation in self.each(path, self.context):
                    yield (
                        serialisation.deferred(annotation) if self.context.deferring else annotation
                    )
                bar.advance()

    def _in_processes(self, workers: int) -> Iterator[ImageAnnotation]:
        # Build the index once, before starting processes that would each do so.
        known = {os.fsencode(path): path for path in self.context.images.looked_up()}
        size = -(-len(self.files) // (workers * _PARTS_PER_WORKER))
        parts = [
            PerFile(self.files[start : start + size], self.each, self.context)
            for start in range(0, len(self.files), size)
        ]
        bar = progress("reading", len(self.files), "files", brief=True)
        done = worker_pool.run(_read, parts, workers, bar)
        for index, (images, findings) in enumerate(done):
            done[index] = b"", findings  # free each part once it is yielded
            self.context.findings.merge(findings)
            yield from serialisation.unpack_images(images, known, deferring=self.context.deferring)

    def _workers(self) -> int:
        """The number of processes worth starting; 1 where starting them is not cheap."""
        workers = min(self.context.workers, len(self.files))
        busy = len(self.files) // _FILES
        if busy < workers > 1:
            sizes = (path.stat().st_size for path in self.files if path.is_file())
            busy = max(busy, sum(sizes) // _BYTES)
        workers = min(workers, busy)
        return workers if workers > 1 and worker_pool.fork_is_safe() else 1


def _read(part: PerFile, advance: Callable[[], None]) -> tuple[bytes, Findings]:
    """The serialised images of a part, and the findings; runs in a worker process."""
    context = replace(part.context, findings=Findings(part.context.findings.on_error))
    images: list[ImageAnnotation] = []
    for path in part.files:
        images += part.each(path, context)
        advance()
    return serialisation.pack_images(images), context.findings

"""The checks `shards` and `files`: whether all record files are there and suit the devices."""

import re
from collections.abc import Iterator

from tfod_kit.checks.base import Check, CheckContext, Needs
from tfod_kit.checks.findings import CheckFindings, Location, display_name
from tfod_kit.checks.targets import TRAIN
from tfod_kit.pipeline_config import is_remote, record_patterns

_LARGE_FILE = 2**28  # bytes of one shard that could well be two


def check_shards(context: CheckContext, findings: CheckFindings) -> None:
    """Whether all shards exist that the file names imply; which records are on other machines."""
    for split in context.target.splits:
        names = [(path, re.search(r"-\d{5}-of-(\d{5})", path.name)) for path in split.paths]
        for total in sorted({name[1] for _, name in names if name}):
            files = [path for path, name in names if name and name[1] == total]
            if len(files) != int(total):
                findings.error(
                    "shards_missing",
                    "Shards are missing: the file names announce more than there are.",
                    Location(display_name(files[0]), found=f"{len(files)} of {int(total)}"),
                    fix="Copy them all, or convert the data set again.",
                )
    for split, reader in context.configured():
        for pattern in filter(is_remote, record_patterns(reader)):
            findings.note(
                "records_remote",
                "Records that are not on this machine were not checked.",
                Location(split.name, found=pattern),
                fix="Check them where they are written: tfod check RECORDS.",
            )


def check_files(context: CheckContext, findings: CheckFindings) -> None:
    """Whether there are enough shards for readers and workers, and a TPU can open all paths."""
    workers = context.options.workers
    for split, reader in context.configured():
        if split.name != TRAIN:
            continue
        sizes = [path.stat().st_size for path in split.paths if path.is_file()]
        if sizes and len(sizes) < workers:
            findings.error(
                "shards_below_workers",
                "There are fewer record files than workers: the others get no data and stop with "
                "'End of sequence', the rest with 'Socket closed'.",
                Location(split.name, found=f"files: {len(sizes)}, workers: {workers}"),
                fix=f"Convert with --shards {workers} or more.",
            )
        readers = reader.num_readers if reader.HasField("num_readers") else 0
        if sizes and readers > len(sizes):
            findings.note(
                "readers_above_shards",
                "num_readers is above the number of record files: some readers get no file.",
                Location(split.name, found=f"readers: {readers}, files: {len(sizes)}"),
                fix="Set num_readers to the number of files, or convert with more --shards.",
            )
        if len(sizes) == 1 and sizes[0] > _LARGE_FILE:
            findings.note(
                "one_long_shard",
                "The training set is one large file: one reader reads it, always in one order.",
                Location(split.name, found=f"{sizes[0] / 2**20:,.0f} MiB"),
                fix="Convert with more --shards.",
            )
    if context.options.tpu:
        _check_bucket_paths(context, findings)


def _check_bucket_paths(context: CheckContext, findings: CheckFindings) -> None:
    local = [
        Location(where, found=path)
        for where, path in _device_paths(context)
        if path and not path.startswith("gs://")
    ]
    if local:
        findings.warning(
            "path_not_on_gs",
            "A TPU on another machine opens no local files: training stops with 'File system "
            "scheme '[local]' not implemented'.",
            *local,
            fix="Train on the TPU's own machine, a TPU VM (`tfod train --tpu local`), which opens "
            "local files. A run folder on gs:// is not supported.",
        )


def _device_paths(context: CheckContext) -> Iterator[tuple[str, str]]:
    checkpoint = context.config.train_config.fine_tune_checkpoint
    yield "train_config.fine_tune_checkpoint", checkpoint
    for split, reader in context.configured():
        for path in record_patterns(reader):
            yield f"{split.name} input_path", path
    if context.target.folder is not None:
        yield "the run folder", str(context.target.folder)


SHARDS = Check(
    name="shards",
    covers="the set of record files",
    codes=("shards_missing", "records_remote"),
    run=check_shards,
    quick=True,
)
FILES = Check(
    name="files",
    covers="record files for readers, workers and TPUs",
    codes=("shards_below_workers", "readers_above_shards", "one_long_shard", "path_not_on_gs"),
    run=check_files,
    needs=Needs.MODEL,
)

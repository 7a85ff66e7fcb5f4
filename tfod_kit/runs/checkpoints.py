"""Which checkpoints a folder holds, found without TensorFlow; the best one among them."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tfod_kit.errors import CheckpointError

LATEST = "latest"
BEST = "best"  # the name to ask for it by, and the folder in the run where it lies

_INDEX = ".index"


def available(folder: Path) -> list[Path]:
    """The checkpoint prefixes in a folder (`ckpt-12` for `ckpt-12.index`), oldest first.

    They are sorted by the number in the name; a prefix without its data file is left out, since
    it is what a copy that was cut short leaves behind.
    """
    prefixes = [path.with_suffix("") for path in folder.glob(f"*{_INDEX}")]
    return sorted(filter(_has_data, prefixes), key=lambda prefix: (number(prefix), prefix.name))


def latest(folder: Path) -> Path | None:
    """The checkpoint that TensorFlow's own `checkpoint` file names, else the highest number."""
    prefixes = available(folder)
    named = _named_by_state(folder)
    if named in prefixes:
        return named
    return prefixes[-1] if prefixes else None


def resolve(path: Path) -> Path:
    """The checkpoint prefix meant by a folder, a prefix, or one of a checkpoint's files.

    Raises:
      CheckpointError: there is none; what there is instead is named.
    """
    if path.is_dir():
        found = latest(path) or latest(path / "checkpoint")
        if found is None:
            raise _missing(path, "no checkpoint", path)
        return found
    prefix = Path(re.sub(r"\.(index|data-\d+-of-\d+)$", "", str(path)))
    if not prefix.with_name(prefix.name + _INDEX).is_file():
        raise _missing(prefix, "no such checkpoint", prefix.parent)
    if not _has_data(prefix):
        raise _missing(prefix, f"no {prefix.name}.data-*: it was not copied", prefix.parent)
    return prefix


def choose(run: Path, wanted: str | Path | None = None) -> Path:
    """The checkpoint of a run that is meant by "latest", "best", a name or a path.

    Args:
      run: a run folder, or whatever `resolve` takes.
      wanted: "latest" (as None), "best" (the one that `tfod train` kept by its metric), the name of
        a checkpoint in the run ("ckpt-1000") or its number, or a prefix anywhere else.

    Raises:
      CheckpointError: there is none; what there is instead is named.
    """
    if wanted is None or str(wanted) == LATEST:
        return resolve(run)
    if str(wanted) == BEST:
        return _best(run)
    text = str(wanted)
    name = f"ckpt-{text}" if text.isdecimal() else text
    if len(Path(name).parts) == 1 and (run / f"{name}{_INDEX}").is_file():
        return resolve(run / name)
    return resolve(Path(wanted))


def watch(
    folder: Path, *, timeout: float, finished: Callable[[Path | None], bool], poll: float = 2.0
) -> Iterator[Path]:
    """Yields the newest checkpoint of a folder, and each newer one as it comes.

    Those that come while the caller is busy are passed over for the newest, as upstream does.

    Args:
      folder: where a training, perhaps one that has not begun yet, saves.
      timeout: the seconds without a new one after which to end.
      finished: told the newest one, says whether no more will come.
      poll: seconds between two looks.
    """
    seen: Path | None = None
    since = time.monotonic()
    while True:
        newest = latest(folder) if folder.is_dir() else None
        if newest is not None and newest != seen:
            seen = newest
            yield newest
            since = time.monotonic()
        elif finished(newest) or time.monotonic() - since > timeout:
            return
        else:
            time.sleep(poll)


def parts(prefix: Path) -> list[Path]:
    """The files of a checkpoint: its index and its data, as far as they are there."""
    index = prefix.with_name(prefix.name + _INDEX)
    data = sorted(prefix.parent.glob(f"{prefix.name}.data-*"))
    return [*data, index] if index.is_file() else data


def _best(run: Path) -> Path:
    found = latest(run / BEST)
    if found is None:
        raise CheckpointError(
            "The run has no best checkpoint.",
            where=run / BEST,
            expected="the checkpoint with the highest metric, which `tfod train` keeps there",
            fix="Train with evaluation (without --no_evaluate), or ask for `latest`.",
        )
    return found


def number(prefix: Path) -> int:
    """The number at the end of a checkpoint's name; -1 when it has none."""
    found = re.search(r"(\d+)$", prefix.name)
    return int(found[1]) if found else -1


def _has_data(prefix: Path) -> bool:
    return any(prefix.parent.glob(f"{prefix.name}.data-*"))


def _named_by_state(folder: Path) -> Path | None:
    state = folder / "checkpoint"
    if not state.is_file():
        return None
    found = re.search(r'^model_checkpoint_path: "(.*)"', state.read_text("utf-8"), re.MULTILINE)
    return folder / Path(found[1]).name if found else None


def _missing(path: Path, found: str, folder: Path) -> CheckpointError:
    there = ", ".join(prefix.name for prefix in available(folder)) if folder.is_dir() else ""
    return CheckpointError(
        "The checkpoint is missing.",
        where=path,
        expected="a prefix such as ckpt-1000, with ckpt-1000.index and ckpt-1000.data-* beside it",
        found=f"{found}; in {folder}: {there or 'none at all'}",
        fix="Train first (`tfod train`), or name one of those.",
    )

"""Where published weights come from: a mirror, the zoo's bucket, or Kaggle.

Kaggle has copies of the most used models, as SavedModels: without a pipeline.config, but with all
weights, from which training can start (configuration/weights.py).
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from tfod_kit.errors import CheckpointError, UsageError
from tfod_kit.io.progress import announce
from tfod_kit.zoo import cache, download
from tfod_kit.zoo.archives import Archive, archives
from tfod_kit.zoo.download import DownloadOptions, Obtained

Source = Literal["mirror", "bucket", "kaggle"]
NAMES: tuple[Source, ...] = ("mirror", "bucket", "kaggle")  # in the order in which they are tried

_KAGGLE = "https://www.kaggle.com"
_ENDPOINT = "KAGGLE_API_ENDPOINT"  # the variable that Kaggle's own clients read
_VERSION = 1  # of each copy; the models are no longer changed


def kaggle_copy(archive: Archive) -> Archive:
    """The copy of an archive on Kaggle, which has an entry of its own in the cache.

    Raises:
      UsageError: Kaggle has none.
    """
    if archive.kaggle is None:
        copied = sorted(name for name, each in archives().items() if each.kaggle)
        raise UsageError(
            f"The weights {archive.name} are not on Kaggle.",
            expected=f"one of {', '.join(copied)}",
            fix="Use another --source, or a local copy: --archive FILE.",
        )
    root = os.environ.get(_ENDPOINT, _KAGGLE).rstrip("/").removesuffix("/api/v1")
    url = f"{root}/api/v1/models/{archive.kaggle}/{_VERSION}/download"
    return replace(archive, name=f"{archive.name}-kaggle", sha256=None, urls=(url,))


def obtain(archive: Archive, options: DownloadOptions, source: Source | None = None) -> Obtained:
    """Returns the weights from one source, or from the first one that answers.

    Without a source, a mirror that is named is the only one; else the zoo's bucket is tried, and
    then Kaggle if it has a copy. What is in the cache from any of them is used first.

    Raises:
      UsageError: the source does not have these weights, or an option is invalid.
      CheckpointError: no source has the weights; the message names each one that was tried.
    """
    choices = _choices(archive, options, source)
    if not options.again:
        for _, each, settings in choices:
            if download.cached(each) is not None and settings.local is None:
                return download.obtain(each, settings)
    problems: list[CheckpointError] = []
    for index, (name, each, settings) in enumerate(choices):
        try:
            return download.obtain(each, settings)
        except CheckpointError as problem:
            if len(choices) == 1 or settings.offline or cache.is_offline():
                raise _with_advice(archive, problem, name) from None
            problems.append(problem)
            following = [other for other, _, _ in choices[index + 1 :]]
            if following:
                announce(f"Not from the {name}; trying {following[0]}: {archive.kaggle}")
    raise _unavailable(archive, [name for name, _, _ in choices], problems)


def _choices(
    archive: Archive, options: DownloadOptions, source: Source | None
) -> list[tuple[Source, Archive, DownloadOptions]]:
    """The sources to try, each with its archive and options."""
    bucket = replace(options, mirror=None)
    if source == "mirror" and options.mirror is None:
        raise UsageError(
            "No mirror is named.",
            expected=f"--mirror ADDRESS, or the environment variable {cache.MIRROR}",
            fix="Name it, or use --source bucket or --source kaggle.",
        )
    if source == "kaggle":
        return [("kaggle", kaggle_copy(archive), bucket)]
    if source == "mirror" or (source is None and options.mirror is not None):
        return [("mirror", archive, options)]
    # A file and a checksum are of the zoo's archive, not of a copy in another form.
    only = source == "bucket" or options.local is not None or options.sha256 is not None
    if only or archive.kaggle is None:
        return [("bucket", archive, bucket)]
    # Without the handle, an error does not advise to try Kaggle, which comes next.
    return [
        ("bucket", replace(archive, kaggle=None), bucket),
        ("kaggle", kaggle_copy(archive), bucket),
    ]


def _with_advice(archive: Archive, problem: CheckpointError, source: Source) -> CheckpointError:
    """The error of a single source; Kaggle's says how its own client gets the model."""
    if source != "kaggle":
        return problem
    return CheckpointError(
        problem.problem,
        where=problem.where,
        expected=problem.expected,
        found=problem.found,
        fix=_kaggle_advice(archive),
    )


def _unavailable(
    archive: Archive, names: Sequence[Source], problems: Sequence[CheckpointError]
) -> CheckpointError:
    tried = [f"{name}: {problem.where}" for name, problem in zip(names, problems, strict=True)]
    return CheckpointError(
        f"No source has the weights {archive.name}; tried in this order: {', '.join(names)}.",
        where=f"\n{'':12}".join(tried),
        fix=f"{problems[0].fix}\n{'':14}{_kaggle_advice(archive)}",
    )


def _kaggle_advice(archive: Archive) -> str:
    return (
        "with Kaggle's client, if Kaggle asks for an account (pip install kagglehub):\n"
        f'{"":16}kagglehub.model_download("{archive.kaggle}")\n'
        f"{'':16}returns a folder for tfod configure MODEL --checkpoint FOLDER"
    )

"""The installed packages, against the versions that tfod_kit and its dependencies require."""

import importlib.metadata
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfod_kit.compat import protos
from tfod_kit.doctor.diagnosis import (
    ERROR,
    INSTALL_ENGINE,
    REINSTALL_UPSTREAM,
    WARNING,
    Diagnosis,
)
from tfod_kit.installation.unneeded import RELAXED, UNNEEDED

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PACKAGE = "tfod_kit"
ENGINE = "engine"  # the extra
# TensorFlow without CUDA is a distribution of its own, with the same module.
_INSTEAD = {"tensorflow": "tensorflow-cpu"}

_LISTED = 4  # conflicts
_OPENCV = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


def packages() -> Iterator[Diagnosis]:
    """Each package that tfod_kit needs, against the range that it asks for."""
    try:
        needed = required_by(PACKAGE, fail=True)
        engine = _of_extra(ENGINE)
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        yield Diagnosis(
            "Packages",
            f"cannot be listed: {error}",
            WARNING,
            "Install tfod_kit itself (`make install` or `pip install -e .`).",
        )
        return
    for requirement in needed:
        yield _package(requirement, f"`pip install '{requirement.name}{requirement.specifier}'`.")
    if has_engine():
        for requirement in engine:
            yield _package(requirement, INSTALL_ENGINE)
    else:
        yield Diagnosis(
            "Engine",
            "not installed: data can be prepared here, but no model trained or run",
            WARNING,
            INSTALL_ENGINE,
        )
    yield _agreement()
    yield _messages()
    yield from _opencv()
    yield from _pycocotools()


def has_engine() -> bool:
    """Whether TensorFlow is installed, under one of its names."""
    return version_of("tensorflow") is not None


def required_by(package: str, *, fail: bool = False) -> "list[Requirement]":
    """What a package requires here, without its extras.

    Args:
      package: a distribution.
      fail: raise PackageNotFoundError if it is not installed, instead of returning nothing.
    """
    from packaging.requirements import Requirement

    try:
        required = [Requirement(line) for line in importlib.metadata.requires(package) or []]
    except importlib.metadata.PackageNotFoundError:
        if fail:
            raise
        return []
    return [
        requirement
        for requirement in required
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]


def _of_extra(extra: str) -> "list[Requirement]":
    """What an extra of tfod_kit adds here."""
    from packaging.requirements import Requirement

    required = [Requirement(line) for line in importlib.metadata.requires(PACKAGE) or []]
    return [
        requirement
        for requirement in required
        if requirement.marker is not None
        and requirement.marker.evaluate({"extra": extra})
        and not requirement.marker.evaluate({"extra": ""})
    ]


def canonical(name: str) -> str:
    """A package's name as it is compared: small letters, single dashes (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def version_of(name: str) -> str | None:
    """The installed version of a package, or of the one that takes its place; None without."""
    for each in (name, _INSTEAD.get(canonical(name))):
        try:
            if each is not None:
                return importlib.metadata.version(each)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _package(requirement: "Requirement", fix: str) -> Diagnosis:
    version = version_of(requirement.name)
    if version is None:
        return Diagnosis(requirement.name, "not installed", ERROR, fix)
    if requirement.specifier.contains(version, prereleases=True):
        return Diagnosis(requirement.name, version)
    return Diagnosis(requirement.name, f"{version}, not {requirement.specifier}", ERROR, fix)


def _messages() -> Diagnosis:
    """Whether upstream's generated protobuf code, which is older than protobuf 4, can be used."""
    try:
        protos.load("pipeline")
    except Exception as error:  # whatever it is, no config can be read
        return Diagnosis(
            "Config messages", f"{type(error).__name__}: {error}", ERROR, REINSTALL_UPSTREAM
        )
    return Diagnosis("Config messages", "load, though generated for protobuf 3")


def _agreement() -> Diagnosis:
    """Whether the packages below those that tfod_kit asks for get the versions they ask for."""
    direct = required_by(PACKAGE) + (_of_extra(ENGINE) if has_engine() else [])  # have own rows
    waiting = [canonical(each.name) for each in direct if version_of(each.name) is not None]
    known, conflicts = set(waiting), []
    while waiting:
        package = waiting.pop()
        for requirement in required_by(package):
            name = canonical(requirement.name)
            version = version_of(requirement.name)
            if _may_differ(package, name, version):
                continue
            if version is None:
                conflicts.append(f"{package} wants {requirement}, which is not installed")
            elif not requirement.specifier.contains(version, True):
                conflicts.append(f"{package} wants {requirement}, not {version}")
            if name not in known and version is not None:
                known.add(name)
                waiting.append(name)
    if not conflicts:
        return Diagnosis("Versions agree", f"{len(known)} packages")
    more = f"; and {len(conflicts) - _LISTED} more" if len(conflicts) > _LISTED else ""
    return Diagnosis(
        "Versions agree",
        "; ".join(conflicts[:_LISTED]) + more,
        WARNING,
        INSTALL_ENGINE if has_engine() else "`pip install --upgrade tfod_kit`.",
    )


def _may_differ(package: str, name: str, version: str | None) -> bool:
    """Whether a requirement need not be met: nothing imports it, or a wider range was tested."""
    return (version is None and name in UNNEEDED) or (package, name) in RELAXED


def _opencv() -> Iterator[Diagnosis]:
    # All of them install the same folder `cv2`: the last one wins, file by file.
    found = {name: version_of(name) for name in _OPENCV if version_of(name)}
    if len(set(found.values())) > 1:
        yield Diagnosis(
            "OpenCV",
            ", ".join(f"{name} {version}" for name, version in found.items()),
            ERROR,
            f"`pip uninstall -y {' '.join(found)}`, then install one of them.",
        )
    elif found:
        yield Diagnosis("OpenCV", f"{next(iter(found.values()))} ({', '.join(found)})")


def _pycocotools() -> Iterator[Diagnosis]:
    try:
        import pycocotools.mask  # noqa: F401
    except (ImportError, ValueError) as error:
        # ValueError: numpy.ndarray size changed, may indicate binary incompatibility
        yield Diagnosis(
            "pycocotools loads",
            str(error),
            ERROR,
            "`pip install --force-reinstall --no-cache-dir 'pycocotools>=2.0.10'`: it must be "
            "built for this NumPy.",
        )

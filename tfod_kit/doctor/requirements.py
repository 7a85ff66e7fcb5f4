"""The installed packages, against the versions that tfod_kit and its dependencies require."""

import importlib.metadata
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfod_kit.compat import protos
from tfod_kit.doctor.diagnosis import ERROR, REINSTALL_UPSTREAM, WARNING, Diagnosis

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PACKAGE = "tfod_kit"

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
        from packaging.requirements import Requirement

        required = importlib.metadata.requires(PACKAGE) or []
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        yield Diagnosis(
            "Packages",
            f"cannot be listed: {error}",
            WARNING,
            "Install tfod_kit itself (`make install` or `pip install -e .`).",
        )
        return
    for line in required:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _package(requirement)
    yield _agreement()
    yield _messages()
    yield from _opencv()
    yield from _pycocotools()


def required_by(package: str) -> "list[Requirement]":
    """What a package requires here, without its extras; empty if it is not installed."""
    from packaging.requirements import Requirement

    try:
        required = [Requirement(line) for line in importlib.metadata.requires(package) or []]
    except importlib.metadata.PackageNotFoundError:
        return []
    return [
        requirement
        for requirement in required
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]


def canonical(name: str) -> str:
    """A package's name as it is compared: small letters, single dashes (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def version_of(name: str) -> str | None:
    """The installed version of a package; None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package(requirement: "Requirement") -> Diagnosis:
    fix = f"`pip install '{requirement.name}{requirement.specifier}'`."
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
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
    known: set[str] = set()
    waiting, conflicts = [PACKAGE], []
    while waiting:
        package = waiting.pop()
        for requirement in required_by(package):
            name = canonical(requirement.name)
            version = version_of(requirement.name)
            direct = package == PACKAGE  # has a row of its own
            if not direct and version is None:
                conflicts.append(f"{package} wants {requirement}, which is not installed")
            elif not direct and not requirement.specifier.contains(version or "", True):
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
        "`pip install -c constraints.txt -e .` installs one set that was tested.",
    )


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

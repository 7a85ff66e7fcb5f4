"""Downloads what a TensorFlow.js export needs: the converter, and the library for the page.

Both are downloaded once, into the cache that also contains the zoo's archives.
"""

import base64
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tfod_kit.errors import SetupError
from tfod_kit.io import files, http
from tfod_kit.zoo import cache

VERSION = "4.22.0"
ARCHIVES = "TFOD_TFJS"
REGISTRY = "https://registry.npmjs.org"
_LIMITS = http.Limits(max_bytes=2**30)


@dataclass(frozen=True, slots=True)
class _Package:
    """A package of npm: its name, the SHA-512 that the registry states, and the files to unpack."""

    name: str
    sha512: str
    members: tuple[str, ...]

    @property
    def file(self) -> str:
        return f"{self.name.rsplit('/', 1)[-1]}-{VERSION}.tgz"

    @property
    def url(self) -> str:
        root = os.environ.get("NPM_CONFIG_REGISTRY", REGISTRY).rstrip("/")
        return f"{root}/{self.name}/-/{self.file}"


_PACKAGES = (
    _Package(
        "@tensorflow/tfjs",
        "0TrIrXs6/b7FLhLVNmfh8Sah6JgjBPH4mZ8JGb7NU6WW+cx00qK5BcAZxw7NCzxj6N8MRAIfHq+oNbPUNG5VAg==",
        ("dist/tf.min.js",),
    ),
    _Package(
        "@tensorflow/tfjs-backend-wasm",
        "/IYhReRIp4jg/wYW0OwbbJZG8ON87mbz0PgkiP3CdcACRSvUN0h8rvC0O3YcDtkTQtFWF/tcXq/KlVDyV49wmA==",
        (
            "dist/tf-backend-wasm.min.js",
            "dist/tfjs-backend-wasm.wasm",
            "dist/tfjs-backend-wasm-simd.wasm",
            "dist/tfjs-backend-wasm-threaded-simd.wasm",
        ),
    ),
)
_NOTICE = f"""TensorFlow.js {VERSION}, Copyright Google LLC, Apache License 2.0
https://www.apache.org/licenses/LICENSE-2.0
from the npm packages {" and ".join(package.name for package in _PACKAGES)}
"""


def converter() -> Path:
    """The folder to import tensorflowjs from; it is installed with pip or uv if necessary.

    Its dependencies are not installed: see `tfjs_convert`.

    Raises:
      SetupError: it cannot be installed.
    """
    installed = importlib.util.find_spec("tensorflowjs")
    if installed is not None and installed.origin:
        return Path(installed.origin).parent.parent
    folder = _cache() / f"converter-{VERSION}"
    with cache.lock(_cache() / f"converter-{VERSION}.lock"):
        if not folder.is_dir():
            if cache.is_offline():
                raise _no_converter("offline mode is on")
            print(f"Downloading the TensorFlow.js converter {VERSION}", flush=True)
            with files.atomic_folder(folder) as fresh:
                _pip(fresh)
    return folder


def library() -> Path:
    """The folder with TensorFlow.js for the page; it is downloaded from npm if necessary.

    Without a network, $TFOD_TFJS names a folder with the archives of the packages.

    Raises:
      SetupError: it cannot be downloaded, or its checksum is wrong.
    """
    folder = _cache() / f"library-{VERSION}"
    with cache.lock(_cache() / f"library-{VERSION}.lock"):
        if not folder.is_dir():
            with files.atomic_folder(folder) as fresh:
                for package in _PACKAGES:
                    _unpack(_archive(package), package, fresh)
                files.write_text(fresh / "NOTICE", _NOTICE)
    return folder


def _cache() -> Path:
    return cache.folder().parent / "tfjs"


def _pip(folder: Path) -> None:
    """Installs the converter into a folder with pip, or with uv if pip is not installed."""
    arguments = ["--quiet", "--no-deps", "--target", str(folder), f"tensorflowjs=={VERSION}"]
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    if importlib.util.find_spec("pip") is None:
        # uv creates environments without pip.
        command = ["uv", "pip", "install", "--python", sys.executable, *arguments]
    try:
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, failed = done.stdout, done.returncode != 0
    except FileNotFoundError:
        output, failed = "neither pip nor uv is installed", True
    if failed:
        lines = output.strip().splitlines() or ["the installer failed"]
        raise _no_converter(lines[-1])


def _no_converter(reason: str) -> SetupError:
    return SetupError(
        "The TensorFlow.js converter cannot be installed.",
        found=reason,
        fix=f"Install it while there is a network: pip install --no-deps tensorflowjs=={VERSION}",
    )


def _archive(package: _Package) -> Path:
    """The archive of a package, from the user's folder or the registry; its checksum is checked."""
    local = os.environ.get(ARCHIVES)
    path = Path(local).expanduser() / package.file if local else _cache() / package.file
    if local or cache.is_offline():
        if not path.is_file():
            raise _missing(package, "no such file" if local else "offline mode is on")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            http.download(package.url, path, package.file, _LIMITS)
        except http.Unavailable as error:
            raise _missing(package, str(error)) from error
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if digest != package.sha512:
        if not local:
            http.discard(path)
        raise SetupError(
            "The TensorFlow.js archive has a wrong checksum.",
            where=path,
            expected=f"SHA-512 {package.sha512}",
            found=digest,
            fix="Download it again.",
        )
    return path


def _missing(package: _Package, reason: str) -> SetupError:
    return SetupError(
        "TensorFlow.js for the web page cannot be downloaded.",
        where=package.url,
        found=reason,
        fix=f"Download {' and '.join(each.file for each in _PACKAGES)} (npm pack) where there is "
        f"a network, and name their folder in the environment variable {ARCHIVES}.",
    )


def _unpack(archive: Path, package: _Package, folder: Path) -> None:
    with tarfile.open(archive) as packed:
        for name in package.members:
            stream = packed.extractfile(f"package/{name}")
            if stream is None:
                raise SetupError("The archive lacks a file.", where=archive, expected=name)
            with stream, (folder / Path(name).name).open("wb") as target:
                shutil.copyfileobj(stream, target)
    if archive.parent == _cache():
        http.discard(archive)

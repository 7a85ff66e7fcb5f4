"""What a TensorFlow.js export needs from elsewhere: the converter and the library for the page.

Both are fetched once, into the cache that holds the zoo's archives too.
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
    """A package of npm: its name, the SHA-512 that the registry states, and the files wanted."""

    name: str
    sha512: str
    wanted: tuple[str, ...]

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
    """A folder to import tensorflowjs from, filled by pip or uv if need be.

    Its dependencies are left out: see `tfjs_convert`.

    Raises:
      SetupError: it is not there and cannot be fetched.
    """
    installed = importlib.util.find_spec("tensorflowjs")
    if installed is not None and installed.origin:
        return Path(installed.origin).parent.parent
    folder = _cache() / f"converter-{VERSION}"
    with cache.lock(_cache() / f"converter-{VERSION}.lock"):
        if not folder.is_dir():
            if cache.is_offline():
                raise _no_converter("the network is off limits")
            print(f"Fetching the TensorFlow.js converter {VERSION}", flush=True)
            with files.atomic_folder(folder) as fresh:
                _pip(fresh)
    return folder


def library() -> Path:
    """A folder with TensorFlow.js for the page, fetched from npm's registry if need be.

    $TFOD_TFJS names a folder with the packages' archives where there is no network.

    Raises:
      SetupError: it is not there and cannot be fetched, or is not what it should be.
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
    """Installs the converter into a folder, with whichever installer there is."""
    wanted = ["--quiet", "--no-deps", "--target", str(folder), f"tensorflowjs=={VERSION}"]
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *wanted]
    if importlib.util.find_spec("pip") is None:
        # Environments that uv made have no pip.
        command = ["uv", "pip", "install", "--python", sys.executable, *wanted]
    try:
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said, failed = done.stdout, done.returncode != 0
    except FileNotFoundError:
        said, failed = "neither pip nor uv is installed", True
    if failed:
        lines = said.strip().splitlines() or ["the installer failed"]
        raise _no_converter(lines[-1])


def _no_converter(reason: str) -> SetupError:
    return SetupError(
        "The TensorFlow.js converter cannot be installed.",
        found=reason,
        fix=f"Install it where there is a network: pip install --no-deps tensorflowjs=={VERSION}",
    )


def _archive(package: _Package) -> Path:
    """The package's archive, from the folder at hand or the registry, its checksum checked."""
    at_hand = os.environ.get(ARCHIVES)
    path = Path(at_hand).expanduser() / package.file if at_hand else _cache() / package.file
    if at_hand or cache.is_offline():
        if not path.is_file():
            raise _absent(package, "no such file" if at_hand else "the network is off limits")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            http.download(package.url, path, package.file, _LIMITS)
        except http.Unavailable as error:
            raise _absent(package, str(error)) from error
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if digest != package.sha512:
        if not at_hand:
            http.discard(path)
        raise SetupError(
            "The TensorFlow.js archive is not the one it should be.",
            where=path,
            expected=f"SHA-512 {package.sha512}",
            found=digest,
            fix="Fetch it again.",
        )
    return path


def _absent(package: _Package, reason: str) -> SetupError:
    return SetupError(
        "TensorFlow.js for the web page cannot be had.",
        where=package.url,
        found=reason,
        fix=f"Get {' and '.join(each.file for each in _PACKAGES)} (npm pack) where there is a "
        f"network, and name their folder in the environment variable {ARCHIVES}.",
    )


def _unpack(archive: Path, package: _Package, folder: Path) -> None:
    with tarfile.open(archive) as packed:
        for name in package.wanted:
            stream = packed.extractfile(f"package/{name}")
            if stream is None:
                raise SetupError("The archive lacks a file.", where=archive, expected=name)
            with stream, (folder / Path(name).name).open("wb") as target:
                shutil.copyfileobj(stream, target)
    if archive.parent == _cache():
        http.discard(archive)

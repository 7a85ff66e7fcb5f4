"""Writes the files that pin packages: constraints.txt, constraints-3.13.txt, and what `tfod setup`
installs (tfod_kit/installation/engine.txt). Needs uv.

    python tools/lock.py             adds and removes what setup.cfg asks for; other pins stay
    python tools/lock.py --upgrade   takes the newest versions (`make constraints`)
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tfod_kit.installation import LOCK
from tfod_kit.installation.unneeded import UNNEEDED

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
CONSTRAINTS_313 = ROOT / "constraints-3.13.txt"

# TensorFlow by Python: each end of the range of setup.cfg.
_OLD, _NEW = "python_version < '3.13'", "python_version >= '3.13'"
_TENSORFLOW = {"~= 2.20.0": _OLD, "~= 2.21.0": _NEW}
_BESIDE = {
    "tf-keras": {"~= 2.20.1": _OLD, "~= 2.21.0": _NEW},
    "tensorboard": {"~= 2.20.0": _OLD, "~= 2.21.0": _NEW},
}
_CUDA = "sys_platform == 'linux' and platform_machine == 'x86_64'"
_NO_CUDA = "(sys_platform != 'linux' or platform_machine != 'x86_64')"
_NEVER = "python_version < '3'"

_HEADERS = {
    CONSTRAINTS: "# One tested set of every package, for Python 3.11 and 3.12. `make constraints` "
    "renews it.",
    CONSTRAINTS_313: "# The same for Python 3.13 with TensorFlow 2.21. It is complete, and is "
    "installed with --no-deps:\n# upstream declares tensorflow-io, which has no wheel for it.",
    LOCK: "# What `tfod setup` installs, with --no-deps (see __init__.py). `make constraints` "
    "renews it.",
}


def overrides_313() -> list[str]:
    """Requirements that replace those of the packages in constraints-3.13.txt."""
    return [
        f"tensorflow-io ; {_NEVER}",
        "tensorflow ~= 2.21.0",
        "tf-keras ~= 2.21.0",
        "tensorflow-text ~= 2.21.0 ; sys_platform != 'win32'",
    ]


def overrides_engine() -> list[str]:
    """Requirements that replace those of the packages in engine.txt."""
    lines = [f"{name} ; {_NEVER}" for name in UNNEEDED]
    for version, pythons in _TENSORFLOW.items():
        lines += [
            f"tensorflow[and-cuda] {version} ; {pythons} and {_CUDA}",
            f"tensorflow {version} ; {pythons} and {_NO_CUDA}",
        ]
    for name, versions in _BESIDE.items():
        lines += [f"{name} {version} ; {pythons}" for version, pythons in versions.items()]
    return lines


def cpu_builds() -> list[str]:
    """TensorFlow without CUDA, for `tfod setup --cpu`."""
    return [
        f"tensorflow-cpu {version} ; {pythons} and {_CUDA}"
        for version, pythons in _TENSORFLOW.items()
    ]


def main(upgrade: bool) -> None:
    """Writes the three files."""
    _write(CONSTRAINTS, ["--python-version", "3.11", *_extras("engine", "dev")], [], [], upgrade)
    _write(
        CONSTRAINTS_313,
        ["--python-version", "3.13", *_extras("engine", "dev")],
        overrides_313(),
        [],
        upgrade,
    )
    _write(
        LOCK,
        ["--python-version", "3.11", "--generate-hashes", *_extras("engine")],
        overrides_engine(),
        cpu_builds(),
        upgrade,
    )


def _extras(*names: str) -> list[str]:
    return [word for name in names for word in ("--extra", name)]


def _write(
    path: Path, options: list[str], overrides: list[str], more: list[str], upgrade: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "overrides.txt").write_text("\n".join(overrides), "utf-8")
        (folder / "more.in").write_text("\n".join(more), "utf-8")
        out = folder / "out.txt"
        if path.exists() and not upgrade:
            out.write_text(path.read_text("utf-8"), "utf-8")  # its pins are preferred
        subprocess.run(
            [
                *("uv", "pip", "compile", "--quiet", "--universal", "--no-annotate", "--no-header"),
                *("--output-file", out, "--override", folder / "overrides.txt"),
                *options,
                *(ROOT / "setup.cfg", folder / "more.in"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        path.write_text(f"{_HEADERS[path]}\n{out.read_text('utf-8')}", "utf-8")
    print(f"{path.relative_to(ROOT)}: {path.read_text('utf-8').count('==')} versions")


if __name__ == "__main__":
    main(upgrade="--upgrade" in sys.argv[1:])

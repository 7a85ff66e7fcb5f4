"""`python -m tfod_kit.compat MODULE [-- FLAGS]`: runs an unmodified upstream program."""

import sys
from collections.abc import Sequence

from tfod_kit.compat import launch
from tfod_kit.errors import TfodKitError

_USAGE = """usage: python -m tfod_kit.compat MODULE [-- FLAGS]

Runs a program of the Object Detection API with its own flags, such as
  python -m tfod_kit.compat model_main_tf2 -- --pipeline_config_path=... --model_dir=..."""


def main(argv: Sequence[str]) -> int:
    """Runs the named module; returns 2 if there is no such module, or what it needs is missing."""
    if not argv or argv[0] in ("-h", "--help"):
        print(_USAGE)
        return 0 if argv else 2
    name, *flags = argv
    try:
        launch.launch(launch.resolve(name), flags[1:] if flags[:1] == ["--"] else flags)
    except TfodKitError as error:
        print(f"tfod_kit.compat: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tfod_kit.compat: stopped by the user.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

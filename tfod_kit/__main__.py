"""`python -m tfod_kit VERB`, the same as `tfod VERB`."""

import sys

from tfod_kit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

"""The `tfod` program: `main` of the command line, and Ctrl-C before and after it.

Only the standard library's smallest modules are imported at the top, so that nearly all of the
program's start is in a function, which handles Ctrl-C.
"""

import os
import signal
import sys

# Not from typing, whose import takes longer than all of these.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_STOPPED = 130  # as `interrupts.STOPPED`, which is not imported yet when it is needed


def start() -> "NoReturn":
    """Runs `tfod` with the arguments of the process, and ends the process."""
    signal.signal(signal.SIGINT, _end_at_once)
    from tfod_kit.cli.main import main

    try:
        code = main()
    finally:
        # All output is written. What Python and libraries do now may be cut short without a word.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def _end_at_once(number: int, frame: object) -> None:
    """Ends the process while its modules are imported: there is nothing to clean up yet."""
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"tfod: stopped by the user.\n")
    os._exit(_STOPPED)

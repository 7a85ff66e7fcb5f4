"""Keeps away from the screen what TensorFlow's converters print, C++ included."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tfod_kit.errors import TfodKitError

_SHOWN = 20  # lines


@contextmanager
def capture_output() -> Iterator[None]:
    """Sends standard output and error, of Python and of libraries, nowhere until the block ends.

    What was said last goes with an error that escapes, as a note.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said:
        kept = [os.dup(1), os.dup(2)]
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        try:
            yield
        except TfodKitError:
            raise  # says all by itself
        except Exception as error:
            said.seek(0)
            lines = said.read().decode(errors="replace").splitlines()[-_SHOWN:]
            error.add_note("\n".join(lines))
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])

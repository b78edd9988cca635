"""The command ``toccata``: the only floor that knows a terminal."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

DONE, OURS, USER, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 the user's input, 1 our fault, 130 interrupted.

    Errors are one line on stderr; with TOCCATA_DEBUG=1 a fault of ours shows its traceback.
    """
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        from toccata.cli.app import run

        return run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone, as in `toccata models list | head -1`; keep the interpreter's last flush silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if os.environ.get("TOCCATA_DEBUG"):
            traceback.print_exc()
        what = " ".join(str(error).split())[:300]
        return _fail(f"{type(error).__name__}: {what} (a fault of toccata; TOCCATA_DEBUG=1 shows where)", OURS)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Leave through every ``finally``, so that a terminated command leaves no part of a file either."""
    raise SystemExit(128 + number)


def _fail(sentence: str, code: int) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return code

"""Runs the app with the garbage collector set up so that it never delays a key for long.

Textual and the domain are some hundred thousand objects that live until the end. The collector needs a tenth of a
second to examine them, and a person who has just pressed a key waits for it (PERF-4). At the start there is no garbage
worth collecting.
"""

from __future__ import annotations

import gc
import threading

from textual.app import App

SETTLED_S = 3.0
"""Seconds after the start by which all modules of the session are imported and its screen is drawn."""


def run_session(app: App[int]) -> int | None:
    """Run the app in this terminal until it ends; return its exit code, or None if it ended without one.

    Garbage collection is off for the first `SETTLED_S` (3 s), and on afterwards. Objects that exist by then are never
    examined again.
    """
    gc.disable()
    timer = threading.Timer(SETTLED_S, _settle)
    timer.daemon = True
    timer.start()
    try:
        return app.run()
    finally:
        timer.cancel()
        timer.join()
        gc.enable()


def _settle() -> None:
    gc.freeze()
    gc.enable()

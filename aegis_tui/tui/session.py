"""Runs the interactive session so that the garbage collector never stops it for long.

Textual and the core are some hundred thousand objects that live to the end. To look through them takes a tenth of a
second, which somebody waits for who has just pressed a key (PERF-4); at the start nothing is worth looking for.
"""

from __future__ import annotations

import gc
import threading

from textual.app import App

SETTLED_S = 3.0
"""After so long what the session is made of has been imported and drawn."""


def run_session(app: App[int]) -> int | None:
    """Run the app to its end; returns what it returns.

    Collection is off until the session has settled. What is there by then is never looked through again.
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

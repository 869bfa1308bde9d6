"""httpx as this program imports it: without its command line, which brings click, rich and pygments.

They are a third of the time of its import. httpx itself does without where they are not installed.
"""

from __future__ import annotations

import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # an import of it fails as if it were not there

import httpx as httpx  # noqa: E402  # only after the line above


def needs_certificates(url: str) -> bool:
    """Whether a client of `url` has to verify certificates: reading them takes up to 130 ms, which plain HTTP need not.

    Handed to httpx as `verify`.
    """
    return not url.lower().startswith("http://")

"""What a recipient can answer about a message. Imports nothing heavy, because `send` uses it."""

from __future__ import annotations

from typing import Literal

DeliveryAnswer = Literal["delivered", "refused", "unknown"]
"""What became of a message: its addressee has it, does not get it, or it is not known whether it got it (PANE-4)."""

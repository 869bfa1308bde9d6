"""What became of a prompt."""

from __future__ import annotations

from enum import StrEnum


class Delivery(StrEnum):
    """What happened to a prompt (PANE-4)."""

    DELIVERED = "delivered"
    """The agent has it. Of a prompt that was typed into a program: a call of the program to its model contained it."""
    QUEUED = "queued"
    """Kept for the agent's next turn."""
    REFUSED = "refused"
    """The agent does not have it, and gets it no more. Nothing was typed."""
    UNKNOWN = "unknown"
    """Typed, completely or in part, but its effect was not seen. It is never typed again automatically."""

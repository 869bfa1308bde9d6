"""The error with which the gateway refuses a request."""

from __future__ import annotations


class Rejected(Exception):
    """The gateway refuses a request, with a status and an error in the form of the API that the request uses.

    Args:
        status: The HTTP status.
        code: A stable code, as in `AegisError.code`.
        message: One sentence.
        hint: What to do next; may be empty.
    """

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint

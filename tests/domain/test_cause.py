"""Every error can become a cause, whatever its message names (FLOW-10, contract 3)."""

from __future__ import annotations

from aegis_tui.domain.cause import MESSAGE_CHARS, Cause, cause_of
from aegis_tui.domain.model import is_encodable
from aegis_tui.errors import GitError


def test_the_message_of_an_error_may_name_a_file_that_is_not_utf_8() -> None:
    cause = cause_of(GitError("no file latin\udce9.txt", "look at latin\udce9.txt"))
    assert (cause.message, cause.hint) == (r'"no file latin\351.txt"', r'"look at latin\351.txt"')
    assert is_encodable(cause)


def test_a_long_message_with_such_a_name_is_shortened_after_it_is_quoted() -> None:
    cause = Cause(message="\u0436" * (MESSAGE_CHARS - 1) + "\udce9")
    assert len(cause.message) <= MESSAGE_CHARS
    assert cause.message.startswith(r'"\320\266')
    assert cause.message.endswith(r'\351"')

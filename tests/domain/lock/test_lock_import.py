from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aegis_tui.domain.lock.importing import parse_old_locks, read_old_file
from aegis_tui.domain.lock.model import LockMode
from aegis_tui.errors import UsageError

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
AT = NOW.timestamp()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"a.py": {"agent": "w01", "type": "exclusive", "ttl": 60}}, ("w01", "a.py", "EXCLUSIVE", 60)),
        ({"a.py": {"agent": "w01", "mode": "READ", "ttl_seconds": 60}}, ("w01", "a.py", "SHARED", 60)),
        ({"a.py": {"holder": "w01", "lock_type": "REVIEW"}}, ("w01", "a.py", "REVIEW", 300)),
        ({"a.py": "w01"}, ("w01", "a.py", "EXCLUSIVE", 300)),
        ({"locks": {"./a.py": {"owner": "w01", "expires": AT + 9}}}, ("w01", "a.py", "EXCLUSIVE", 9)),
        (
            {"locks": [{"file": "a.py", "agent_id": "w01", "expires_at": (AT + 9) * 1000}]},
            ("w01", "a.py", "EXCLUSIVE", 9),
        ),
        ([{"path": "a.py", "expires_at": "2026-01-05T10:00:30+01:00"}], ("", "a.py", "EXCLUSIVE", 30)),
        ([{"path": "a.py", "expires": "2026-01-05T09:00:30"}], ("", "a.py", "EXCLUSIVE", 30)),
        ([{"path": "a.py", "acquired_at": str(AT - 20), "ttl": "60"}], ("", "a.py", "EXCLUSIVE", 40)),
        ([{"path": "a.py", "acquired_at": "2026-01-05T08:58:00Z"}], ("", "a.py", "EXCLUSIVE", 180)),
        ([{"path": "a.py", "ttl": 99999}], ("", "a.py", "EXCLUSIVE", 600)),
        ([{"path": "a.py", "lines": "3-5"}], ("", "a.py:3-5", "EXCLUSIVE", 300)),
        ([{"path": "a.py", "lines": "7"}], ("", "a.py:7-7", "EXCLUSIVE", 300)),
        ([{"path": "a.py", "lines": [3, 5]}], ("", "a.py:3-5", "EXCLUSIVE", 300)),
        ({"path": "a.py", "symbol": "A.b"}, ("", "a.py:A.b", "EXCLUSIVE", 300)),
    ],
)
def test_every_form_of_an_old_lock_is_understood(data: Any, told: tuple[str, str, str, float]) -> None:
    (lock,), skipped = parse_old_locks(data, now=NOW)
    assert skipped == []
    assert (lock.holder, str(lock.resource), lock.mode) == (told[0], told[1], LockMode(told[2]))
    assert lock.ttl_s == pytest.approx(told[3])


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"path": "a.py", "expires": AT - 1}, "it has expired"),
        ({"path": "a.py", "type": "weird"}, "its mode weird is not known"),
        ({"path": "a.py", "expires": "soon"}, "its timestamp soon is not valid"),
        ({"path": "../a.py"}, "not a path of this repository"),
        ({"path": "a.py", "lines": [5, 3]}, "its region is not valid"),
        ({"agent": "w01"}, "not a path of this repository"),
        ({"path": 5}, "not a path of this repository"),
        ({"path": "a.py", "ttl": [1]}, "its timestamp or duration a list is not valid"),
        ({"path": "a.py", "ttl": "soon"}, "its timestamp or duration soon is not valid"),
        ({"path": "a.py", "ttl": float("nan")}, "its timestamp or duration nan is not valid"),
        ({"path": "a.py", "ttl": 10**400}, "is not valid"),
        ({"path": "a.py", "ttl": True}, "its timestamp or duration True is not valid"),
        ({"path": "a.py", "expires": {"at": 1}}, "its timestamp a dict is not valid"),
        ({"path": "a.py", "expires": 1e300}, "is not valid"),
        ({"path": "a.py", "acquired_at": [1]}, "its timestamp a list is not valid"),
        ({"path": "a.py", "agent": 5}, "its holder 5 is not a name"),
        ({"path": "a.py", "agent": ["w01"]}, "its holder a list is not a name"),
        ({"path": "a.py", "type": ["x"]}, "its mode a list is not known"),
        ({"path": "a.py", "symbol": 5}, "its region is not valid"),
        ({"path": "a.py", "lines": {"from": 1}}, "its region is not valid"),
    ],
)
def test_what_is_over_or_not_understood_is_left_out_with_the_reason(entry: dict[str, Any], reason: str) -> None:
    locks, skipped = parse_old_locks([entry, {"path": "b.py"}], now=NOW)
    assert [str(lock.resource) for lock in locks] == ["b.py"]
    assert reason in skipped[0].reason and skipped[0].path == (entry.get("path", "") if entry.get("path") != 5 else "")


def test_a_file_that_holds_no_table_is_refused() -> None:
    with pytest.raises(UsageError):
        parse_old_locks("locks", now=NOW)
    assert parse_old_locks({}, now=NOW) == ([], [])


@pytest.mark.parametrize("entry", [None, 5, 1.5, True, ["w01"]])
@pytest.mark.parametrize("as_list", [False, True])
def test_an_entry_that_is_no_lock_is_said_and_not_guessed(entry: object, as_list: bool) -> None:
    data: Any = [entry, {"path": "b.py"}] if as_list else {"a.py": entry, "b.py": "w01"}
    locks, skipped = parse_old_locks(data, now=NOW)
    assert [str(lock.resource) for lock in locks] == ["b.py"]
    assert [item.path for item in skipped] == ["" if as_list else "a.py"]
    assert "neither a lock nor the name of its holder" in skipped[0].reason


def test_a_table_may_hold_a_file_that_is_called_path() -> None:
    locks, skipped = parse_old_locks({"path": {"agent": "w01"}, "file": {"agent": "w02"}}, now=NOW)
    assert [str(lock.resource) for lock in locks] == ["path", "file"] and skipped == []


def test_the_text_of_a_file_is_read_or_refused_with_the_reason() -> None:
    assert read_old_file(b'\xef\xbb\xbf{"a.py": "w01"}') == read_old_file(b'{"a.py": "w01"}') == {"a.py": "w01"}
    for content, told in ((b"[" * 100_000, "nested too deeply"), (b"{", "not JSON"), (b"\xff", "not JSON")):
        with pytest.raises(UsageError, match=told):
            read_old_file(content)

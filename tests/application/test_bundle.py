"""What goes into a bundle for others, and what never does."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_tui.application.bundle import Scrubber, event_facts, log_tail
from aegis_tui.tui.recorded import load_events

SCRUBBER = Scrubber(
    names={"mallory": "<user>", "workhorse": "<host>"},
    paths={"/home/mallory": "~", "/home/mallory/shop": "<repository>"},
)
TOKEN = "kJ8fQ2xWv0aZ7bN4cM1dL6eP9gR3hS5tU"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("opened /home/mallory/shop/src/x.py", "opened <repository>/src/x.py"),
        ("read /home/mallory/.config/a", "read ~/.config/a"),
        ("read /home/someone-else/b and /Users/x/c", "read ~/b and ~/c"),
        ("at /root/.local/state", "at ~/.local/state"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: <secret> <secret>"),
        ('{"token": "abc", "pid": 3}', '{"token": <secret>, "pid": 3}'),
        ("api_key=short", "api_key=<secret>"),
        ("key sk-proj-abcdefghijk used", "key <secret> used"),
        ("http://bob:pass@10.0.0.1:8001/v1", "http://<secret>@10.0.0.1:8001/v1"),
        ("mail a.b@example.org", "mail <address>"),
        (f"found {TOKEN} there", "found <secret> there"),
        ("oid 0123456789abcdef0123456789abcdef01234567", "oid <hex>"),
        ("mallory on workhorse", "<user> on <host>"),
        ("w01 joined, 3 events", "w01 joined, 3 events"),
    ],
)
def test_what_names_a_person_or_lets_somebody_in_is_taken_out(line: str, wanted: str) -> None:
    assert SCRUBBER.text(line) == wanted


def test_every_text_of_a_value_is_scrubbed() -> None:
    assert SCRUBBER.all({"a": ["mallory", {"b": ("/home/mallory/x", 3, None)}]}) == {
        "a": ["<user>", {"b": ["~/x", 3, None]}]
    }


def test_the_end_of_a_log_is_taken_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "hub.log"
    path.write_text("".join(f"{number} token=x\n" for number in range(500)), "utf-8")
    lines = log_tail(path, SCRUBBER, lines=3)
    assert lines == ["497 token=<secret>", "498 token=<secret>", "499 token=<secret>"]
    assert log_tail(tmp_path / "none", SCRUBBER) == []


def test_events_are_counted_and_runs_told_without_their_goal() -> None:
    facts = event_facts(load_events(Path(__file__).parents[1] / "tui" / "data" / "default.jsonl"))
    assert facts["counts"]["run:started"] == 1 and facts["first_seq"] == 1
    assert facts["runs"][0]["state"] == "done" and "goal" not in facts["runs"][0]

"""What programs say when their usage limit is reached, and when it ends, by the rules of their kind files (M19)."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aegis_tui.adapters.agents import installed
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.domain.hosting.usage_limit import LimitRule, Reset, UsageLimit, find_reset

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 28, 14, 30, tzinfo=BERLIN)


def zone_of(name: str) -> ZoneInfo | None:
    return ZoneInfo(name) if name in ("UTC", "Asia/Tokyo", "America/Los_Angeles", "Etc/GMT+5") else None


def rules_of(name: str) -> UsageLimit:
    file = Path(installed.__file__).with_name("kinds") / f"{name}.toml"
    return KindFile.model_validate(tomllib.loads(file.read_text("utf-8"))).usage_limit


def found(name: str, text: str) -> Reset | None:
    return find_reset(text, rules_of(name), now=NOW, zone_of=zone_of)


def end(name: str, text: str) -> datetime | None:
    reset = found(name, text)
    assert reset is not None, text
    return reset.at


@pytest.mark.parametrize(
    ("name", "text", "at"),
    [
        ("claude-code", "Claude AI usage limit reached|1795917600", datetime.fromtimestamp(1795917600, UTC)),
        ("claude-code", "You've hit your session limit · resets 4pm", NOW.replace(hour=16, minute=0)),
        ("claude-code", "You’ve hit your limit · resets 14:15", NOW.replace(hour=14, minute=15)),
        ("claude-code", "5-hour limit reached ∙ resets 3am", NOW.replace(day=29, hour=3, minute=0)),
        (
            "claude-code",
            "You've hit your session limit · resets 12:50am (America/Los_Angeles)",
            datetime(2026, 11, 29, 0, 50, tzinfo=ZoneInfo("America/Los_Angeles")),
        ),
        (
            "claude-code",
            "Claude usage limit reached. Your limit will reset at 1pm (Etc/GMT+5).",
            datetime(2026, 11, 28, 13, 0, tzinfo=ZoneInfo("Etc/GMT+5")),
        ),
        (
            "claude-code",
            "You've hit your weekly limit · resets Dec 3 at 10am (Asia/Tokyo)",
            datetime(2026, 12, 3, 10, 0, tzinfo=ZoneInfo("Asia/Tokyo")),
        ),
        ("claude-code", "weekly limit reached ∙ resets Jan 2, 1pm", NOW.replace(2027, 1, 2, 13, 0)),
        (
            "codex",
            "You've hit your usage limit. Upgrade to Pro or try again at 11:05 PM.",
            NOW.replace(hour=23, minute=5),
        ),
        (
            "codex",
            "ERROR: You've hit your usage limit. Please try again at Dec 29th, 2026 12:55 AM.",
            NOW.replace(2026, 12, 29, 0, 55),
        ),
        (
            "codex",
            "You've hit your usage limit. Upgrade to Pro or try again in 4 days 3 hours 5 minutes.",
            NOW + timedelta(days=4, hours=3, minutes=5),
        ),
        (
            "codex",
            '{"error":{"type":"usage_limit_reached","resets_in_seconds":7200}}',
            NOW + timedelta(hours=2),
        ),
        (
            "gemini-cli",
            "You have exhausted your capacity on this model. Your quota will reset after 42h1m20s.",
            NOW + timedelta(hours=42, minutes=1, seconds=20),
        ),
        ("gemini-cli", "Quota exceeded. Please retry in 12.5s.", NOW + timedelta(seconds=12.5)),
    ],
)
def test_a_program_says_when_its_limit_ends(name: str, text: str, at: datetime) -> None:
    assert end(name, f"working\n{text}\nbye") == at


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("claude-code", "Claude AI usage limit reached"),
        ("codex", "You've hit your usage limit. Upgrade to Pro or try again later."),
        ("gemini-cli", "You have reached your daily quota limit."),
        ("qwen-code", "Qwen OAuth quota exceeded: Your free daily quota has been reached."),
        ("opencode", '{"name":"APIError","data":{"message":"Too Many Requests","statusCode":429}}'),
        ("aider", "litellm.RateLimitError: RateLimitError: OpenAIException - slow down"),
        ("mini-swe-agent", "litellm.exceptions.RateLimitError: slow down"),
        ("codex", "You've hit your usage limit. Please try again at Feb 30th, 2026 12:55 AM."),
        ("claude-code", "You've hit your limit · resets 25:99 (Nowhere/City)"),
    ],
)
def test_a_limit_without_a_time_is_one_too(name: str, text: str) -> None:
    assert end(name, text) is None


@pytest.mark.parametrize("name", ["claude-code", "codex", "gemini-cli", "opencode", "qwen-code", "aider"])
def test_ordinary_output_names_no_limit(name: str) -> None:
    for text in ("I added a limit to the usage page", "the counter resets at midnight", "error 4290", ""):
        assert found(name, text) is None


def test_the_newest_place_counts_and_its_line_is_shown_without_hidden_characters() -> None:
    reset = found("claude-code", "limit reached ∙ resets 3pm\n\x1b[1mhit your limit · resets 5pm\x07 ok\n\nbye")
    assert reset is not None
    assert reset.at == NOW.replace(hour=17, minute=0)
    assert reset.words == "�[1mhit your limit · resets 5pm� ok"


@pytest.mark.parametrize(
    ("pattern", "words"), [("(", "is not a regular expression"), ("(?P<year>.)", "there is no group year")]
)
def test_a_wrong_rule_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        LimitRule(pattern=pattern)


@given(st.text(max_size=60), st.text(max_size=30), st.text(max_size=30))
def test_whatever_a_text_names_it_raises_nothing(days: str, clock: str, date: str) -> None:
    patterns = ("(?P<days>[^|]+)\\|", "\\|(?P<epoch>[^|]+)\\|", "#(?P<date>[^#]*)#(?P<clock>[^#]*)#")
    for pattern in patterns:
        limit = UsageLimit(rules=(LimitRule(pattern=pattern),))
        find_reset(f"{days}|{days}|\n#{date}#{clock}#", limit, now=NOW, zone_of=zone_of)

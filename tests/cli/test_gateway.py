"""`gateway status` and `gateway prefixes` (contract 9, LLM-3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.test_connect import Desk, open_desk
from tests.gateway.conftest import ModelServer, open_model_server, until

ASK = """
import json, os, sys, urllib.request
said = [{"role": "system", "content": "Work well. " * 40}, {"role": "user", "content": f"You are {sys.argv[1]}."}]
request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions",
    json.dumps({"model": "tiny", "stream": True, "messages": said}).encode(),
    {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]},
)
urllib.request.urlopen(request, timeout=20).read()
"""


@pytest.fixture(scope="module")
def second() -> Iterator[ModelServer]:
    with open_model_server() as server:
        yield server


@pytest.fixture(scope="module")
def desk(second: ModelServer) -> Iterator[Desk]:
    with open_model_server() as model, open_desk(AEGIS_BASE_URL=model.url) as found:
        settings = found.folder / "config.toml"
        settings.write_text(f'more_base_urls = ["{second.url}"]\n')
        found.environ["AEGIS_CONFIG"] = str(settings)
        assert found.aegis("hub", "start").code == 0
        until(lambda: found.aegis("gateway", "status").code == 0, "the gateway serves")
        yield found


def test_the_servers_are_shown_with_their_load_and_agents_with_their_use(desk: Desk, second: ModelServer) -> None:
    shown = desk.aegis("gateway", "status", "--json").json
    assert [item["healthy"] for item in shown["endpoints"]] == [True, True]
    assert shown["endpoints"][1]["url"] == f"{second.url}/v1"
    assert shown["endpoints"][1]["metrics"]["running"] == 3
    assert shown["metrics"]["running"] == 6 and shown["metrics"]["kv_cache"] == 0.25
    text = desk.aegis("gateway", "status").out
    assert f"{second.url}/v1: tiny, answers" in text and "kv_cache 25.0%" in text


def test_it_is_shown_where_prompts_part(desk: Desk) -> None:
    empty = desk.aegis("gateway", "prefixes")
    assert (empty.code, empty.out) == (0, "fewer than two agents have called a model since the gateway started\n")
    for name in ("one", "two"):
        asked = ("--", "python3", "-c", ASK, f"CLAUDE-{name}")
        assert desk.aegis("connect", "--agent", "claude", "--instance", name, *asked).code == 0
    (found,) = desk.aegis("gateway", "prefixes", "--json").json["prefixes"]
    assert (found["a"], found["b"], found["part"]) == ("CLAUDE-one", "CLAUDE-two", "message 1 (user)")
    assert found["at"] == len("You are CLAUDE-")
    shown = desk.aegis("gateway", "prefixes", "one", "CLAUDE-two")
    assert "CLAUDE-one and CLAUDE-two share 455 characters" in shown.out
    assert "  CLAUDE-two: …You are CLAUDE-two.…" in shown.out
    assert "CLAUDE-one: 1 calls, 100 prompt tokens (64% cached), 7 generated" in desk.aegis("gateway", "status").out


def test_a_role_that_an_agent_makes_up_stays_on_its_line(desk: Desk) -> None:
    """SEC-2: whoever calls the model chooses the role, which is part of the place that is shown."""
    forged = ASK.replace('"role": "user"', '"role": "x)\\nperson: all is well" + sys.argv[1][-1]')
    for name in ("three", "four"):
        asked = ("--", "python3", "-c", forged, f"CLAUDE-{name}")
        assert desk.aegis("connect", "--agent", "claude", "--instance", name, *asked).code == 0
    shown = desk.aegis("gateway", "prefixes", "three", "four").out
    assert "x)⏎person: all is well" in shown
    assert not [line for line in shown.splitlines() if line.startswith("person")]


def test_an_unknown_agent_a_single_one_and_no_hub_are_told(desk: Desk) -> None:
    wrong = desk.aegis("gateway", "prefixes", "nobody", "one")
    assert wrong.code == 2 and "the gateway has seen no prompt from nobody" in wrong.err
    assert desk.aegis("gateway", "prefixes", "one").code == 2
    with open_desk() as other:
        assert other.aegis("gateway", "status").code == 5

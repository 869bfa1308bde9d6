"""Calls of four APIs that a real vLLM answered are listed, shown, and answered in the same way again (LLM-8).

Needs the vLLM kit, see tests/vllm_kit.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_connect import CONNECT, open_desk
from tests.gateway.conftest import until
from tests.vllm_kit import need_kit, serving, write_scripts

pytestmark = [pytest.mark.real_vllm, pytest.mark.timeout(600)]

SAID = "The cart rounds half up."
FOUR_APIS = """
import json, os, urllib.request
of = os.environ
def ask(url, body):
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + of["OPENAI_API_KEY"]}
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=120).read()
text = "How does it round? [[script:plan]]"
said = [{"role": "user", "content": text}]
more = {"stream": True, "temperature": 0}
ask(of["OPENAI_BASE_URL"] + "/chat/completions", {**more, "messages": said})
ask(of["OPENAI_BASE_URL"] + "/responses", {**more, "input": said})
ask(of["ANTHROPIC_BASE_URL"] + "/v1/messages", {**more, "max_tokens": 200, "messages": said})
ask(of["GOOGLE_GEMINI_BASE_URL"] + "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    {"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": {"temperature": 0}})
"""


def test_calls_of_four_apis_are_stored_and_answered_the_same_again(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    need_kit(request)
    write_scripts(tmp_path, {"plan": []}, side=SAID)
    with serving(tmp_path) as url, open_desk(AEGIS_BASE_URL=url) as desk:
        assert desk.aegis("hub", "start").code == 0
        done = desk.aegis(*CONNECT, "four", "--", "python3", "-c", FOUR_APIS, timeout_s=300)
        assert done.code == 0, done.err
        until(lambda: len(desk.aegis("gateway", "log", "--json").json["calls"]) == 4, "the calls are in the list")
        for call in desk.aegis("gateway", "log", "--json").json["calls"]:
            shown = desk.aegis("gateway", "log", str(call["id"]), "--json").json
            assert "How does it round?" in json.dumps(json.loads(shown["request"]))
            assert shown["said"]["text"].strip() == SAID
            again = desk.aegis("gateway", "replay", str(call["id"]), "--json", timeout_s=120)
            assert again.code == 0, again.err
            print(f"{call['route']}: {call}, again {again.json['replay']}")
            assert again.json["same"] is True
            assert call["prompt_tokens"] == again.json["replay"]["prompt_tokens"] > 0
            assert call["completion_tokens"] == again.json["replay"]["completion_tokens"] > 0

"""A program asks on its screen: status, explain and inbox say so, and an answer by command lets it go on (PANE-5)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace
from tests.e2e.test_usage_limit import CALL, design
from tests.workspace import SHOP, clean_workspace

INTERFACE = (
    CALL
    + r"""
import tty
tty.setraw(0)

def ask():
    choices, marked = ["Yes", "Yes, always", "No"], 0
    while True:
        rows = ["%s %d. %s" % (">" if at == marked else " ", at + 1, words) for at, words in enumerate(choices)]
        rows = ["== Write a file ==", "touch size.py \x1b[31mnow\x1b[0m", "Proceed?", *rows]
        os.write(1, ("\x1b[2J\x1b[H" + "\r\n".join(rows)).encode())
        keys = os.read(0, 100)
        if keys == b"\r":
            os.write(1, b"\x1b[2J\x1b[H")
            return choices[marked]
        marked = min(2, max(0, marked + {b"\x1b[A": -1, b"\x1b[B": 1}.get(keys, 0)))

os.write(1, b"\x1b[?2004h\x1b[2J\x1b[HReady to type")
box = b""
while True:
    box += os.read(0, 65536)
    if not box.endswith(b"\x1b[201~\r"):
        continue
    said = box[:-7].split(b"\x1b[200~")[-1].decode()
    box = b""
    call("begin\n" + said)
    if "FILE " in said:
        ask()
        call("go on\n" + said)
        work(said)
    os.write(1, b"\r\nDone.\r\n")
"""
)


@pytest.fixture
def workspace() -> Iterator[ScratchWorkspace]:
    with clean_workspace(SHOP) as scratch:
        folder = scratch.folder / "config" / "aegis-tui" / "agents"
        folder.mkdir(parents=True)
        (folder / "parrot.toml").write_text(
            f"""
title = "Parrot"
programs = ["python3"]

[headless]
argv = ["python3", "-c", "1"]
prompt = "stdin"

[terminal]
argv = ["python3", "{{home}}/interface.py"]
ready = "Ready to type"

[screen]
rules = [{{state = "asking", lines = ['^Proceed\\?$', '^. 1\\. ']}}]

[screen.prompt]
begin = '^== '
choice = '^(?:(?P<mark>>) )?(?P<number>\\d)\\. (?P<words>.+)$'

[environment]
OPENAI_BASE_URL = "{{gateway_v1}}"
OPENAI_API_KEY = "{{token}}"

[[files]]
path = "interface.py"
text = \'\'\'{INTERFACE}\'\'\'
""",
            "utf-8",
        )
        yield scratch
        scratch.aegis("hub", "stop", "--force")


def test_a_question_is_listed_once_and_answered_without_attaching(
    workspace: ScratchWorkspace, other_server: str
) -> None:
    options = ["--design", design(workspace), "--base-url", other_server, "--agent-mode", "terminal", "--json"]
    started = workspace.aegis("run", "Sizes", *options, "--detach")
    assert started.code == 0, started.err
    workspace.until(lambda: [i for i in workspace.status()["instances"] if i["word"] == "asking"], what="the question")
    (item,) = workspace.aegis("inbox", "--json").json["items"]
    assert (item["kind"], item["key"]) == ("permission", "w01")
    assert item["words"] == "w01 asks on its screen: == Write a file == touch size.py now Proceed?"
    assert item["commands"]["3"] == "aegis-tui inbox answer w01 3" and item["since"]
    explained = workspace.aegis("explain", "w01", "--json").json
    assert (explained["state"], explained["source"]) == ("asking", "screen")
    wrong = workspace.aegis("inbox", "answer", "w01", "4")
    assert wrong.code == 2 and "give 1 or 2 or 3" in wrong.err
    answered = workspace.aegis("inbox", "answer", "w01", "2")
    assert answered.code == 0 and answered.out.strip() == "its program gets: Yes, always"
    ended = workspace.aegis("wait", started.json["run"], "--json")
    assert ended.code == 0, ended.err
    told = [event["data"] for event in workspace.events() if event["type"] == "instance:asking"]
    assert len(told) == 1 and re.fullmatch(r"w01-p\d+", told[0]["asks"]["prompt"])
    (given,) = [event["data"] for event in workspace.events() if event["type"] == "instance:answered"]
    assert (given["choice"], given["delivery"]) == ("Yes, always", "delivered")
    assert workspace.git("show", f"{ended.json['commit']['oid']}:src/size.py") == "SIZE = 1"

"""A program that speaks ACP, as the wrapper's tests script it; it is run as a process of its own.

`setup.json` beside it says what it is like; each prompt is one step of the script that PARROT_SCRIPT names.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

place, home = Path(os.environ["PARROT_PLACE"]), Path(__file__).parent
setup: dict[str, Any] = json.loads((home / "setup.json").read_text()) if (home / "setup.json").exists() else {}
out = sys.stdout.buffer


def send(message: Any) -> None:
    out.write((message if isinstance(message, str) else json.dumps({"jsonrpc": "2.0", **message})).encode() + b"\n")
    out.flush()


def update(**fields: Any) -> None:
    send({"method": "session/update", "params": {"sessionId": setup.get("session", "s-1"), "update": fields}})


def note(**fields: Any) -> int:
    number = len(list(place.iterdir()))
    (place.parent / "draft").write_text(json.dumps(fields))
    (place.parent / "draft").rename(place / str(number))
    return number


def read() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    message = json.loads(line)
    assert isinstance(message, dict)
    return message


def begin(message: dict[str, Any]) -> None:
    """Answer a request that begins the connection or a session."""
    method = message["method"]
    note(method=method, params=message.get("params"))
    for line in setup.get("noise", ()):
        send(line)
    answers = {
        "initialize": {"protocolVersion": 1, "agentCapabilities": {"loadSession": "load" in setup}},
        "authenticate": {},
        "session/new": {"sessionId": "s-1", "modes": {"availableModes": [{"id": "plan"}, {"id": "yolo"}]}},
        "session/load": {"modes": {"availableModes": [{"id": "yolo"}]}} if setup.get("load") else None,
        "session/set_mode": {},
        "session/set_config_option": {},
        **setup.get("answers", {}),
    }
    if method == "session/load":
        update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": "REPLAYED"})
    if answers.get(method) is None:
        send({"id": message["id"], "error": {"code": -32601, "message": "unknown"}})
    elif answers[method] != "silence":
        send({"id": message["id"], "result": answers[method]})
    if method == "session/load":
        time.sleep(0.2)
        update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": "REPLAYED LATER"})


def act(message: dict[str, Any]) -> None:
    """Do what the step of this prompt says."""
    number = sum(json.loads(path.read_text()).get("method") == "session/prompt" for path in place.iterdir())
    steps = json.loads(Path(os.environ["PARROT_SCRIPT"]).read_text())
    step = steps[min(number, len(steps) - 1)]
    note(method="session/prompt", said=message["params"]["prompt"][0]["text"], pid=os.getpid())
    for path, text in step.get("write", {}).items():
        Path(path).write_text(text)
    for line in step.get("send", ()):
        send(line)
    for fields in step.get("updates", ()):
        update(**fields)
    if "ask" in step:
        send({"method": "session/request_permission", "id": "ask", "params": step["ask"]})
        while (told := read()).get("id") != "ask":
            note(method=told["method"])
        note(answer=told)
    end(step)
    if "hang" in step:
        while (told := read()).get("method") != "session/cancel" or step["hang"] == "deaf":
            pass
        note(method=told["method"])
    if "error" in step:
        send({"id": message["id"], "error": step["error"]})
    else:
        send({"id": message["id"], "result": {"stopReason": step.get("stop", "end_turn")}})


def end(step: dict[str, Any]) -> None:
    """Leave a process behind, die, or close the connection, if the step says so."""
    if "leave" in step:
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    if "die" in step:
        sys.stderr.write("out of memory\n")
        sys.stderr.flush()
        os._exit(step["die"])
    if "close" in step:
        os.close(1)
        time.sleep(600)


def main() -> None:
    """Answer until standard input ends."""
    while True:
        message = read()
        if message.get("method") == "session/prompt":
            act(message)
        elif "id" in message and "method" in message:
            begin(message)


main()

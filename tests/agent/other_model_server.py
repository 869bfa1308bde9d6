"""A second, independent model server for tests: it knows no script of ours.

It reads the tool schemas and the task from each request and derives legal calls from them. Run it as a program: it
prints its URL and serves until it is ended. A request that a strict server would refuse is answered 400:
schemas that are not valid, history whose calls and results do not pair, arguments that are not JSON objects.

With a word as argument it speaks in one of the odd ways of `STYLES`, all of which leave one meaning only.

The task text may hold lines `FILE <path>: <content>` (\\n for a new line) and `CRITERION <id>`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


class Invalid(Exception):
    """The request is one that a strict server refuses."""


def check_schema(schema: Any, where: str) -> None:
    if not isinstance(schema, dict) or schema.get("type") not in _TYPES:
        raise Invalid(f"{where}: a schema needs a type of {sorted(_TYPES)}")
    properties = schema.get("properties", {})
    if missing := set(schema.get("required", ())) - set(properties):
        raise Invalid(f"{where}: required but not described: {sorted(missing)}")
    if "enum" in schema and not (isinstance(schema["enum"], list) and schema["enum"]):
        raise Invalid(f"{where}: enum must be a list that is not empty")
    for name, inner in properties.items():
        check_schema(inner, f"{where}.{name}")
    if "items" in schema:
        check_schema(schema["items"], f"{where}[]")


def check_value(schema: Json, value: Any, where: str) -> None:
    if not isinstance(value, _TYPES[schema["type"]]) or (schema["type"] != "boolean" and isinstance(value, bool)):
        raise Invalid(f"{where}: {value!r} is not of type {schema['type']}")
    if "enum" in schema and value not in schema["enum"]:
        raise Invalid(f"{where}: {value!r} is not one of {schema['enum']}")
    if isinstance(value, dict):
        if missing := set(schema.get("required", ())) - set(value):
            raise Invalid(f"{where}: missing {sorted(missing)}")
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                check_value(inner, value[name], f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for item in value:
            check_value(schema["items"], item, f"{where}[]")


def check_history(messages: list[Json], tools: dict[str, Json]) -> None:
    open_calls: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise Invalid(f"no open call {message.get('tool_call_id')}")
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            raise Invalid(f"calls without result: {open_calls}")
        for call in message.get("tool_calls", ()):
            arguments = json.loads(call["function"]["arguments"])
            if not isinstance(arguments, dict):
                raise Invalid("arguments in the history must be an object")
            if call["function"]["name"] not in tools:
                raise Invalid(f"history calls an unknown tool {call['function']['name']}")
            open_calls.append(call["id"])


def find_tool(tools: dict[str, Json], *fields: str) -> str | None:
    return next((name for name, schema in tools.items() if set(fields) <= set(schema.get("properties", {}))), None)


def fill(schema: Json, facts: Json, name: str = "") -> Any:
    """A legal value for a schema, out of the task's facts where a name fits, else the smallest that is allowed."""
    if name in facts:
        return facts[name]
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "object":
            return {key: fill(inner, facts, key) for key, inner in schema.get("properties", {}).items()}
        case "array":
            return [fill(schema["items"], {**facts, **item}) for item in facts.get(f"{name}[]", [])]
        case "boolean":
            return True
        case "integer" | "number":
            return max(1, schema.get("minimum", 1))
        case _:
            return f"some {name}"


def decide(messages: list[Json], tools: dict[str, Json]) -> tuple[str, Json]:
    """The next call: write each file of the task once, then finish with the tool that is there for it."""
    said = "\n".join(str(message["content"]) for message in messages if message["role"] == "user")
    done = [call["function"] for message in messages for call in message.get("tool_calls", ())]
    if verdict := find_tool(tools, "decision", "criteria"):
        criteria = [{"id": found} for found in re.findall(r"^CRITERION (\S+)", said, re.M)] or [{"id": "task"}]
        return verdict, fill(tools[verdict], {"criteria[]": criteria, "findings[]": []})
    writer = find_tool(tools, "path", "content")
    files = re.findall(r"^FILE (\S+?): (.*)$", said, re.M)
    written = sum(call["name"] == writer for call in done)
    if writer and written < len(files):
        path, content = files[written]
        return writer, {"path": path, "content": content.replace("\\n", "\n")}
    finish = find_tool(tools, "status", "summary")
    if finish is None:
        raise Invalid("no tool ends the task")
    return finish, fill(tools[finish], {"status": "done", "summary": f"wrote {len(files)} files"})


def stream(name: str, arguments: Json) -> Iterator[Json]:
    text = json.dumps(arguments)
    yield {"delta": {"role": "assistant", "content": None}}
    yield {"delta": {"tool_calls": [{"index": 0, "id": "", "function": {"name": name}}]}}
    for start in range(0, len(text), 5):
        yield {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": text[start : start + 5]}}]}}
    yield {"delta": {}, "finish_reason": "tool_calls"}


def odd(style: str, name: str, arguments: Json) -> Iterator[Json]:
    """The same call in the way of a server that does not follow the API."""
    text = json.dumps(arguments, ensure_ascii=False)
    call: Json = {"index": 0, "id": "c", "function": {"name": name, "arguments": text}}
    match style:
        case "object":
            call["function"]["arguments"] = arguments
        case "twice":
            call["function"]["arguments"] = json.dumps(text)
        case "marks":
            call["function"]["name"] = f"functions.{name}:0"
        case "numbers-as-text":
            loose = {key: str(value) if isinstance(value, int) else value for key, value in arguments.items()}
            call["function"]["arguments"] = json.dumps(loose)
        case "text":
            words = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
            yield {"delta": {"content": f"<think>hm</think>\n<tool_call>\n{words}\n</tool_call>"}}
            yield {"delta": {}, "finish_reason": "stop"}
            return
        case "body":
            yield {
                "message": {"content": [{"type": "text", "text": ""}], "tool_calls": [call]},
                "finish_reason": "stop",
            }
            return
    yield {"delta": {"content": [{"type": "text", "text": "a\u2028b"}], "tool_calls": [call]}}
    yield {"delta": {}, "finish_reason": {"type": "tool_calls"}}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": [{"id": "other", "object": "model"}]})

    def do_POST(self) -> None:
        try:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            tools = {entry["function"]["name"]: entry["function"]["parameters"] for entry in request["tools"]}
            for name, schema in tools.items():
                check_schema(schema, name)
            check_history(request["messages"], tools)
            name, arguments = decide(request["messages"], tools)
            check_value(tools[name], arguments, name)
        except (Invalid, ValueError, LookupError, TypeError) as error:
            self._send(400, {"error": {"message": f"{type(error).__name__}: {error}", "type": "BadRequestError"}})
            return
        self._stream(name, arguments)

    def _stream(self, name: str, arguments: Json) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if sys.argv[1:]:
            self._stream_oddly(sys.argv[1], name, arguments)
            return
        for choice in stream(name, arguments):
            self._event(json.dumps({"id": "x", "model": "other", "choices": [{"index": 0, **choice}]}))
        self._event(json.dumps({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}))
        self._event("[DONE]")

    def _stream_oddly(self, style: str, name: str, arguments: Json) -> None:
        """No `[DONE]`, raw Unicode separators, CR as line end; or one JSON body where a stream was asked for."""
        for choice in odd(style, name, arguments):
            text = json.dumps({"choices": [choice]}, ensure_ascii=False)
            self.wfile.write(text.encode() if style == "body" else f"data:{text}\r\r".encode())
            self.wfile.flush()

    def _event(self, payload: str) -> None:
        self.wfile.write(f"data: {payload}\r\n\r\n".encode())
        self.wfile.flush()

    def _send(self, status: int, body: Json) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        return


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()

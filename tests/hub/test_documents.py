"""What the hub says on the wire is what its documents say (HUB-3)."""

from __future__ import annotations

import asyncio
import functools
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, aclosing
from typing import Any, Literal

import pytest
from jsonschema import Draft7Validator, Draft202012Validator  # type: ignore[import-untyped]

from aegis_tui.adapters.store.sqlite_log import SqliteEventLog
from aegis_tui.bootstrap.bare_hub import open_hub
from aegis_tui.bootstrap.contract import contract_text
from aegis_tui.domain.command import ClientCommand
from aegis_tui.domain.decision import THE_HUB, THE_PERSON
from aegis_tui.domain.event import AnyEventData
from aegis_tui.domain.message.commands import FileObserved
from aegis_tui.domain.model import by_type
from aegis_tui.hub.fanout import Fanout
from aegis_tui.hub.interest import Interest
from aegis_tui.hub.rate import RateLimit
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.quick import HubAddress
from tests.domain import test_transcript as scenes
from tests.hub.documents import Documents, HubRun, Stream, ask, open_stream

COMMAND = {"$ref": "#/components/schemas/Command"}
TELL = '{"type": "context:get"}'


Which = Literal["openapi", "asyncapi"]


@functools.cache
def document(which: Which) -> dict[str, Any]:
    """The document as it is made here; making it takes too long for a module that is only imported."""
    made: dict[str, Any] = json.loads(contract_text(which))
    return made


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from nodes(item)


@pytest.mark.parametrize(("which", "kind"), [("openapi", Draft202012Validator), ("asyncapi", Draft7Validator)])
def test_every_model_is_a_schema_and_every_reference_leads_somewhere(which: Which, kind: Any) -> None:
    schemas = document(which)["components"]["schemas"]
    for schema in schemas.values():
        kind.check_schema(schema)
    for node in nodes(document(which)):
        target: Any = document(which)
        for name in node.get("$ref", "#").split("/")[1:]:
            target = target[name]
    assert "token_hash" not in json.dumps(document(which))
    assert not [name for name, schema in schemas.items() if not schema]


def test_asyncapi_has_no_discriminator_that_is_an_object_and_no_later_words() -> None:
    """Its schemas are JSON Schema draft 07; `discriminator` names a property (AsyncAPI 3.0.0, Schema Object)."""
    for node in nodes(document("asyncapi")["components"]["schemas"]):
        assert not isinstance(node.get("discriminator"), dict)
        assert not {"prefixItems", "unevaluatedProperties", "$defs"} & node.keys()


@pytest.mark.parametrize("which", ["openapi", "asyncapi"])
def test_each_type_has_one_schema_that_ties_it_to_its_fields(which: Which) -> None:
    schemas = document(which)["components"]["schemas"]
    for union, known in (("Event", by_type(AnyEventData)), ("Command", by_type(ClientCommand))):
        variants = [schemas[item["$ref"].rpartition("/")[2]] for item in schemas[union]["oneOf"]]
        assert sorted(variant["properties"]["type"]["const"] for variant in variants) == sorted(known)
        assert all("type" in variant["required"] for variant in variants)
    denied = schemas["LockDeniedEvent"]
    assert denied["properties"]["type"]["const"] == "lock:denied" and "contention" in denied["description"]
    assert schemas["LockDenied"]["properties"].keys() == {"path", "lock_type", "code", "held_by"}


def test_every_route_has_an_answer_with_fields_and_refusals() -> None:
    openapi = document("openapi")
    for path, methods in openapi["paths"].items():
        for operation in methods.values():
            assert operation["responses"].keys() >= {"200", "403", "413"}
            assert all(said["content"] for said in operation["responses"].values()), path
            assert ("401" in operation["responses"]) is (operation.get("security") != [])
    limit = next(item for item in openapi["paths"]["/v1/events"]["get"]["parameters"] if item["name"] == "limit")
    assert (limit["schema"]["minimum"], limit["schema"]["maximum"]) == (0, 5000)


Scene = Callable[[HubRun], None]


@pytest.mark.parametrize(
    ("scene", "kinds"),
    [
        (scenes.a_whole_run, 40),
        (scenes.a_troubled_run, 25),
        (scenes.an_interrupted_run, 20),
        (scenes.a_proposed_design, 8),
    ],
)
def test_what_a_run_leads_to_fits_the_documents(paths: WorkspacePaths, scene: Scene, kinds: int) -> None:
    def work(address: HubAddress, run: HubRun, documents: Documents) -> set[str]:
        scene(run)
        seen: list[dict[str, Any]] = []
        while page := ask(address, "GET", f"/v1/events?after={len(seen)}&limit=100").json["events"]:
            seen += page
        for event in seen:
            assert documents.rest_faults(event, {"$ref": "#/components/schemas/Event"}) == []
            assert documents.stream_faults(event, "Event") == []
        return {event["type"] for event in seen}

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine):
            documents = await asyncio.to_thread(Documents, address)

            def look() -> None:
                for path in ("/v1/state", "/v1/mirror"):
                    assert documents.answer_faults(ask(address, "GET", path), "GET", path) == []

            run = HubRun(engine, asyncio.get_running_loop(), look)
            seen = await asyncio.to_thread(work, address, run, documents)
            assert len(seen) >= kinds

    asyncio.run(main())


def test_what_agents_do_by_hand_and_what_they_are_told_fits_the_documents(paths: WorkspacePaths) -> None:
    async def main() -> None:
        async with open_hub(paths, port=0) as (address, engine), AsyncExitStack() as stack:
            documents = await asyncio.to_thread(Documents, address)
            streams = [await stack.enter_async_context(open_stream(address, name)) for name in ("", "one", "two")]
            await by_hand(*streams)
            observed = FileObserved(agent_id="CLAUDE-one", path="a.py", change_type="modified", worktree="/w")
            await engine.submit(observed, THE_HUB)
            await streams[0].until("file:changed")
            seen = [frame for stream in streams for frame in stream.seen]
        for frame in seen:
            model = "Reply" if "ok" in frame else "Event" if "seq" in frame else "LockFailed"
            assert documents.stream_faults(frame, model) == []
        locks = {"lock:acquired", "lock:denied", "lock:queued", "lock:renewed", "lock:released", "lock:expired"}
        locks |= {"lock:withdrawn", "lock:broken", "lock:deadlock", "lock:failed"}
        others = {"agent:joined", "agent:left", "agent:state", "broadcast", "message:sent", "message:acked"}
        others |= {"scope:requested", "scope:granted", "scope:refused", "partition:changed", "specs.created"}
        assert {frame.get("type") for frame in seen} >= locks | others
        assert {frame["ok"] for frame in seen if "ok" in frame} == {True, False}

    asyncio.run(main())


async def by_hand(person: Stream, one: Stream, two: Stream) -> None:
    """Locks in every way they begin and end, and words between two agents."""
    first = (await one.ask("lock:acquire", path="a.py", ttl_s=1))["locks"][0]
    await one.ask("lock:renew", lock_id=first["lock_id"], token=first["token"], ttl_s=1)
    await two.ask("lock:acquire", path="a.py")
    await two.ask("lock:acquire", path="a.py", wait_s=0.1)
    await two.ask("lock:acquire", path="b.py")
    waiting = asyncio.create_task(two.ask("lock:acquire", path="a.py", wait_s=20))
    await person.until("lock:queued", times=2)
    await one.ask("lock:acquire", path="b.py", wait_s=20)
    assert (await waiting)["ok"] is True
    await person.until("lock:expired")
    await two.ask("lock:release", path="b.py")
    held = (await one.ask("lock:acquire", path="b.py"))["locks"][0]
    await person.ask("lock:break", lock_id=held["lock_id"], reason="mine")
    await one.ask("agent:report", state="testing", progress=0.5, tokens={"prompt": 1})
    sent = await one.ask("message:send", to="CLAUDE-two", text="hello")
    assert sent["ok"] is True
    seq = (await two.ask("message:read"))["messages"][0]["seq"]
    await two.ask("ack", of=seq)
    await one.ask("broadcast", event="note:n", data={"any": [1, None]})
    await person.ask("partition:set", agent_id="CLAUDE-one", globs=["src/**"])
    for decision in ("scope:grant", "scope:refuse"):
        asked = await two.ask("scope:request", path=f"src/{decision[6:]}.py", reason="r")
        await person.ask(decision, request=asked["request"], **({"reason": "r"} if "refuse" in decision else {}))
    await person.ask("spec:create", spec={"id": "s1", "title": "T"})
    await two.ask("agent:leave", reason="done")
    await person.until("agent:left")


PAGE = {"Origin": "https://evil.example"}
ROUTE_CASES: list[tuple[int, str, str, str | None, dict[str, str]]] = [
    *((401, "GET", path, None, {"Authorization": ""}) for path in ("/v1/state", "/v1/mirror", "/v1/events")),
    (401, "GET", "/metrics", None, {"Authorization": ""}),
    (200, "GET", "/healthz", None, {"Authorization": ""}),
    (200, "GET", "/v1/events?limit=0", None, {}),
    (200, "GET", "/v1/events?limit=5000", None, {}),
    (400, "GET", "/v1/events?limit=5001", None, {}),
    (400, "GET", "/v1/events?after=x", None, {}),
    (413, "GET", "/v1/state", None, {"Content_Length": str(2 << 20)}),
    (200, "GET", "/v1/state/section?name=locks", None, {}),
    (400, "GET", "/v1/state/section?name=nope", None, {}),
    (200, "POST", "/v1/commands", TELL, {}),
    (200, "POST", "/v1/commands", '{"v": 1, "request_id": "a", "type": "heartbeat"}', {}),
    (400, "POST", "/v1/commands", "{", {}),
    (400, "POST", "/v1/commands", "[1]", {}),
    (400, "POST", "/v1/commands", '{"type": "nope", "request_id": "r"}', {}),
    (400, "POST", "/v1/commands", '{"type": "heartbeat", "request_id": 5}', {}),
    (400, "POST", "/v1/commands", '{"type": "heartbeat", "request_id": "\\ud800"}', {}),
    (401, "POST", "/v1/commands", TELL, {"Authorization": ""}),
    (403, "POST", "/v1/commands", '{"type": "agent:leave"}', {}),
    (403, "POST", "/v1/commands", TELL, PAGE),
    (409, "POST", "/v1/commands", '{"type": "lock:release", "path": "a.py", "token": 9}', {}),
    (413, "POST", "/v1/commands", "{", {"Content_Length": str(2 << 20)}),
    (415, "POST", "/v1/commands", TELL, {"Content_Type": "text/plain"}),
]


def test_every_status_of_every_route_is_documented(paths: WorkspacePaths) -> None:
    def work(address: HubAddress) -> None:
        documents = Documents(address)
        assert (documents.openapi, documents.asyncapi) == (document("openapi"), document("asyncapi"))
        ask(address, "POST", "/v1/commands", '{"type": "lock:acquire", "path": "a.py"}')
        read = [path for path in documents.openapi["paths"] if path != "/v1/commands"]
        cases = [(status, "GET", path, None, headers) for status, headers in ((200, {}), (403, PAGE)) for path in read]
        for status, method, target, body, headers in [*cases, *ROUTE_CASES]:
            answer = ask(address, method, target, body, **headers)
            assert answer.status == status, (method, target, body and body[:60], answer.body[:200])
            assert documents.answer_faults(answer, method, target.partition("?")[0]) == []
            if status in (400, 401, 415):
                assert answer.json["request_id"] == ("r" if "nope" in (body or "") else None)
        damage(paths)
        answer = ask(address, "GET", "/v1/events")
        assert answer.status == 500 and documents.answer_faults(answer, "GET", "/v1/events") == []

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await asyncio.to_thread(work, address)

    asyncio.run(main())


def damage(paths: WorkspacePaths) -> None:
    connection = sqlite3.connect(paths.log_db)
    connection.execute("UPDATE event SET crc = crc + 1")
    connection.commit()
    connection.close()


def test_an_instance_that_may_not_or_asks_too_much_is_told_as_documented(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RateLimit.__init__, "__kwdefaults__", {"per_s": 0.1, "burst": 2.0, "now": time.monotonic})

    def work(address: HubAddress, token: str) -> None:
        documents, mine = Documents(address), {"Authorization": f"Bearer {token}"}
        answer = ask(address, "GET", "/v1/mirror", **mine)
        assert answer.status == 403 and documents.answer_faults(answer, "GET", "/v1/mirror") == []
        for status in (200, 200, 503):
            answer = ask(address, "POST", "/v1/commands", '{"type": "heartbeat"}', **mine)
            assert answer.status == status and documents.answer_faults(answer, "POST", "/v1/commands") == []

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _), open_stream(address, "one") as one:
            await asyncio.to_thread(work, address, one.token)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({"v": 1, "request_id": "a", "type": "heartbeat"}, True),
        ({"type": "heartbeat", "request_id": None}, True),
        ({"type": "heartbeat", "v": 2}, False),
        ({"type": "heartbeat", "request_id": 5}, False),
        ({"type": "heartbeat", "request_id": ""}, False),
        ({"request_id": "a"}, False),
        ({"path": "x"}, False),
        ({"type": "nope"}, False),
        ({"type": "lock:acquire", "path": "x"}, True),
        ({"type": "lock:acquire", "path": 5}, False),
        ({"type": "lock:acquire", "path": ""}, False),
        ({"type": "lock:acquire", "path": "x", "lines": [1, 2], "wait_s": 2}, True),
        ({"type": "lock:acquire", "path": "x", "lines": [1, 2, 3]}, False),
        ({"type": "lock:acquire", "resources": [{"path": "y"}, {"path": "z"}]}, True),
        ({"type": "lock:acquire", "path": "x", "whole": ["x"]}, False),
        ({"type": "lock:acquire", "path": "x", "pinned": [{"path": "x"}]}, False),
        ({"type": "run:start", "goal": "g", "run": "r1"}, False),
        ({"type": "broadcast", "event": "note:n", "rewrite": {"base_oid": "", "new_oid": "", "hunks": []}}, False),
        ({"type": "broadcast", "event": "note:n"}, True),
        ({"type": "broadcast", "event": "other:n"}, False),
        ({"type": "context:get", "bogus": 1}, False),
        ({"type": "agent:register", "agent_type": "T", "instance_id": "x"}, True),
        ({"type": "agent:register", "agent_type": "T", "instance_id": "x", "token_hash": "y"}, False),
        ({"type": "subscribe"}, False),
    ],
)
def test_a_command_fits_the_document_when_the_hub_takes_it(
    paths: WorkspacePaths, fields: dict[str, Any], fits: bool
) -> None:
    def work(address: HubAddress) -> None:
        documents = Documents(address)
        answer = ask(address, "POST", "/v1/commands", json.dumps(fields))
        assert (documents.rest_faults(fields, COMMAND) == []) is (answer.status == 200) is fits, answer.body
        if fits:
            assert documents.stream_faults(fields, "Command") == []

    async def main() -> None:
        async with open_hub(paths, port=0) as (address, _):
            await asyncio.to_thread(work, address)

    asyncio.run(main())


def test_what_a_slow_or_late_receiver_is_told_fits_the_document(
    paths: WorkspacePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteEventLog.__init__, "__kwdefaults__", {"kept_events": 10})
    monkeypatch.setattr("aegis_tui.hub.fanout.MAX_QUEUED_EVENTS", 2)

    async def main() -> None:
        async with open_hub(paths, port=0, snapshot_events=20) as (address, engine):
            documents = await asyncio.to_thread(Documents, address)
            fanout = Fanout(engine)
            for after, model in ((None, "Resync"), (0, "ContextSync")):
                subscriber = fanout.join(THE_PERSON)
                subscriber.listen(Interest.everything())
                async with asyncio.timeout(10):
                    while engine.first_seq == 1 or (after is None and not subscriber.dropped):
                        await engine.submit({"type": "lock:acquire", "path": f"{engine.last_seq}.py"}, THE_PERSON)
                subscriber.listen(Interest.everything(), after=after)
                async with aclosing(subscriber.messages()) as messages:
                    frame = json.loads((await anext(messages)).text)
                assert documents.stream_faults(frame, model) == []

    asyncio.run(main())

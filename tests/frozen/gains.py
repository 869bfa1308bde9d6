"""What may not happen to what is frozen: each function lists what is lost, one line each; nothing for a mere gain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Surface = dict[str, list[str]]


def lost_names(frozen: Surface, now: Surface) -> list[str]:
    """Names that are gone; their order does not count."""
    return [
        f"{group}: {name} is gone"
        for group, names in frozen.items()
        for name in (names or [""])
        if group not in now or (name and name not in now[group])
    ]


def lost_signatures(frozen: Surface, now: Surface) -> list[str]:
    """What a caller of yesterday would stumble over: a parameter that is gone, moved or new without a default."""
    lost = lost_names(frozen, now)
    for name, parts in frozen.items():
        if name not in now:
            continue
        kept = [part for part in now[name] if part in parts]
        if sorted(kept) == sorted(parts) and kept != parts:
            lost.append(f"{name}: the order is another")
        new = [part for part in now[name] if part not in parts]
        lost += [f"{name}: {part} has no default" for part in new if _is_demanded(part)]
    return lost


def _is_demanded(part: str) -> bool:
    kind = part.partition(" ")[0]
    return kind in ("positional_only", "positional_or_keyword", "keyword_only") and " = " not in part


def lost_values(frozen: Any, now: Any, where: str = "") -> list[str]:
    """Values that are gone or are others; a field may be gained."""
    if isinstance(frozen, dict) and isinstance(now, dict):
        gone = [f"{where}.{name} is gone" for name in frozen if name not in now]
        kept = [name for name in frozen if name in now]
        return gone + [line for name in kept for line in lost_values(frozen[name], now[name], f"{where}.{name}")]
    if isinstance(frozen, list) and isinstance(now, list) and len(frozen) == len(now):
        pairs = enumerate(zip(frozen, now, strict=True))
        return [line for place, (old, new) in pairs for line in lost_values(old, new, f"{where}[{place}]")]
    return [] if frozen == now and type(frozen) is type(now) else [f"{where} is another"]


def lost_schema(frozen: Any, now: Any, where: str = "", *, sent: bool = False) -> list[str]:
    """Parts of a contract that are gone or are others; nothing new may be required of who sends (`sent`)."""
    if isinstance(frozen, dict) and isinstance(now, dict):
        gone = [f"{where}.{name} is gone" for name in frozen if name not in now]
        kept = [name for name in frozen if name in now]
        return gone + [
            line for name in kept for line in lost_schema(frozen[name], now[name], f"{where}.{name}", sent=sent)
        ]
    if isinstance(frozen, list) and isinstance(now, list):
        if len(frozen) == len(now) and all(isinstance(item, dict) for item in (*frozen, *now)):
            pairs = enumerate(zip(frozen, now, strict=True))
            return [s for place, (old, new) in pairs for s in lost_schema(old, new, f"{where}[{place}]", sent=sent)]
        lost = [f"{where}: {item} is gone" for item in frozen if item not in now]
        if sent and where.endswith(".required"):
            lost += [f"{where}: {item} is demanded" for item in now if item not in frozen]
        return lost
    return [] if frozen == now else [f"{where} is another"]


def lost_contract(frozen: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Parts of a whole document that are gone or are others."""
    sent, schemas = sent_by_clients(frozen), now["components"]["schemas"]
    lost = []
    for name, schema in frozen["components"]["schemas"].items():
        if name not in schemas:
            lost.append(f"schema {name} is gone")
        else:
            lost += lost_schema(schema, schemas[name], f"schema {name}", sent=name in sent)
    around = {name: part for name, part in frozen.items() if name != "components"}
    return lost + lost_schema(around, now)


def sent_by_clients(document: dict[str, Any]) -> set[str]:
    """The models that clients send, with those inside them."""
    schemas, found = document["components"]["schemas"], set[str]()
    waiting = [name for name in ("Command", "Hello", "Subscribe", "FileSubscribe") if name in schemas]
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += [target.rpartition("/")[2] for target in _references(schemas[name])]
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _references(item)

"""Probes a model endpoint: whether it is inside the boundary, whether it answers, and what it serves (LLM-7)."""

from __future__ import annotations

from dataclasses import dataclass

from aegis_tui.adapters.llm.key import FindKey
from aegis_tui.adapters.llm.problem import KEY_HINT, problem_of
from aegis_tui.domain.endpoint import normalise_base_url
from aegis_tui.domain.prompt import inert
from aegis_tui.errors import ModelUnavailable
from aegis_tui.sdk.key_file import without_key
from aegis_tui.sdk.resolve import resolve_endpoint

SCRIPTED_OWNER = "aegis-scripted"
_TIMEOUT_S = 10.0
_NAME_CHARS = 200
_HINT = "start one: aegis-tui vllm start MODEL, or name another: --base-url URL, or AEGIS_BASE_URL"


@dataclass(frozen=True, slots=True)
class EndpointFound:
    """The server that answers at a base URL."""

    base_url: str
    """The base URL in its normal form: lower-case host, ending in `/v1`."""
    models: tuple[str, ...]
    scripted: bool
    """True if it is the scripted server, which is labelled as such everywhere."""


async def probe_endpoint(base_url: str, *, find_key: FindKey = str) -> EndpointFound:
    """Check the address, then ask the endpoint for its models; return them with the normal form of its base URL.

    Args:
        base_url: With or without `/v1`.
        find_key: Returns the key to send; empty for none.

    Raises:
        Refused: The address is neither loopback nor private, or its name is public; nothing was sent there.
        ModelUnavailable: The host is unknown, no server answers within 10 s, or not as an OpenAI-compatible server
            does, or it requires a key or does not accept it (code ``model.key``).
        UsageError: The base URL is not valid, or the key file cannot be used.
    """
    from aegis_tui.adapters.http import (  # slow to import, and every hub imports this module
        EndlessAnswer,
        get_whole,
        httpx,
        needs_certificates,
    )

    url = normalise_base_url(base_url)
    await resolve_endpoint(url)
    key = find_key()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        verify = needs_certificates(url)
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False, headers=headers, verify=verify) as client:
            response = await get_whole(client, f"{url}/models", deadline_s=_TIMEOUT_S)
    except EndlessAnswer as error:
        raise ModelUnavailable(f"{url} does not list its models as OpenAI does: {error}", _HINT) from error
    except httpx.HTTPError as error:
        late = f" within {_TIMEOUT_S:g} s" if isinstance(error, httpx.TimeoutException) else ""
        # These words say already that no server listens there; other connection errors are named.
        fault = "" if late or isinstance(error, httpx.ConnectError) else f": {type(error).__name__}"
        raise ModelUnavailable(f"no model server answers at {url}{late}{fault}", _HINT) from error
    if not response.is_success:
        raise _refusal(url, response.status_code, response.content, dict(response.headers), key)
    try:
        entries = response.json()["data"]
        names = tuple(_name(entry["id"]) for entry in entries)
        scripted = any(entry.get("owned_by") == SCRIPTED_OWNER for entry in entries)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelUnavailable(f"{url} does not list its models as OpenAI does", _HINT) from error
    return EndpointFound(url, names, scripted)


def _name(model: object) -> str:
    """Return the given name of a model if it may be shown and sent.

    Raises:
        ValueError: It is not text, empty, too long or unsafe to show.
    """
    if not isinstance(model, str) or not model or len(model) > _NAME_CHARS or inert(model) != model:
        raise ValueError("not a model name")
    return model


def _refusal(url: str, status: int, body: bytes, headers: dict[str, str], key: str) -> ModelUnavailable:
    said = without_key(problem_of(status, body, headers, url).message, key)
    if status in (401, 403):
        what = f"{url} does not accept the key of the key file" if key else f"{url} requires a key"
        return ModelUnavailable(f"{what} ({said})", KEY_HINT, code="model.key", status=status)
    return ModelUnavailable(f"{said} (GET /models)", _HINT, status=status)

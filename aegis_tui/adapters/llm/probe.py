"""A first look at a model endpoint: is it inside the boundary, does it answer, what does it serve (LLM-7)."""

from __future__ import annotations

from dataclasses import dataclass

from aegis_tui.adapters.resolve import resolve_endpoint
from aegis_tui.domain.endpoint import normalise_base_url
from aegis_tui.errors import ModelUnavailable

SCRIPTED_OWNER = "aegis-scripted"
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class EndpointFound:
    """What answers at a base URL."""

    base_url: str
    """In the one form that is stored: lower-case host, ending in `/v1`."""
    models: tuple[str, ...]
    scripted: bool
    """True when it is the scripted server, which is labelled as such everywhere."""


async def probe_endpoint(base_url: str) -> EndpointFound:
    """Check the address first, then ask for the models.

    Raises:
        Refused: Outside loopback and private ranges; no byte was sent there.
        ModelUnavailable: Nothing answers, or not as an OpenAI-compatible server does.
    """
    import httpx  # slow to import, and every hub imports this module

    url = normalise_base_url(base_url)
    await resolve_endpoint(url)
    hint = "start one: aegis-tui vllm start, or name another with --base-url"
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
            response = await client.get(f"{url}/models")
            response.raise_for_status()
            entries = response.json()["data"]
        names = tuple(str(entry["id"]) for entry in entries)
        scripted = any(entry.get("owned_by") == SCRIPTED_OWNER for entry in entries)
    except httpx.HTTPStatusError as error:
        raise ModelUnavailable(f"{url} answers {error.response.status_code} to GET /models", hint) from error
    except httpx.HTTPError as error:
        raise ModelUnavailable(f"no model server answers at {url}: {type(error).__name__}", hint) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"{url} does not list its models as OpenAI does", hint) from error
    return EndpointFound(url, names, scripted)

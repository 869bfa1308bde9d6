"""The model gateway as programs see it: the variables that lead them to it, and how to wait until it serves them.

Light, as `sdk.quick` is: commands import it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aegis_tui.sdk.discovery import WorkspacePaths, find_process
from aegis_tui.sdk.quick import open_connection

EGRESS_NAME = "egress.sock"
"""The name of the socket on which the gateway's process connects instances with listed addresses (SEC-4)."""

WAIT_S = 15.0
"""How long a program waits for a gateway that is being started, in seconds."""

BASE_URLS: Mapping[str, str] = {
    "OPENAI_BASE_URL": "/v1",
    "OPENAI_API_BASE": "/v1",
    "ANTHROPIC_BASE_URL": "",
    "GOOGLE_GEMINI_BASE_URL": "",
}
"""Variable -> what follows the gateway's URL in it (contract 10)."""

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GEMINI_API_KEY")
"""The variables in which programs look for the key; the instance's token is the key."""

REPLACED_KEYS = ("ANTHROPIC_API_KEY", "GOOGLE_API_KEY")
"""Variables that programs prefer to those of `KEYS`: a person's own key in one of them would go to the gateway."""

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_NO_PROXY = ("no_proxy", "NO_PROXY")
_LOCAL = "127.0.0.1,localhost"
_ANSWER_S = 2.0
_ASKED_S = 10.0
"""The gateway may have to ask model servers first, each of which has 3 s."""
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class GatewayFound:
    """The result of waiting for the gateway."""

    url: str | None
    """Its address, without a path; None if there is none."""
    problem: str = ""
    """Why there is none, or why it can serve no call; empty if it works."""


def base_urls(url: str) -> dict[str, str]:
    """Return the variables (name -> value) by which programs of every API of the gateway find it (contract 10).

    Args:
        url: The gateway's address, without a path and without a slash at its end.
    """
    return {name: url + path for name, path in BASE_URLS.items()}


def model_environment(environ: Mapping[str, str], url: str, token: str) -> dict[str, str]:
    """Return a copy of an environment in which a program of any dialect calls models through the gateway.

    Variables with a person's own key (`REPLACED_KEYS`) are left out. A proxy that the environment names is told to
    leave local addresses alone, because it would get the token.

    Args:
        environ: The environment to start from.
        url: The gateway's address, without a path.
        token: The instance's token. The result holds it: give it to the program alone.
    """
    kept = {name: value for name, value in environ.items() if name not in REPLACED_KEYS}
    if any(name.lower() in _PROXIES for name in environ):
        before = next((environ[name] for name in _NO_PROXY if environ.get(name)), "")
        kept |= dict.fromkeys(_NO_PROXY, f"{before},{_LOCAL}" if before else _LOCAL)
    return {**kept, **base_urls(url), **dict.fromkeys(KEYS, token)}


def ask_gateway(paths: WorkspacePaths, token: str, target: str) -> dict[str, Any] | None:
    """Return the JSON object with which the workspace's gateway answers a GET request; blocking, up to 10 s.

    None if no gateway answers, it refuses the token or the path, or the answer is something else.

    Args:
        paths: The workspace.
        token: The person's token.
        target: The path, with a query if there is one.
    """
    from http.client import HTTPException

    connection = open_connection(f"unix:{paths.gateway_socket}", _ASKED_S)
    try:
        connection.request("GET", target, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        fields = json.loads(answer.read()) if answer.status == 200 else None
        return fields if isinstance(fields, dict) else None
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()


def wait_for_gateway(paths: WorkspacePaths, token: str, *, timeout_s: float = WAIT_S) -> GatewayFound:
    """Wait until the workspace's gateway serves the instance with this token; blocking.

    Returns at once if the hub says that its gateway cannot start.

    Args:
        paths: The workspace's folders.
        token: The instance's token.
        timeout_s: How long to wait, in seconds.

    Returns:
        The gateway's address, or why there is none, also after that time.
    """
    end = time.monotonic() + timeout_s
    while True:
        address = find_process(paths)
        if address is not None:
            problem = address.gateway_problem or ""
            if address.gateway_url and address.gateway_socket and _knows(address.gateway_socket, token):
                return GatewayFound(address.gateway_url, problem)
            if problem and not address.gateway_url:
                return GatewayFound(None, problem)
        if time.monotonic() > end:
            return GatewayFound(None, f"it does not serve this agent after {timeout_s:g} s")
        time.sleep(_POLL_S)


def _knows(socket: str, token: str) -> bool:
    """Return whether the gateway at a unix socket accepts the token; False if it does not answer within 2 s.

    The request costs it nothing: no model server is asked.
    """
    from http.client import HTTPException

    connection = open_connection(f"unix:{socket}", _ANSWER_S)
    try:
        connection.request("GET", "/v1/usage", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()

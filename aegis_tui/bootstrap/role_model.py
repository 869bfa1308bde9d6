"""Opens the model of the consultant and the mentor, through the workspace's gateway (ROLE-5, ROLE-11)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aegis_tui.adapters.llm.openai import OpenAIChat
from aegis_tui.domain.role_file import Role
from aegis_tui.errors import ModelUnavailable
from aegis_tui.ports.llm import ChatModel
from aegis_tui.sdk.discovery import WorkspacePaths
from aegis_tui.sdk.private_file import load_record


@asynccontextmanager
async def model_of(role: Role, paths: WorkspacePaths, wanted: str | None) -> AsyncIterator[tuple[ChatModel, str]]:
    """Yield a client of the gateway, and the name of the model: the role's, else `wanted`, else the first one served.

    The person's token, by which the gateway knows the caller, is read from `hub.json`.

    Raises:
        ModelUnavailable: No model is named, and the server does not answer or serves none.
        ModelError: The server refuses to list its models.
    """
    token = str(load_record(paths.hub_json).get("token", ""))
    model = OpenAIChat(f"http+unix:{paths.gateway_socket}", api_key=token)
    try:
        name = role.model or wanted or next(iter(await model.list_models()), None)
        if name is None:
            raise ModelUnavailable("the model server serves no model", "load a model on the server")
        yield model, name
    finally:
        await model.close()

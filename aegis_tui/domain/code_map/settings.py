"""The settings of a person for the code map."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MapSettings(BaseModel):
    """What a model may write for the code map: the table `[map]` in the user file."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    tag_model: str | None = Field(None, min_length=1)
    """A cheap model that describes, in one line each, definitions without documentation, while the hub has nothing to
    do. It gets their code, without what looks like a secret. When unset, no model is asked."""
    tag_requests_per_hour: int = Field(30, ge=1)
    """How often `map.tag_model` is asked in each hour of the clock at most, in each workspace; a request has up to 8
    definitions."""
    tag_tokens_per_day: int = Field(200_000, ge=1)
    """How many tokens these requests may use in 24 hours, in each workspace, prompts and replies together."""

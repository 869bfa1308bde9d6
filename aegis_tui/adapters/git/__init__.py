"""Git by its own program: the only place that runs `git` or imports GitPython."""

from aegis_tui.adapters.git.discovery import workspace_key
from aegis_tui.adapters.git.environment import agent_git_environment
from aegis_tui.adapters.git.repository import GitRepository, open_repository

__all__ = ["GitRepository", "agent_git_environment", "open_repository", "workspace_key"]

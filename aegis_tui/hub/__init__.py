"""The background process that owns a workspace's live state."""

"""Rust: `cargo test` of the root crate or workspace, or of the crates below it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from aegis_tui.domain.qa.detectors.base import Read, folders_of

_MANIFEST = "Cargo.toml"


class CargoDetector:
    """Finds the commands of the root crate or workspace; where there is none, of every crate below it."""

    name = "cargo"

    def wants(self, path: str) -> bool:
        """Return whether the path is `Cargo.toml` of the root."""
        return path == _MANIFEST

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield `cargo test` if the root has a Cargo.toml, which reaches the members of a workspace.

        Else one such command for each crate below the root, at most four (see `folders_of`). Whether there are tests is
        not looked at.
        """
        folders = [""] if _MANIFEST in files else folders_of(files, _MANIFEST)
        for folder in folders:
            yield f"cargo test --manifest-path {folder}{_MANIFEST}" if folder else "cargo test"

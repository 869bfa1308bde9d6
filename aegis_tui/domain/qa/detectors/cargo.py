"""Rust: `cargo test` of the root crate or workspace, or of the crates below it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from aegis_tui.domain.qa.detectors.base import Read, folders_of

_MANIFEST = "Cargo.toml"


class CargoDetector:
    """Finds the commands of the root crate or workspace; where there is none, of every crate below it."""

    name = "cargo"

    def wants(self, path: str) -> bool:
        """True for `Cargo.toml` of the root."""
        return path == _MANIFEST

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield a test of the root, which reaches the members of a workspace; else one of each crate below it."""
        folders = [""] if _MANIFEST in files else folders_of(files, _MANIFEST)
        for folder in folders:
            yield f"cargo test --manifest-path {folder}{_MANIFEST}" if folder else "cargo test"

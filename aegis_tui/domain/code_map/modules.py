"""Which file of the repository an import names, for each language."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from aegis_tui.domain.code_map.facts import Import
from aegis_tui.domain.code_map.language import language_of

_SCRIPT_ENDS = ("", ".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs", ".cjs", "/index.ts", "/index.tsx", "/index.js")
_INIT = ("__init__.py", "__init__.pyi")


class ModuleIndex:
    """The files of a view by the names under which others import them."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = frozenset(paths)
        self._folders: dict[str, list[str]] = {}
        self._ends: dict[str, list[str]] = {}
        self._packages: dict[str, tuple[str, ...]] = {"": ()}
        ordered = sorted(self._paths)
        for path in ordered:
            self._folders.setdefault(path.rpartition("/")[0], []).append(path)
        self._python = {self.python_name(path): path for path in reversed(ordered) if language_of(path) == "python"}

    def python_name(self, path: str) -> str:
        """Return the dotted name of a Python file, counted from the folder that holds its outermost package.

        A package is a folder with an `__init__` file; `src/a/b/c.py` is `a.b.c` if `a` and `b` are packages, and
        `src/a/b/__init__.py` is `a.b`. Empty for an `__init__` file in the top folder.
        """
        folder, _, file = path.rpartition("/")
        packages = self._packages_of(folder)
        return ".".join(packages if file in _INIT else (*packages, file.rpartition(".")[0]))

    def _packages_of(self, folder: str) -> tuple[str, ...]:
        """Return the names of the packages that a folder is in, the outermost first; empty if it is no package."""
        known = self._packages.get(folder)
        if known is None:
            above, _, name = folder.rpartition("/")
            is_package = any(f"{folder}/{init}" in self._paths for init in _INIT)
            known = self._packages[folder] = (*self._packages_of(above), name) if is_package else ()
        return known

    def files(self, path: str, item: Import) -> list[str]:
        """Return the files of this index that an import in the file `path` names; empty if there are none.

        At most one for most languages; for Go all Go files of the package's folder, for Rust perhaps both forms of a
        module. Always empty for other languages, and for JavaScript modules that are not named by a relative path. In
        Python it is the module's file, also if `item.name` is a submodule (see `submodule`).

        Args:
            path: The file with the import; its suffix decides on the language.
            item: The import.
        """
        language = language_of(path)
        if language == "python":
            file = self.python(path, item.module, item.level)
            return [] if file is None else [file]
        if language in ("javascript", "typescript", "tsx"):
            return self._relative(path, item.module, _SCRIPT_ENDS)[:1]
        if language in ("c", "cpp"):
            return (self._relative(path, f"./{item.module}", ("",)) or self._ending(item.module))[:1]
        if language == "go":
            return [file for file in self._folder_like(item.module) if file.endswith(".go")]
        if language == "java":
            return self._ending(f"{item.module.replace('.', '/')}.java")[:1]
        if language == "rust":
            return self._rust(path, item.module)
        return []

    def imported_files(self, path: str, items: Iterable[Import]) -> set[str]:
        """Return the files that imports in the file `path` name, without itself.

        For Python these include submodules that are imported by name from their package.
        """
        imported: set[str] = set()
        for item in items:
            files = self.files(path, item)
            imported.update(files)
            if item.name and files and (inner := self.submodule(files[0], item.name)) is not None:
                imported.add(inner)
        return imported - {path}

    def python(self, path: str, module: str, level: int) -> str | None:
        """Return the file of a Python module as imported in the file `path`; None if it is not in this index.

        An absolute name is looked up from the outermost packages, then next to the importing file.

        Args:
            path: The file with the import.
            module: The dotted name, without leading dots; may be empty if `level` is not 0.
            level: How many dots stand before it.
        """
        if level:
            folder = posixpath.dirname(path)
            for _ in range(level - 1):
                folder = posixpath.dirname(folder)
            return self._python_file(posixpath.join(folder, module.replace(".", "/")) if module else folder)
        if (file := self._python.get(module)) is not None:
            return file
        return self._python_file(posixpath.join(posixpath.dirname(path), module.replace(".", "/")))

    def submodule(self, path: str, name: str) -> str | None:
        """Return the file of the module or package `name` in the package whose `__init__` file is `path`.

        None if there is no such module, or if `path` is not an `__init__` file.
        """
        folder, file = posixpath.split(path)
        return self._python_file(posixpath.join(folder, name)) if file in _INIT else None

    def folder(self, folder: str) -> list[str]:
        """Return the files of this index that lie directly in a folder, sorted; empty for an unknown folder.

        Args:
            folder: Its path without a final slash; the empty string for the top folder.
        """
        return self._folders.get(folder, [])

    def beside(self, path: str) -> list[str]:
        """Return the other files in the folder of a file that have its name with another suffix, as `a.c` for `a.h`.

        Sorted.
        """
        stem = path.rpartition(".")[0]
        return [
            file for file in self.folder(posixpath.dirname(path)) if file.rpartition(".")[0] == stem != path != file
        ]

    def _python_file(self, stem: str) -> str | None:
        ends = (f"{stem}.py", f"{stem}.pyi", *(posixpath.join(stem, init) for init in _INIT))
        return next((end for end in ends if end in self._paths), None)

    def _relative(self, path: str, module: str, ends: Iterable[str]) -> list[str]:
        if not module.startswith("."):
            return []
        stem = posixpath.normpath(posixpath.join(posixpath.dirname(path), module))
        stems = (stem, stem.removesuffix(".js"))  # TypeScript names the file that it becomes
        return [f"{one}{end}" for one in stems for end in ends if f"{one}{end}" in self._paths]

    def _ending(self, end: str) -> list[str]:
        if not self._ends:
            for path in sorted(self._paths):
                self._ends.setdefault(posixpath.basename(path), []).append(path)
        return [path for path in self._ends.get(posixpath.basename(end), ()) if f"/{path}".endswith(f"/{end}")]

    def _folder_like(self, module: str) -> list[str]:
        """Return the files of the folder whose path is the longest possible end of a Go import path.

        Empty if there is none.
        """
        parts = module.split("/")
        for at in range(len(parts)):
            if files := self._folders.get("/".join(parts[at:])):
                return files
        return []

    def _rust(self, path: str, module: str) -> list[str]:
        parts = [part for part in module.split("::") if part]
        folder = posixpath.dirname(path)
        if parts[:1] == ["crate"]:
            while folder and f"{folder}/lib.rs" not in self._paths and f"{folder}/main.rs" not in self._paths:
                folder = posixpath.dirname(folder)
        elif parts[:1] == ["super"]:
            folder = folder if posixpath.basename(path) != "mod.rs" else posixpath.dirname(folder)
        elif parts[:1] != ["self"]:
            return []
        for length in range(len(parts), 1, -1):
            stem = posixpath.join(folder, *parts[1:length])
            if file := [end for end in (f"{stem}.rs", f"{stem}/mod.rs") if end in self._paths]:
                return file
        return []

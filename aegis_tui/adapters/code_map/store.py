"""The code map in one SQLite file per workspace, which all worktrees and processes of the workspace share.

What is known of a content is written in one transaction: its symbols, its relations and its vectors. A process that is
killed while it writes therefore leaves a file in which the three agree. All but the shadow tags can be derived again,
so a damaged file is deleted and begun anew; the tags are carried over (`shadow_rows`).

It is not in WAL mode: SQLite before 3.51.3 can corrupt a write-ahead log that several connections write. Nor does it
wait for the disk: what a process has written survives the end of the process, but may not survive the end of the
machine. So a file that was begun before the machine's last start is begun anew.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from aegis_tui.adapters.code_map.boot import boot_id
from aegis_tui.adapters.code_map.rows import insert, links_of, located, remove, whole_facts
from aegis_tui.adapters.code_map.schema import FORMAT, INDEXES, SCHEMA, SLOTS, VIEW, create_index
from aegis_tui.adapters.code_map.shadow_rows import CarriedTags, create_tag_tables, keep_tags, tagged_symbols, tags_of
from aegis_tui.adapters.code_map.statement import quoted, result_code, transaction
from aegis_tui.adapters.code_map.verify import disagreements
from aegis_tui.domain.code_map.entry import Entry
from aegis_tui.domain.code_map.facts import FileFacts
from aegis_tui.domain.code_map.shadow import Tags
from aegis_tui.domain.code_map.vector import nearest, vector_of
from aegis_tui.errors import StoreError
from aegis_tui.ports.code_map import BlobKey, FileLinks, Located, StoreStatus

T = TypeVar("T")

_WAIT_S = 20.0
_SPARE_BLOBS: Final = 5_000
"""So many contents that are in no view are kept, for other worktrees and for what a person returns to."""

_DAMAGE = frozenset([sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT])
_TOKEN = re.compile(r"[\w$]+")
_COLUMNS = "s.id, s.name, s.kind, s.first, s.line, s.last, s.signature, s.doc, s.bases, s.returns"


class SqliteMapStore:
    """Implements `MapStore`. One connection, used by one thread at a time.

    Every method but `close` raises `StoreError` if the store is closed, or cannot be read or written; `MapDamaged`, a
    kind of it, if `begin_anew` helps.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file (mode 0600); its folder is created too.

        A file that is damaged, has the form of another version, or was begun before the last start of the machine is
        replaced by an empty one; `rebuilt` says why.

        Raises:
            StoreError: It cannot be opened, created or replaced.
        """
        self.path = path
        self._rebuilt: str | None = None
        self._view: dict[str, BlobKey] = {}
        self._kept = CarriedTags()
        self._connection: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = self._open()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the code map {path} cannot be opened: {error}", f"delete {path}") from error

    @property
    def rebuilt(self) -> str | None:
        """Why the file was begun anew; None if it was not."""
        return self._rebuilt

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        is_new = not self.path.exists() or not self.path.stat().st_size
        try:
            return self._connect()
        except sqlite3.Error as error:
            if is_new or result_code(error) not in _DAMAGE:
                raise
            self._begin_anew(f"it was damaged ({error})")
        except _NotUsable as error:
            self._begin_anew(str(error))
        return self._connect()

    def _begin_anew(self, reason: str, *, keeps_tags: bool = True) -> None:
        self.close()
        self._rebuilt, self._view = reason, {}
        self._kept = keep_tags(self.path) if keeps_tags else CarriedTags()
        for name in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            name.unlink(missing_ok=True)

    def _connect(self) -> sqlite3.Connection:
        """Open the file and create what is missing in it; return the connection, which the caller closes.

        Raises:
            sqlite3.Error: It is damaged, or cannot be opened.
            OSError: It cannot be created.
            _NotUsable: Its rows have another form, or may not all have reached the disk.
        """
        self.path.touch(mode=0o600)
        connection = sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            connection.executescript("PRAGMA temp_store=MEMORY; PRAGMA synchronous=OFF; PRAGMA cache_size=-4000;")
            with transaction(connection):
                _create_or_check(connection)
                create_tag_tables(connection, self._kept)
            self._kept = CarriedTags()
            connection.executescript(VIEW)
        except BaseException:
            connection.close()
            raise
        return connection

    def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a job on the connection returns; `SqliteTags` uses it too."""
        if self._connection is None:
            raise StoreError("the code map is closed", "")
        try:
            return job(self._connection)
        except sqlite3.Error as error:
            if result_code(error) not in _DAMAGE:
                raise StoreError(f"the code map {self.path} cannot be used: {error}", self._access_hint) from error
            raise MapDamaged(f"the code map {self.path} is damaged: {error}", "aegis-tui map build") from error
        except OSError as error:
            raise StoreError(f"the code map {self.path} cannot be used: {error}", self._access_hint) from error
        except ValueError as error:
            raise MapDamaged(f"the code map {self.path} is damaged: {error}", "aegis-tui map build") from error

    @property
    def _access_hint(self) -> str:
        return f"check the free space and the permissions of {self.path.parent}"

    def begin_anew(self, reason: str, *, keeps_tags: bool = True) -> None:
        """Delete the file and create one without contents; the view is empty then.

        Args:
            reason: For `rebuilt`.
            keeps_tags: Carry the shadow tags over, as far as they can be read.

        Raises:
            StoreError: The file cannot be deleted or created.
        """
        try:
            self._begin_anew(reason, keeps_tags=keeps_tags)
            self._connection = self._connect()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the code map {self.path} cannot be rebuilt: {error}", self._access_hint) from error

    def missing(self, keys: Sequence[BlobKey]) -> list[BlobKey]:
        """Return those of the keys whose content is not stored, each once, in order.

        Raises `StoreError` if the store cannot be read.
        """

        def look(connection: sqlite3.Connection) -> list[BlobKey]:
            if len(keys) < 64:
                statement = "SELECT 1 FROM blob WHERE oid = ? AND language = ?"
                return [key for key in dict.fromkeys(keys) if not connection.execute(statement, key).fetchone()]
            known = set(connection.execute("SELECT oid, language FROM blob"))
            return [key for key in dict.fromkeys(keys) if tuple(key) not in known]

        return self.run(look)

    def put(self, entries: Sequence[tuple[BlobKey, Entry]]) -> None:
        """Store entries in one transaction: all of them, or none if it fails.

        What is stored already is left as it is.

        Raises:
            StoreError: They cannot be written (`MapDamaged` if the file must be begun anew); nothing was stored.
        """

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                changed = [insert(connection, key, entry) for key, entry in entries]
                if any(changed):
                    connection.execute("UPDATE about SET value = value + 1 WHERE name = 'seq'")

        self.run(write)

    def set_view(self, view: Mapping[str, BlobKey]) -> None:
        """Set the view: the files that later questions on this connection are about, and the content of each.

        If the file holds over 5,000 contents more than twice as many as the view has, the oldest that are not in the
        view are deleted, until about 2,500 of them are left.

        Args:
            view: Path -> key of the content that the file has; a file whose content is not stored is left out.

        Raises:
            StoreError: The store cannot be read or written; `MapDamaged` if the file must be begun anew.
        """

        def write(connection: sqlite3.Connection) -> None:
            for (path,) in connection.execute("SELECT path FROM temp.view WHERE blob NOT IN (SELECT id FROM blob)"):
                self._view.pop(path, None)
            gone = [(path,) for path in self._view if path not in view]
            new = [(path, *key) for path, key in view.items() if self._view.get(path) != key]
            connection.executemany("DELETE FROM temp.view WHERE path = ?", gone)
            insert_one = "INSERT OR REPLACE INTO temp.view SELECT ?, id FROM blob WHERE oid = ? AND language = ?"
            connection.executemany(insert_one, new)
            self._view = dict(view)
            stored = connection.execute("SELECT count(*) FROM blob").fetchone()[0]
            if stored > 2 * len(view) + _SPARE_BLOBS:
                self._prune(connection, stored - len(view) - _SPARE_BLOBS // 2)

        self.run(write)

    def _prune(self, connection: sqlite3.Connection, count: int) -> None:
        """Delete the `count` oldest contents that are not in the view.

        Other worktrees derive them again if they need them.

        Raises:
            ValueError: The rows of one are damaged; nothing was deleted.
            sqlite3.Error: The file cannot be written or is damaged; nothing was deleted.
        """
        statement = "SELECT id FROM blob WHERE id NOT IN (SELECT blob FROM temp.view) ORDER BY id LIMIT ?"
        with transaction(connection):
            for (blob,) in connection.execute(statement, (count,)).fetchall():
                remove(connection, blob)
            connection.execute("UPDATE about SET value = value + 1 WHERE name = 'seq'")

    def paths(self) -> list[str]:
        """Return the paths of the files set by `set_view` whose content is stored, sorted.

        Raises `StoreError` if the store cannot be read.
        """
        return self.run(
            lambda connection: [row[0] for row in connection.execute("SELECT path FROM temp.view ORDER BY path")]
        )

    def named(self, name: str) -> list[Located]:
        """Return the symbols with a name in the files set by `set_view`, in order of path and line; empty without any.

        Args:
            name: A last name such as `parse`; or a dotted one: if no symbol has it as its whole name, those whose name
                ends with it are returned.

        Raises:
            StoreError: The store cannot be read.
        """
        outer, _, last = name.rpartition(".")

        def look(connection: sqlite3.Connection, condition: str, *values: str | int) -> list[Located]:
            statement = (
                f"SELECT v.path, {_COLUMNS} FROM symbol s JOIN temp.view v ON v.blob = s.id / {SLOTS} "
                f"WHERE s.last_name = ? {condition} ORDER BY v.path, s.id"
            )
            return [located(row) for row in connection.execute(statement, (last, *values))]

        if not outer:
            return self.run(lambda connection: look(connection, ""))
        return self.run(
            lambda connection: (
                look(connection, "AND s.name = ?", name)
                or look(connection, "AND substr(s.name, ?) = ?", -len(name) - 1, f".{name}")
            )
        )

    def facts(self, path: str) -> FileFacts | None:
        """Return the facts of a file; None if `set_view` did not set it, or its content is not stored.

        Raises `StoreError` if the store cannot be read.
        """

        def look(connection: sqlite3.Connection) -> FileFacts | None:
            row = connection.execute("SELECT blob FROM temp.view WHERE path = ?", (path,)).fetchone()
            return None if row is None else whole_facts(connection, row[0])

        return self.run(look)

    def links(self) -> Iterator[FileLinks]:
        """Yield the files set by `set_view` whose content is stored, by path, each with its lines and imports.

        Raises `StoreError` if the store cannot be read.
        """
        return iter(self.run(lambda connection: list(links_of(connection))))

    def mentioning(self, name: str) -> list[str]:
        """Return the paths of the files set by `set_view` that call, import or derive from a name, sorted.

        Letter case is ignored, and only the last dotted part of what is called counts. Empty for a name that is not one
        word, such as a dotted one. Raises `StoreError` if the store cannot be read.
        """
        statement = (
            "SELECT v.path FROM mention m JOIN temp.view v ON v.blob = m.rowid WHERE mention MATCH ? ORDER BY v.path"
        )
        if not _TOKEN.fullmatch(name):
            return []
        return self.run(lambda connection: [row[0] for row in connection.execute(statement, (quoted([name]),))])

    def matching(self, words: Sequence[str], *, count: int) -> list[Located]:
        """Return up to `count` symbols that have some of the words in name, signature or documentation, best first.

        Words are compared by their stems (`running` finds `run`); one in the name counts four times. Only symbols in
        the files set by `set_view`; empty for no words. Raises `StoreError` if the store cannot be read.
        """
        statement = (
            f"SELECT v.path, {_COLUMNS} FROM meaning m JOIN symbol s ON s.id = m.rowid "
            f"JOIN temp.view v ON v.blob = m.rowid / {SLOTS} WHERE meaning MATCH ? "
            "ORDER BY bm25(meaning, 4.0, 1.0), v.path LIMIT ?"
        )
        return self.run(
            lambda connection: (
                [located(row) for row in connection.execute(statement, (quoted(words), count))] if words else []
            )
        )

    def alike(self, words: Sequence[str], *, count: int) -> list[Located]:
        """Return up to `count` symbols whose words are spelt like the given ones, nearest first.

        Two words are alike if they have groups of three letters in common; a symbol that has too few is left out (a
        cosine of the groups below 0.2). Only symbols in the files set by `set_view`; empty for no words. Raises
        `StoreError` if the store cannot be read.
        """
        every = f"SELECT s.id, s.vector FROM symbol s WHERE s.id / {SLOTS} IN (SELECT blob FROM temp.view)"
        one = (
            f"SELECT v.path, {_COLUMNS} FROM symbol s JOIN temp.view v ON v.blob = s.id / {SLOTS} WHERE s.id = ? "
            "ORDER BY v.path"
        )

        def look(connection: sqlite3.Connection) -> list[Located]:
            keys = nearest(vector_of(words), connection.execute(every), count=count)
            return [located(row) for key in keys for row in connection.execute(one, (key,))][:count]

        return self.run(look) if words else []

    def status(self) -> StoreStatus:
        """Return counts and size of what the file holds, for all worktrees together.

        Raises:
            StoreError: The store cannot be read, or its file is gone.
        """

        def look(connection: sqlite3.Connection) -> StoreStatus:
            seq = connection.execute("SELECT value FROM about WHERE name = 'seq'").fetchone()[0]
            blobs, symbols = connection.execute("SELECT count(*), coalesce(sum(symbols), 0) FROM blob").fetchone()
            tags = connection.execute("SELECT count(*) FROM shadow WHERE text != ''").fetchone()[0]
            return StoreStatus(int(seq), blobs, symbols, self.path.stat().st_size, tags)

        return self.run(look)

    def tagged(self, words: Sequence[str], *, count: int) -> list[Located]:
        """Return up to `count` symbols of the view whose shadow tag has some of the words, those with most first.

        Raises `StoreError` if the store cannot be read.
        """
        return self.run(lambda connection: tagged_symbols(connection, words, count))

    def tags(self, oid: str) -> Tags:
        """Return the shadow tags of a content; raises `StoreError` if the store cannot be read."""
        return self.run(lambda connection: tags_of(connection, oid))

    def disagreements(self) -> list[str]:
        """Return in words, at most 20 times, where the tables of the file contradict each other; empty if they agree.

        Reads everything, and changes nothing. Raises `StoreError` if the store cannot be read.
        """
        return self.run(disagreements)


class MapDamaged(StoreError):
    """The file is damaged; `begin_anew` repairs that."""


class _NotUsable(Exception):
    """The file must not be used; the message says why."""


def _create_or_check(connection: sqlite3.Connection) -> None:
    """Create the tables in a new file, or check those of an old one; call it within a transaction.

    Raises:
        _NotUsable: The rows have another form, or may not all have reached the disk, as the machine was started since.
        sqlite3.Error: The file is damaged, or cannot be written.
    """
    about = {"format": FORMAT, "boot": boot_id()}
    if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'about'").fetchone()[0]:
        for statement in [*SCHEMA.split(";\n"), *map(create_index, INDEXES)]:
            connection.execute(statement)
        connection.executemany("INSERT INTO about VALUES(?, ?)", [*about.items(), ("seq", "0")])
    stored = dict(connection.execute("SELECT name, value FROM about"))
    if stored.get("format") != FORMAT:
        raise _NotUsable("it was written by another version of this program")
    if stored.get("boot") != about["boot"]:
        raise _NotUsable("this machine was restarted after it was written")

"""The app of the dashboard. State comes from the hub into one store; every change is a command to the hub."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual._context import active_message_pump  # the node at work when an exception gets as far as the app
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.filter import Monochrome
from textual.screen import ModalScreen, Screen
from textual.worker import WorkerFailed, active_worker

from aegis_tui.errors import AegisError, UsageError
from aegis_tui.tui.board import DEFAULT_LAYOUT, load_layout
from aegis_tui.tui.mishap import Guarded, HasRoom, Mishaps, words_of
from aegis_tui.tui.opening import Curtain, Opening
from aegis_tui.tui.plain import PlainFilter, is_plain
from aegis_tui.tui.resources import data_files
from aegis_tui.tui.theme import ANSI_DARK, ANSI_LIGHT, DEFAULT_THEME, build_theme, load_theme

if TYPE_CHECKING:
    from aegis_tui.tui.desk import Desk
    from aegis_tui.tui.palette import ActionProvider
    from aegis_tui.tui.parts import GoalOffer, Parts
    from aegis_tui.tui.screens.dashboard import DashboardScreen

METERS_S = 2.0
RESTART_S = 1.0
"""Pause before following the hub again after a failure."""
THEME_CHECK_S = 1.0
NOTE_S = 20.0
PROBE_S = 15.0
REVIVE_S = 5.0
"""How long to wait, after the hub has crashed during a run, for another program to start it."""


def _actions() -> type[ActionProvider]:
    """Import and return the provider of the command palette; called by Textual when the palette is opened."""
    from aegis_tui.tui.palette import ActionProvider

    return ActionProvider


class AegisApp(Guarded, App[int]):
    """The app that shows the dashboard of one workspace.

    Args:
        parts: What it needs from outside; or an `Opening` that loads that after a first frame, the curtain, is drawn.
        theme: Name of a theme file; None for the one of the settings, the last choice, or the default.
        layout: Name of a layout file; None likewise.
        offer: A goal with which the goal dialog opens; None opens none.

    Raises:
        UsageError: There is no such theme or layout, the file of one is wrong, or `[keys]` in the settings of `parts`.
    """

    CSS_PATH = "app.tcss"
    TITLE = "aegis-tui"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar = {_actions}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("colon,ctrl+p", "command_palette", "Commands", id="app.palette", tooltip="Find any action by name."),
        Binding("T", "next_theme", "Theme", id="app.theme", tooltip="Change to the next theme."),
        Binding("ctrl+q", "close", "Leave", id="app.leave", show=False, tooltip="Exit aegis-tui; agents continue."),
    ]

    def __init__(
        self,
        parts: Parts | Opening,
        *,
        theme: str | None = None,
        layout: str | None = None,
        offer: GoalOffer | None = None,
    ) -> None:
        super().__init__()
        self.mishaps = Mishaps()
        self.refusal: AegisError | None = None
        """The error because of which the parts could not be loaded; it has ended the session."""
        self._opening = parts if isinstance(parts, Opening) else None
        self._curtain: Curtain | None = None
        self._early: list[Key] = []
        self._notes: set[str] = set()
        self._choices = parts.choices
        if is_plain(parts.environ):
            self._filters = [item for item in self._filters if not isinstance(item, Monochrome)]
            self._filters.append(PlainFilter())
        self.ansi_theme_dark, self.ansi_theme_light = ANSI_DARK, ANSI_LIGHT
        self._offer = offer
        self._theme_files = data_files("themes", parts.environ)
        self._theme_seen: tuple[Path, int] | None = None
        named = parts if isinstance(parts, Opening) else parts.settings
        layouts = data_files("layouts", parts.environ)
        self._layout = self._chosen("layout", layout or named.layout, layouts, DEFAULT_LAYOUT)
        load_layout(layouts[self._layout])  # a wrong one is refused here, before anything is drawn
        self._register_themes(self._chosen("theme", theme or named.theme, self._theme_files, DEFAULT_THEME))
        if isinstance(parts, Opening):
            self._curtain = Curtain(layouts[self._layout])
        else:
            self._take(parts)

    desk: Desk
    """What every screen works with; set once the parts are loaded."""

    def _take(self, parts: Parts) -> None:
        from aegis_tui.tui.desk import Desk

        self.desk = Desk(self, parts)
        if wanted := parts.settings.keys:
            from aegis_tui.tui.screens.keymap import read_keymap

            keymap, self.desk.keys = read_keymap(wanted)
            self.set_keymap(keymap)
        if self._offer is not None:
            self.desk.offer = self._offer

    def _chosen(self, kind: str, named: str | None, files: Mapping[str, Path], default: str) -> str:
        """Return `named`, else what the person chose earlier if there is still a file for it, else `default`.

        Raises:
            UsageError: There is no such `kind` (theme or layout): `files`, by name, lacks `named` or `default`.
        """
        if named:
            return _known(kind, named, files)
        kept = self._choices.get(kind)
        return kept if kept is not None and kept in files else _known(kind, default, files)

    def _register_themes(self, chosen: str) -> None:
        builtin = list(self.available_themes)
        for name, path in self._theme_files.items():
            with suppress(AegisError):
                self.register_theme(build_theme(name, load_theme(path)))
        self.register_theme(build_theme(chosen, load_theme(self._theme_files[chosen])))
        self.theme = chosen
        for name in builtin:
            if name not in self._theme_files:
                self.unregister_theme(name)

    def compose(self) -> ComposeResult:
        """Yield the curtain, which is the first frame, shown until the dashboard is there; without one, nothing."""
        if self._curtain is not None:
            yield self._curtain

    def on_mount(self) -> None:
        """Begin to watch the theme file, and open the dashboard; with an `Opening`, `post_display_hook` does that."""
        self.set_interval(THEME_CHECK_S, self._reload_theme)
        if self._opening is None:
            self._open_dashboard()

    def post_display_hook(self) -> None:
        """After the first frame, start to load what the `Opening` loads; called by Textual after each drawing."""
        if self._opening is not None and self._curtain is not None and self._curtain.rows:
            opening, self._opening = self._opening, None
            self.run_worker(self._raise_curtain(opening), group="opening")

    async def _raise_curtain(self, opening: Opening) -> None:
        """Load the parts in a thread and open the dashboard; an `AegisError` is kept as `refusal` and ends the app."""
        try:
            parts = await asyncio.to_thread(opening.load)
            self._take(parts)
        except AegisError as error:
            self.refusal = error
            self.exit(error.exit_code)
            return
        self._open_dashboard()

    def _open_dashboard(self) -> None:
        """Follow the hub and open the dashboard; start the readers of model server and panes after it is drawn."""
        from aegis_tui.tui.screens.dashboard import DashboardScreen

        self._curtain = None
        self.follow_hub()
        dashboard = DashboardScreen(self.desk, layout=self._layout)
        self.push_screen(dashboard)
        dashboard.call_after_refresh(self.call_later, self._begin)
        if self._offer is not None:
            dashboard.call_after_refresh(dashboard.action_new_goal, self._offer)
        elif (make := self.desk.parts.first_use) is not None:
            dashboard.call_after_refresh(dashboard.open_first_use, make)
        dashboard.call_after_refresh(self._press_early)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action is possible now, for Textual: before the dashboard is there, only `close` is."""
        return self._curtain is None or action == "close"

    def on_key(self, event: Key) -> None:
        """Remember a key pressed before the dashboard is there, to send it there later; afterwards, do nothing."""
        if self._curtain is not None:
            self._early.append(event)

    def _press_early(self) -> None:
        """Send the remembered keys to the dashboard."""
        early, self._early = self._early, []
        for event in early:
            self.post_message(Key(event.key, event.character))

    def _begin(self) -> None:
        """Start to read the model server's figures and, if the session has panes to show, the visible ones."""
        self.read_meters()
        if self.desk.watcher is not None:
            self.run_worker(self.desk.watcher.run(), group="hub")

    def survive(self, error: Exception, place: object) -> None:
        """Log a failure of `place`, and close it if it is a dialog without content.

        If it `HasRoom`, show the failure there; else in a message, unless one like it was shown just before.
        """
        if isinstance(place, HasRoom):
            place.fail(error)
        if isinstance(place, ModalScreen) and not list(place.query("Dialog > *").exclude("ToastRack")):
            self.call_later(place.dismiss, None)
        if self.mishaps.note(error, place) and not isinstance(place, HasRoom):
            words = f"{words_of(error)} ─ the dashboard continues; aegis-tui doctor --bundle FILE collects the details"
            self.desk.tell(words, title=f"an error in {type(place).__name__}", is_error=True)

    def _handle_exception(self, error: Exception) -> None:
        """Survive an exception that nothing has caught; called by Textual, which would end the session.

        The session ends all the same before the dashboard is there, and after too many failures. A failure of a closed
        screen is only logged.
        """
        place = active_message_pump.get(None)
        worker = active_worker.get(None)
        if isinstance(error, WorkerFailed) and worker is not None and self._is_gone(worker.node):
            logging.getLogger(__name__).info("a part of the screen failed while it was closed", exc_info=error)
            return
        is_open = self.screen_stack and self._curtain is None
        if not isinstance(error, Exception) or not is_open or self.mishaps.are_too_many:
            super()._handle_exception(error)
            return
        self.survive(error, place)

    def _is_gone(self, place: object) -> bool:
        """Return whether `place` is a screen that was closed, or whose widgets are removed as the session ends."""
        is_open = self.is_running and place in self.screen_stack
        return isinstance(place, Screen) and not (is_open and place.is_attached)

    @work(group="hub")
    async def follow_hub(self) -> None:
        """Apply the hub's feed to the store until the session ends; show an error, and begin again after 1 s."""
        while True:
            try:
                await self._follow_hub()
            except Exception as error:
                self.desk.store.stale(words_of(error))
                self.survive(error, self)
            await asyncio.sleep(RESTART_S)

    async def _follow_hub(self) -> None:
        """Apply each item of the hub's feed to the store; if the connection changes, show its note and `revive_hub`."""
        from aegis_tui.tui.feed import ConnectionState, EventBatch, HubSnapshot, Stale

        store = self.desk.store
        async with aclosing(self.desk.parts.hub.follow()) as items:  # type: ignore[type-var]  # an async generator
            async for item in items:
                match item:
                    case EventBatch(events):
                        store.apply(events)
                    case ConnectionState(is_up, seq, note):
                        self._tell(note)
                        was_up = store.is_connected
                        if not is_up and not store.was_connected:
                            await self._count_past()
                        store.connection(is_up=is_up, seq=seq)
                        if was_up is not is_up:
                            self.revive_hub()
                    case HubSnapshot(workspace, events):
                        store.load(workspace, events)
                    case Stale(reason):
                        store.stale(reason)

    def _tell(self, note: str) -> None:
        """Show a note about the hub's version, the first time only; do nothing if it is empty."""
        if note and note not in self._notes:
            self._notes.add(note)
            self.notify(note, title="another version", severity="warning", timeout=NOTE_S)

    async def _count_past(self) -> None:
        """Set `desk.past_runs`, for the message that no hub is running; if the runs cannot be read, keep it."""
        try:
            self.desk.past_runs = len(await asyncio.to_thread(self.desk.parts.history.runs))
        except AegisError:
            return
        except Exception as error:
            self.survive(error, self)

    @work(group="revive", exclusive=True)
    async def revive_hub(self) -> None:
        """If the hub has crashed during a run, start it again; show that it was, or the error.

        Wait `REVIVE_S` (5 s) first, in case another program starts it. If it has not crashed, do nothing.
        """
        store, hub = self.desk.store, self.desk.parts.hub
        if store.is_connected or not store.was_connected:
            return
        await asyncio.sleep(REVIVE_S)
        run = store.workspace.runs.current()
        if store.is_connected or run is None or not await hub.has_crashed():
            return
        try:
            await hub.start()
        except AegisError as error:
            self.desk.complain(error)
        else:
            self.desk.tell(f"it had ended during {run.run}", title="the hub was restarted")

    @work(group="hub")
    async def read_meters(self) -> None:
        """Put the model server's figures into the store every 2 s, for ever; with no figures and no run, probe it."""
        since_probe = PROBE_S
        state = self.desk.store
        await state.until(lambda: state.was_asked and not state.is_catching_up, deadline_s=METERS_S)
        while True:
            store = self.desk.store
            meters, usage = await self.desk.parts.hub.meters() if store.is_connected else (None, {})
            store.metered(meters or (meters if store.workspace.runs.current() else None), usage)
            if store.meters is None and since_probe >= PROBE_S and store.workspace.runs.current() is None:
                since_probe = 0.0
                await self._probe()
            await asyncio.sleep(METERS_S)
            since_probe += METERS_S

    async def _probe(self) -> None:
        """Ask the model server for its models; set `desk.endpoint` to the first and the URL, or the error, or empty."""
        offered = self._offer.options.get("base_url") if self._offer else None
        url = str(offered or self.desk.parts.settings.base_url)
        try:
            models = await self.desk.parts.probe(url)
            self.desk.endpoint = f"{models[0]} answers at {url}" if models else ""
        except AegisError as error:
            self.desk.endpoint = f"{error.message} ─ {error.hint}"
        self.desk.store.changed.publish(frozenset({("meters", "")}))

    def _reload_theme(self) -> None:
        """Read the file of the current theme again if it was changed; a wrong or missing file changes nothing."""
        path = self._theme_files.get(self.theme)
        if path is None:
            return
        with suppress(OSError, AegisError):
            seen = (path, path.stat().st_mtime_ns)
            if self._theme_seen is not None and self._theme_seen[0] == path and self._theme_seen != seen:
                self.register_theme(build_theme(self.theme, load_theme(path)))
                self._invalidate_css()
                self.refresh_css(animate=False)
            self._theme_seen = seen

    def action_close(self) -> None:
        """Close the app, from any screen; agents continue. If a run would end with it, as in the demo, ask first."""
        if self._curtain is not None:
            self.exit(0)
            return
        self.dashboard.action_close()

    def action_next_theme(self) -> None:
        """Change to the next theme by name, after the last one to the first, and remember it for later sessions."""
        names = sorted(self._theme_files)
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        self.desk.choose("theme", self.theme)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Return none of Textual's own commands; `ActionProvider` lists the bindings of this program."""
        return ()

    def farewell(self) -> list[str]:
        """Return the lines, if any, to print after the end: whether agents continue, and what to do next."""
        if self._curtain is not None:
            return []
        store = self.desk.store
        if not store.is_current:
            is_there = store.is_connected or not store.was_asked
            return ["agents continue; aegis-tui shows them again"] if is_there else []
        run = store.workspace.runs.current()
        if run is not None and run.is_open:
            alive = sum(item.is_alive for item in store.workspace.instances.of_run(run.run))
            agents = f"{alive} agent{'' if alive == 1 else 's'}"
            return [f"{run.run} continues with {agents}; aegis-tui shows it again, aegis-tui cancel ends it"]
        last = store.workspace.runs.latest()
        if last is not None and last.commit is not None:
            return [f"to merge the result of {last.run}: git merge --ff-only {last.commit.branch}"]
        return []

    @property
    def dashboard(self) -> DashboardScreen:
        """The dashboard, even if other screens lie over it. Raises StopIteration before it was opened."""
        from aegis_tui.tui.screens.dashboard import DashboardScreen

        return next(screen for screen in self.screen_stack if isinstance(screen, DashboardScreen))


def _known(kind: str, name: str, files: Mapping[str, Path]) -> str:
    if name not in files:
        raise UsageError(f"there is no {kind} {name!r}", f"one of {', '.join(sorted(files))}")
    return name

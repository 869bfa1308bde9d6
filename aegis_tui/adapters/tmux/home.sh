#!/bin/sh
# The program of the home window: keeps the session alive while no instance runs, and ends the server when the hub
# has been gone for so long that nobody else will.
#
# usage: home.sh HUB_LOCK SECONDS; HUB_LOCK holds the pid of the hub as JSON
pause=10
[ "$2" -ge 40 ] || pause=1
echo 'aegis-tui: each instance has a window of its own here.'
gone=0
while sleep "$pause"; do
  pid=$(sed -n 's/.*"pid": *\([0-9][0-9]*\).*/\1/p' "$1" 2>/dev/null)
  if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
    gone=0
    continue
  fi
  gone=$((gone + pause))
  [ "$gone" -ge "$2" ] || continue
  # Agents save their work and end by themselves when their hub is gone: one that lives is waited for.
  living=$(tmux list-panes -a -F '#{pane_dead} #{window_name}' | grep -v ' _home$' | grep -c '^0 ')
  [ "$living" -gt 0 ] || tmux kill-server
done

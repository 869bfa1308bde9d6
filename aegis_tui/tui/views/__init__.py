"""What a widget shows, as pure functions of the mirrored workspace: no widget, no IO, no clock."""

"""What chat does: one method a command or event; load, decide, save, announce."""

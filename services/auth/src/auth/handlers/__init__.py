"""What auth does: load, decide, save, announce."""

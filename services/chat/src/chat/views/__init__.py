"""What clients see: the shapes of HTTP answers (`sessions`, `control`) and of frames (`frames`)."""

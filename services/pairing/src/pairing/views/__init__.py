"""What clients see: the shapes of HTTP answers and of socket frames."""

"""What HTTP answers and reads, a file a noun."""

"""What a session, an extension and a payment may become; plain values and decisions, no clock."""

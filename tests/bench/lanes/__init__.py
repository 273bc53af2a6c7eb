"""Prototypes of a faster edge for beats, and no product; docs/adr/0010 says what they are worth."""

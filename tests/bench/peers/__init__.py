"""What the product is measured against: floors, and others that do the same work."""

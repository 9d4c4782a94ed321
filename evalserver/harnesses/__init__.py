"""What the installed harnesses offer, and whether they work."""

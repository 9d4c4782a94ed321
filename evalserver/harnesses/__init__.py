"""What the installed harnesses offer (``catalog``), and whether they work (``doctor``)."""

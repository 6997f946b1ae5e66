"""From pictures of a person to a 3-D pose."""

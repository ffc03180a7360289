"""How fast rlvr is, and how fast others are on the same work: `rlvr bench`."""

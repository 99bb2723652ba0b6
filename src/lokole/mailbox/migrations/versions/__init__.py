"""The steps, numbered; each one is frozen when it has been released."""

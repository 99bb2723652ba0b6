"""The protocol and the package format: pure, no input or output beyond the streams it is given."""

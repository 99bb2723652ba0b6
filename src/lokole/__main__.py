"""``python -m lokole`` is the command ``lokole``."""

from lokole.cli import main

main()

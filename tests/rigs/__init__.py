"""Rigs: real programs of Lokole, broken off at one exact call, on a full disk, under a wrong clock, by a power cut.

``kill.py``, ``power.py``, ``disk.py`` and ``clock.py`` are programs (``python -m tests.rigs.kill``), run to their full number by
``make proof-NAME`` and in part by the tests beside them; ``mutants.py`` proves that tests see what they are for.
"""

"""``lokole simulate``: nights of several boxes and their server in one process, with faults, and a ledger that nothing escapes.

The code of box and server is the real one, down to HTTP; simulated are what it stands on: the clock (``machines.py``), the line
(``link.py``), the disk (``disk.py``), randomness, and the people and providers outside (``people.py``, ``world.py``).
All chance comes from one seed, so that trace and ledger of a seed are the same bit for bit whenever it is run.

Faults fall at the borders of transactions, the steps of the blob store, the messages and the clock (``faults.py``); single bytes are not its business,
nor is what happens when two things run at the same moment.
"""

from lokole.simulate.run import Figures, Options, simulate, simulate_seeds

__all__ = ["Figures", "Options", "simulate", "simulate_seeds"]

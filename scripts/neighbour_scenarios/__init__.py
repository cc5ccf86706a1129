"""What scripts/neighbours measures: each file has a list SCENARIOS.

A scenario has a name, a title, whether only Larder knows what it asks for, and
measure(start), which starts servers with start(memory_mb=..., ...) and returns what it saw of
one round as Measured.
"""

import dataclasses


@dataclasses.dataclass
class Measured:
    figures: dict  # By metric, in the order of the table.
    notes: dict = dataclasses.field(default_factory=dict)  # Texts by subject, told below the table.

"""The type checker of the tests: beartype, for which an int may stand for a float.

Beartype alone refuses ``dual(φ, 1, 1, 0.5)``; PEP 484 does not, and the call is right.
"""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

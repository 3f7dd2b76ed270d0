"""The Wide Limit: infinite-width predictions, finite-width measurements, and a ledger of both."""

__version__ = "0.1.0"

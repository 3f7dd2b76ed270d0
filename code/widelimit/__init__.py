"""The Wide Limit: infinite-width predictions, finite-width measurements, and a ledger of both."""

__version__ = "0.1.0"


def setup():
    """Set a chapter up; see :func:`widelimit.notebook.setup`."""
    # Imported here, so that importing the package stays as light as importing one of its modules.
    from widelimit.notebook import setup

    return setup()

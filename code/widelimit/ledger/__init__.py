"""The ledger: every claim of the book, prediction against measurement, with its verdict."""

from widelimit.ledger.claim import Claim
from widelimit.ledger.estimate import (
    Estimate,
    exact_loglog_slope,
    exact_semilog_slope,
    loglog_slope,
    mean,
    pseudo_values,
    semilog_slope,
)
from widelimit.ledger.render import format_number, marked

__all__ = [
    "Claim",
    "Estimate",
    "exact_loglog_slope",
    "exact_semilog_slope",
    "format_number",
    "loglog_slope",
    "marked",
    "mean",
    "pseudo_values",
    "semilog_slope",
]

"""The ledger: every claim of the book, prediction against measurement, with its verdict."""

from widelimit.ledger.claim import Claim
from widelimit.ledger.estimate import Estimate, exact_loglog_slope, loglog_slope, mean

__all__ = ["Claim", "Estimate", "exact_loglog_slope", "loglog_slope", "mean"]

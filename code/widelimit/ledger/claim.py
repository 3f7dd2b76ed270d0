"""A claim: what a theory predicts, what was measured, and the verdict the machine computes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from widelimit.ledger.estimate import Estimate
from widelimit.ledger.render import format_number, to_html, to_text

#: The prediction agrees, and the rival is rejected.
HOLDS = "holds"
#: The same, with something a reader must know.
CAVEAT = "holds with a caveat"
#: The prediction disagrees, or the rival is not rejected.
FAILS = "does not hold"


@dataclass(frozen=True)
class Claim:
    r"""A prediction set against a measurement, with the rival that the measurement rejects.

    The tolerance is the measurement's Student-t half-width at the tail probability of 4σ
    (6.3e-5, two-sided), plus a systematic allowance where the prediction itself is an
    approximation whose next order is known. The claim holds when

    .. math:: |\text{measured} - \text{predicted}| \le \text{tolerance} < |\text{measured} -
       \text{rival}|.

    As the last expression of a notebook cell a claim shows itself as one row, and carries its
    data in the output's metadata, where the ledger finds it.

    Args:
      id: ``topic/name`` in lower case; unique in the book.
      statement: one sentence, plain text; what is true if the claim holds.
      source: bibliography key and place, as ``"neal1996, section 2.1"``.
      predicted: the number the theory gives.
      measured: what was measured, an :class:`Estimate` over at least 16 replicates.
      rival: the nearest wrong value worth rejecting.
      rival_name: what the rival is, as ``"the Berry–Esseen exponent"``.
      systematic: allowance for the prediction's own next order, same unit as ``predicted``, ≥ 0.
      systematic_reason: the stated order it comes from; needed when ``systematic`` is not 0.
      caveat: what a reader must know although the claim holds.
      expected_disagreement: why the claim is known not to hold; it then must not hold.

    Raises:
      ValueError: an ill-formed id, a missing sentence, a number that is not finite, a rival equal
        to the prediction, or a systematic allowance without a reason.
    """

    id: str
    statement: str
    source: str
    predicted: float
    measured: Estimate
    rival: float
    rival_name: str
    systematic: float = 0.0
    systematic_reason: str = ""
    caveat: str | None = None
    expected_disagreement: str | None = None
    tolerance: float = field(init=False)
    tolerance_reason: str = field(init=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+([-.][a-z0-9]+)*", self.id):
            raise ValueError(f"id {self.id!r} is not of the form topic/name in lower case")
        for name in ("statement", "source", "rival_name", "caveat", "expected_disagreement"):
            text = getattr(self, name)
            if text is not None and not text.strip():
                raise ValueError(f"claim {self.id}: {name} is empty; write it out")
        numbers = {
            "predicted": self.predicted,
            "rival": self.rival,
            "systematic": self.systematic,
            "measured.value": self.measured.value,
            "measured.stderr": self.measured.stderr,
        }
        for name, value in numbers.items():
            if not math.isfinite(value):
                raise ValueError(f"claim {self.id}: {name} is {value}; a claim needs a number")
        if self.rival == self.predicted:
            raise ValueError(f"claim {self.id}: the rival {self.rival} equals the prediction")
        if self.systematic < 0 or (self.systematic > 0) != bool(self.systematic_reason.strip()):
            raise ValueError(
                f"claim {self.id}: systematic={self.systematic} with reason "
                f"{self.systematic_reason!r}; give an allowance > 0 and the order it comes from, "
                "or neither"
            )
        statistical = self.measured.half_width()
        reason = f"Student t, tail of 4σ, {self.measured.dof + 1} replicates"
        if self.systematic:
            reason += (
                f"; plus {format_number(float(f'{self.systematic:.2g}'))}: {self.systematic_reason}"
            )
        object.__setattr__(self, "predicted", float(self.predicted))
        object.__setattr__(self, "rival", float(self.rival))
        object.__setattr__(self, "tolerance", statistical + float(self.systematic))
        object.__setattr__(self, "tolerance_reason", reason)

    @property
    def agrees(self) -> bool:
        """Whether the measurement lies within the tolerance of the prediction."""
        return abs(self.measured.value - self.predicted) <= self.tolerance

    @property
    def rival_rejected(self) -> bool:
        """Whether the measurement lies outside the same tolerance of the rival."""
        return abs(self.measured.value - self.rival) > self.tolerance

    @property
    def verdict(self) -> str:
        """One of ``"holds"``, ``"holds with a caveat"``, ``"does not hold"``."""
        if not (self.agrees and self.rival_rejected):
            return FAILS
        return CAVEAT if self.caveat else HOLDS

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one the chapter announces.

        A claim announced to disagree must disagree: being too blunt for its rival is no
        disagreement.
        """
        if self.expected_disagreement is not None:
            return not self.agrees
        return self.verdict != FAILS

    @property
    def comment(self) -> str:
        """What stands beside the verdict: the caveat, or why the claim does not hold."""
        parts = [] if self.verdict == FAILS else [self.caveat]
        if not self.agrees:
            parts += ["prediction outside the tolerance", self.expected_disagreement]
        elif not self.rival_rejected:
            parts += ["too blunt for its rival"]
        if not self.as_expected:
            parts += ["expected to disagree" if self.expected_disagreement else "not expected"]
        return "; ".join(part for part in parts if part)

    def to_dict(self) -> dict:
        """The claim as plain data: the row the ledger keeps. Numbers are floats in full."""
        return {
            "id": self.id,
            "statement": self.statement,
            "source": self.source,
            "predicted": self.predicted,
            "measured": self.measured.value,
            "stderr": self.measured.stderr,
            "tolerance": self.tolerance,
            "tolerance_reason": self.tolerance_reason,
            "rival": {
                "name": self.rival_name,
                "value": self.rival,
                "rejected": self.rival_rejected,
            },
            "verdict": self.verdict,
            "comment": self.comment,
            "expected_disagreement": self.expected_disagreement,
            "as_expected": self.as_expected,
        }

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        row = self.to_dict()
        bundle = {"text/plain": to_text(row), "text/html": to_html(row)}
        return bundle, {"widelimit": {"claim": row}}

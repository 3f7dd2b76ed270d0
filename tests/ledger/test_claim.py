"""The verdict is the machine's, in every combination; the row carries all the ledger needs."""

import json
import math
import re

import numpy as np
import pytest
from scipy import stats

from widelimit.ledger import Claim, Estimate
from widelimit.ledger.collect import KEYS

# Half-width of the measurement below: the t quantile at the tail of 4σ, times its error.
HALF = stats.t.isf(stats.norm.sf(4), 31) * 0.01


def claim(**changes):
    fields = {
        "id": "neal/variance",
        "statement": "The variance of an output is σ_b² + ω_v² E h².",
        "source": "neal1996, section 2.1",
        "predicted": 1.0,
        "measured": Estimate(1.0, 0.01, 31),
        "rival": 2.0,
        "rival_name": "no 1/H",
    }
    return Claim(**{**fields, **changes})


@pytest.mark.parametrize("expected", [None, "the theorem does not cover it"])
@pytest.mark.parametrize("caveat", [None, "only at one width"])
@pytest.mark.parametrize("rejects", [True, False])
@pytest.mark.parametrize("agrees", [True, False])
def test_verdict_in_every_combination(agrees, rejects, caveat, expected):
    predicted = 1.0 if agrees else 1.2
    # Too blunt: the rival lies within the tolerance too.
    rival = 2.0 if rejects else 1.0 - HALF / 2
    shown = claim(predicted=predicted, rival=rival, caveat=caveat, expected_disagreement=expected)
    assert shown.agrees is agrees
    assert shown.rival_rejected is rejects
    holds = agrees and rejects
    if holds:
        assert shown.verdict == ("holds with a caveat" if caveat else "holds")
    else:
        assert shown.verdict == "does not hold"
    # Being too blunt for the rival is no disagreement, so it was not what was announced.
    assert shown.as_expected is (not agrees if expected else holds)
    comment = shown.comment
    assert ("only at one width" in comment) == (holds and caveat is not None)
    assert ("prediction outside the tolerance" in comment) == (not agrees)
    assert ("too blunt for its rival" in comment) == (agrees and not rejects)
    assert ("the theorem does not cover it" in comment) == (not agrees and expected is not None)
    assert ("expected to disagree" in comment) == (agrees and expected is not None)
    assert ("not expected" in comment) == (not holds and expected is None)


@pytest.mark.parametrize("side", [-1, 1])
def test_the_edge_of_the_tolerance(side):
    for predicted, agrees in ((1 + side * 0.999 * HALF, True), (1 + side * 1.001 * HALF, False)):
        assert claim(predicted=predicted).agrees is agrees
    for rival, rejected in ((1 + side * 0.999 * HALF, False), (1 + side * 1.001 * HALF, True)):
        assert claim(rival=rival).rival_rejected is rejected


def test_tolerance_is_statistical_plus_systematic():
    plain = claim()
    np.testing.assert_allclose(plain.tolerance, HALF, rtol=1e-12)
    assert "32 replicates" in plain.tolerance_reason
    assert plain.tolerance_reason.endswith("32 replicates")
    wide = claim(systematic=0.05, systematic_reason="next order, 1/H²")
    np.testing.assert_allclose(wide.tolerance, HALF + 0.05, rtol=1e-12)
    assert wide.tolerance_reason.endswith("0.05: next order, 1/H²")
    # The allowance widens both sides: a claim cannot buy agreement without losing sharpness.
    between = 1 + HALF + 0.025
    assert not claim(predicted=between).agrees
    assert claim(predicted=between, systematic=0.05, systematic_reason="next order").agrees
    assert not claim(rival=between, systematic=0.05, systematic_reason="next order").rival_rejected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(
            ({"id": bad}, "not of the form topic/name")
            for bad in ("", "neal", "Neal/a", "neal/", "/a", "neal/a b", "a/b/c", "a-/b", "a/b\n")
        ),
        ({"statement": " "}, "statement is empty"),
        ({"source": ""}, "source is empty"),
        ({"rival_name": "\n"}, "rival_name is empty"),
        ({"predicted": math.nan}, "predicted is nan"),
        ({"rival": math.inf}, "rival is inf"),
        ({"systematic": math.nan, "systematic_reason": "?"}, "systematic is nan"),
        ({"rival": 1.0}, "rival 1.0 equals the prediction"),
        ({"systematic": 0.1}, "systematic=0.1 with reason ''"),
        ({"systematic_reason": "why"}, "systematic=0.0 with reason 'why'"),
        ({"systematic": 0.1, "systematic_reason": " "}, "systematic=0.1 with reason ' '"),
        ({"caveat": " "}, "caveat is empty"),
        ({"expected_disagreement": ""}, "expected_disagreement is empty"),
        ({"systematic": -0.1, "systematic_reason": "why"}, "systematic=-0.1"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        claim(**changes)


@pytest.mark.parametrize("good", ["neal/a", "ntk-2/rate-1.5", "a1-b2/c.d"])
def test_ids_that_will_do(good):
    assert claim(id=good).id == good


def test_a_claim_cannot_be_changed_nor_its_tolerance_given():
    with pytest.raises(AttributeError):
        claim().predicted = 2.0
    with pytest.raises(TypeError):
        claim(tolerance=1.0)


def test_to_dict_is_the_row_of_the_ledger():
    shown = claim(measured=Estimate(1 / 3, 1e-9, 19), predicted=2 / 3, caveat="one width")
    row = shown.to_dict()
    assert len(KEYS) == 11
    assert set(KEYS) - {"chapter"} <= set(row)  # the chapter is where the claim is found
    assert row == json.loads(json.dumps(row, allow_nan=False))
    assert row["measured"] == 1 / 3  # in full
    assert row["predicted"] == 2 / 3
    assert row["stderr"] == 1e-9
    assert row["tolerance"] == shown.tolerance
    assert row["rival"] == {"name": "no 1/H", "value": 2.0, "rejected": True}
    assert row["verdict"] == "does not hold"
    assert row["as_expected"] is False


def test_numpy_numbers_serialize_too():
    shown = claim(predicted=np.float64(1), measured=Estimate(np.float64(1), np.float64(0.01), 31))
    assert json.loads(json.dumps(shown.to_dict())) == claim().to_dict()


def test_shows_itself_as_one_output_with_its_data():
    shown = claim()
    bundle, metadata = shown._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert metadata == {"widelimit": {"claim": shown.to_dict()}}
    assert all("neal/variance" in text for text in bundle.values())
    assert json.dumps([bundle, metadata])

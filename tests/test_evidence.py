"""Evidence: outcomes by interval logic, verdicts by a second reading of the rules, data and back."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
from collections.abc import Callable
from fractions import Fraction as Rational
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import tms
from tms.evidence import MIME_TYPE, ROLES, VERDICTS, Piece, pieces_in

INF, NAN = math.inf, math.nan


def piece(value: Any = 1, role: str = "statement", claim: str = "a-claim", **settings: Any) -> Piece:
    """One piece of evidence, recorded in the usual way."""
    given: dict[str, Any] = {"since": "the note", "seeds": 0, **settings}
    if not given.keys() & {"above", "below", "between", "equals"}:
        given["equals"] = 1
    evidence = tms.Evidence()
    getattr(evidence, role)(claim, "arms", value, **given)
    (made,) = evidence.pieces
    return made


# ------------------------------------------------------------------ outcomes

# A value stands for an interval; whole numbers, so that intervals often end just at a bound.
ENDS = st.integers(-3, 3)


def as_value(kind: str, low: int, high: int) -> Any:
    """A value that stands for this interval, of one of the kinds that there are."""
    if kind == "mean":
        return tms.Mean((low + high) / 2, 100, low, high)
    if kind == "fraction":
        return tms.Fraction(low + 5, 10, low, high)
    return {"int": int, "float": float, "numpy": np.float32, "labelled": xr.DataArray}[kind](low)


EXPECTED: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Rational, Any, Any], bool]]] = {
    "above": (lambda a, b: {"above": a}, lambda x, a, b: x > a),
    "below": (lambda a, b: {"below": a}, lambda x, a, b: x < a),
    "between": (lambda a, b: {"between": (a, b)}, lambda x, a, b: a <= x <= b),
    "equals": (lambda a, b: {"equals": a, "tolerance": b - a}, lambda x, a, b: abs(x - a) <= b - a),
}


@given(
    st.sampled_from(sorted(EXPECTED)),
    st.sampled_from(["mean", "fraction", "int", "float", "numpy", "labelled"]),
    st.tuples(ENDS, ENDS).map(sorted),
    st.tuples(ENDS, ENDS).map(sorted),
)
def test_the_outcome_is_that_of_every_number_in_the_interval(
    relation: str, kind: str, interval: list[int], bounds: list[int]
) -> None:
    """All of them as expected: true; none: false; some: it cannot tell."""
    low, high = interval if kind in ("mean", "fraction") else (interval[0], interval[0])
    settings, holds = EXPECTED[relation]
    found = piece(as_value(kind, low, high), **settings(*bounds))
    # Bounds are whole numbers, so that steps of a quarter meet every case there is.
    answers = {holds(Rational(i, 4), *bounds) for i in range(4 * low, 4 * high + 1)}
    assert found.outcome is (answers.pop() if len(answers) == 1 else None)


@pytest.mark.parametrize(
    ("value", "expectation", "outcome"),
    [
        (0.5, {"above": 0.5}, False),
        (0.5, {"below": 0.5}, False),
        (0.5, {"between": (0.5, 1)}, True),
        (0.5, {"between": (0, 0.5)}, True),
        (np.nextafter(0.5, 1), {"above": 0.5}, True),
        (np.nextafter(0.5, 1), {"between": (0, 0.5)}, False),
        (0.5, {"equals": 0.5}, True),
        (np.nextafter(0.5, 1), {"equals": 0.5}, False),
        (0.75, {"equals": 0.5, "tolerance": 0.25}, True),
        (0.75, {"equals": 0.5, "tolerance": 0.2}, False),
        (INF, {"above": 5}, True),
        (INF, {"below": 5}, False),
        (-INF, {"above": 5}, False),
        (-INF, {"below": 5}, True),
        (INF, {"between": (0, 5)}, False),
        (NAN, {"above": 5}, None),
        (NAN, {"equals": 5}, None),
        (True, {"equals": True}, True),
        (np.True_, {"equals": np.False_}, False),
        (False, {"equals": True}, False),
        (False, {"equals": False}, True),
        (tms.fraction([True] * 10), {"equals": 1}, None),
        (tms.fraction([True] * 10), {"above": 0}, True),
        (tms.fraction([False] * 10), {"above": 0}, None),
        (tms.fraction([False] * 10), {"below": 0}, False),
        (tms.mean([4.0]), {"above": 0}, None),
        (tms.mean([4.0]), {"between": (0, 8)}, None),
        (tms.mean([4.0, NAN]), {"above": 0}, None),
        (tms.mean([4.0, 4.0]), {"equals": 4}, True),
    ],
)
def test_outcomes_at_borders(value: Any, expectation: dict[str, Any], outcome: bool | None) -> None:
    """Above and below leave the bound out, between and equals take it in."""
    assert piece(value, **expectation).outcome is outcome


@pytest.mark.parametrize(
    ("value", "expectation", "shown", "expected"),
    [
        (2, {"above": 1.5}, "2", "above 1.5"),
        (1234567.0, {"below": 1e6}, "1.235e+06", "below 1e+06"),
        (0.123456, {"between": (0, 1 / 3)}, "0.1235", "0 to 0.3333"),
        (-0.0, {"equals": 3, "tolerance": 0.01}, "0.00", "3 ± 0.01"),
        (1.0000046, {"equals": 1, "tolerance": 1e-4}, "1.0000", "1 ± 0.0001"),
        (-0.0004, {"equals": 0, "tolerance": 0.01}, "0.00", "0 ± 0.01"),
        (1234.5, {"equals": 1200, "tolerance": 50}, "1234", "1200 ± 50"),
        (8.0, {"equals": 8}, "8", "8"),
        (True, {"equals": False}, "yes", "no"),
        (False, {"equals": True}, "no", "yes"),
        (NAN, {"above": 0}, "nan", "above 0"),
        (INF, {"above": 0}, "inf", "above 0"),
        (tms.fraction([True] * 97 + [False] * 3), {"above": 0.9}, "97 of 100 (92–99 %)", "above 0.9"),
        (tms.mean([4.1, 4.2, 4.0, 4.1]), {"below": 5}, "4.10 ± 0.13", "below 5"),
    ],
)
def test_words_for_readers(value: Any, expectation: dict[str, Any], shown: str, expected: str) -> None:
    found = piece(value, **expectation)
    assert (found.shown, found.expected) == (shown, expected)


def test_a_fraction_and_a_mean_know_their_seeds() -> None:
    """Another number can be given; other values do not know."""
    assert piece(tms.fraction([True] * 7), seeds=None).seeds == 7
    assert piece(tms.mean([1.0] * 7), seeds=None).seeds == 7
    assert piece(tms.mean([1.0] * 7), seeds=np.int64(3)).seeds == 3
    with pytest.raises(ValueError, match="seeds must be the number of seeds trained"):
        piece(1.0, seeds=None)


# ------------------------------------------------------------------ verdicts


def second_reading(pieces: list[Piece]) -> str | None:
    """The rules in the order of the text, each by itself; None where there is no verdict."""
    of = {role: [p.outcome for p in pieces if p.role == role] for role in ROLES}
    cases = [(p.when, p.outcome) for p in pieces if p.role == "statement"]
    said = {outcome for _, outcome in cases}
    # What is beside the statement has to be as expected, and everything decided.
    sound = None not in said and all(set(of[role]) <= {True} for role in ROLES[1:])
    alone = sum(bool(of[role]) for role in ("statement", "answer", "instead")) == 1
    apart = all(when for when, _ in cases) and not any(
        a == b and x is not y for (a, x), (b, y) in itertools.combinations(cases, 2)
    )
    rules = {
        "holds": said == {True} and not of["replacement"],
        "holds with conditions": said == {True, False} and apart,
        "refuted": said == {False} and not of["replacement"],
        "corrected": said == {False} and bool(of["replacement"]),
        "answered": bool(of["answer"]) and not of["replacement"],
        "not testable as stated": bool(of["instead"]) and not of["replacement"],
    }
    following = [name for name, follows in rules.items() if follows and sound and alone]
    assert len(following) <= 1
    return following[0] if following else None


# True, false, open, and no number at all.
OUTCOMES = {True: 1, False: 0, None: tms.Mean(1.0, 9, 0.0, 2.0), "nan": NAN}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([True, True, True, False, False, None, "nan"]),
            st.sampled_from([*ROLES, "statement", "statement"]),
            st.sampled_from(["", "p = 0.1", "p = 0.2", "p = 0.3"]),
        ),
        max_size=5,
    )
)
def test_verdicts_follow_the_rules(cases: list[tuple[Any, str, str]]) -> None:
    compare([piece(OUTCOMES[outcome], role, when=when) for outcome, role, when in cases])


def test_verdicts_of_all_small_collections() -> None:
    """Up to three pieces, of every role and outcome and with one of two conditions: each possible verdict."""
    kinds = [*itertools.product([True, False, None], ROLES, ["", "x", "y"])]
    every = [piece(OUTCOMES[outcome], role, when=when) for outcome, role, when in kinds]
    found = {
        compare(list(pieces))
        for n in range(4)
        for pieces in itertools.combinations_with_replacement(every, n)
    }
    assert found == {*VERDICTS, None}


def compare(pieces: list[Piece]) -> str | None:
    expected = second_reading(pieces)
    if expected is None:
        with pytest.raises(tms.EvidenceError):
            tms.verdict(pieces)
    else:
        assert tms.verdict(iter(pieces)) == expected
    return expected


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([], "there is no evidence"),
        ([piece(), piece(claim="b")], "evidence on a-claim, b has no one verdict"),
        ([piece(NAN)], "arms: the value is not a number"),
        ([piece(tms.mean([1.0, NAN]))], "arms: the value is not a number"),
        ([piece(tms.Mean(1.0, 1, NAN, NAN))], "arms: the value is not a number"),
        ([piece(tms.mean([1.0]))], r"arms: 1 ± inf leaves open whether it is 1$"),
        ([piece(2, "answer")], r"arms \(answer\): 2 is not 1$"),
        ([piece(2, "instead")], r"arms \(instead\): 2 is not 1$"),
        ([piece(2), piece(2, "replacement")], r"arms \(replacement\): 2 is not 1$"),
        ([piece(), piece(role="answer")], "of the kinds statement and answer cannot be on one statement"),
        ([piece(role="instead"), piece(role="answer")], "of the kinds answer and instead cannot"),
        ([piece(role="replacement")], "a replacement, but no evidence on the statement that it replaces"),
        (
            [piece(role="answer"), piece(role="replacement")],
            "a replacement, but no evidence on the statement",
        ),
        ([piece(), piece(role="replacement")], "a replacement, but the statement came out true"),
        ([piece(when="x"), piece(2)], "each piece needs its condition; without one: arms$"),
        (
            [piece(when="x"), piece(2, when="y"), piece(when="y"), piece(2, when="x")],
            "true and false under the same condition: x; y$",
        ),
    ],
)
def test_why_there_is_no_verdict(pieces: list[Piece], reason: str) -> None:
    with pytest.raises(tms.EvidenceError, match=reason):
        tms.verdict(pieces)


# ------------------------------------------------------------------ what is not recorded

GOOD: dict[str, Any] = {
    "claim": "a-claim", "what": "arms", "value": 1.0, "above": 0, "since": "the note", "seeds": 0
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("changes", "name", "value", "allowed"),
    [
        ({"claim": ""}, "claim", "", "some words"),
        ({"claim": None}, "claim", None, "some words"),
        ({"what": "  "}, "what", "  ", "some words"),
        ({"what": 5}, "what", 5, "some words"),
        ({"since": ...}, "since", "", "some words"),
        ({"since": True}, "since", True, "some words"),
        ({"when": 0.1}, "when", 0.1, "some words, or left out"),
        ({"when": " "}, "when", " ", "some words, or left out"),
        ({"figure": None}, "figure", None, "some words, or left out"),
        ({"name": "Big name"}, "name", "Big name", "made of small letters, digits and _"),
        ({"name": "7th"}, "name", "7th", "made of small letters, digits and _"),
        ({"value": "1"}, "value", "1", "a number, True or False, a Fraction or a Mean"),
        ({"value": None}, "value", None, "a number, True or False, a Fraction or a Mean"),
        ({"value": [1.0]}, "value", [1.0], "a number, True or False, a Fraction or a Mean"),
        ({"value": 1j}, "value", 1j, "a number, True or False, a Fraction or a Mean"),
        ({"value": np.ones(3)}, "value", np.ones(3), "a number, True or False, a Fraction or a Mean"),
        ({"value": 10**400}, "value", ..., "small enough for a float"),
        ({"above": ...}, "the expectation", [], "exactly one of above, below, between and equals"),
        ({"below": 2}, "the expectation", ["above", "below"], "exactly one of"),
        ({"more": 1, "role": 2}, "the settings", ["more", "role"], "among above, below, between, equals"),
        ({"above": "0"}, "above", "0", "a finite number"),
        ({"above": None}, "above", None, "a finite number"),
        ({"above": True}, "above", True, "a finite number"),
        ({"above": NAN}, "above", NAN, "a finite number"),
        ({"above": INF}, "above", INF, "a finite number"),
        ({"above": 10**400}, "above", ..., "a finite number"),
        ({"above": np.zeros(1)}, "above", np.zeros(1), "a finite number"),
        ({"above": ..., "below": [1]}, "below", [1], "a finite number"),
        ({"above": ..., "between": 3}, "between", 3, "two numbers"),
        ({"above": ..., "between": "12"}, "between", "12", "two numbers"),
        ({"above": ..., "between": (1, 2, 3)}, "between", (1, 2, 3), "two numbers"),
        ({"above": ..., "between": (1, None)}, "between", None, "a finite number"),
        ({"above": ..., "between": (2, 1)}, "between", (2, 1), "the lower one first"),
        ({"above": ..., "equals": "one"}, "equals", "one", "a finite number"),
        ({"above": ..., "equals": True}, "equals", True, "a finite number"),
        ({"above": ..., "equals": 1, "tolerance": -1}, "tolerance", -1.0, "at least 0"),
        ({"above": ..., "equals": 1, "tolerance": None}, "tolerance", None, "a finite number"),
        ({"above": ..., "equals": 1, "tolerance": INF}, "tolerance", INF, "a finite number"),
        ({"tolerance": 0.1}, "tolerance", 0.1, "left out"),
        ({"value": True}, "above", 0, "equals=True or equals=False"),
        ({"value": True, "above": ..., "equals": 1}, "equals", 1, "equals=True or equals=False"),
        ({"value": True, "above": ..., "equals": True, "tolerance": 0}, "tolerance", 0, "left out"),
        ({"seeds": ...}, "seeds", None, "the number of seeds trained, 0 where nothing was trained"),
        ({"seeds": -1}, "seeds", -1, "the number of seeds trained, 0 where nothing was trained"),
        ({"seeds": 1.0}, "seeds", 1.0, "the number of seeds trained, 0 where nothing was trained"),
        ({"seeds": True}, "seeds", True, "the number of seeds trained, 0 where nothing was trained"),
    ],
)
def test_wrong_evidence_is_refused(
    role: str, changes: dict[str, Any], name: str, value: Any, allowed: str
) -> None:
    """With the claim, the parameter, its value and what is allowed; and what was recorded before stays."""
    evidence = tms.Evidence()
    settings = {key: given for key, given in {**GOOD, **changes}.items() if given is not ...}
    before = {"claim": settings.pop("claim"), "what": settings.pop("what"), "value": settings.pop("value")}
    getattr(evidence, role)(**GOOD)
    with pytest.raises(ValueError, match=f"{name} must be ") as caught:
        getattr(evidence, role)(*before.values(), **settings)
    text = str(caught.value)
    assert text.startswith(f"evidence on {before['claim']!r}: {name} must be ")
    assert allowed in text
    assert value is ... or text.endswith(f"; got {value!r}")
    assert len(evidence.pieces) == 1


@pytest.mark.parametrize("name", ["above", "below", "equals", "tolerance"])
def test_bounds_may_be_numbers_of_any_type(name: str) -> None:
    import sympy
    import torch

    more = {"equals": 2.0} if name == "tolerance" else {}
    for number in (
        np.float32(0.5),
        np.array(0.5),
        xr.DataArray(0.5),
        torch.tensor(0.5),
        sympy.Rational(1, 2),
    ):
        assert piece(2.0, **more, **{name: number}) == piece(2.0, **more, **{name: 0.5})


# ------------------------------------------------------------------ data and back

NUMBERS = st.floats() | st.integers(-(2**60), 2**60) | st.booleans()
WORDS = st.text(min_size=1).filter(str.strip)


@st.composite
def pieces(draw: Any) -> Piece:
    """Any piece that can be recorded."""
    value = draw(
        NUMBERS | st.tuples(st.floats(), st.floats(0)).map(lambda x: tms.Mean(x[0], 9, x[0] - x[1], sum(x)))
    )
    finite = st.floats(-1e300, 1e300)
    if isinstance(value, bool):
        expectation: dict[str, Any] = {"equals": draw(st.booleans())}
    else:
        expectation = draw(
            st.one_of(
                st.builds(lambda x: {"above": x}, finite),
                st.builds(lambda x: {"below": x}, finite),
                st.builds(lambda x, y: {"between": (min(x, y), max(x, y))}, finite, finite),
                st.builds(lambda x, y: {"equals": x, "tolerance": abs(y)}, finite, finite),
            )
        )
    return piece(
        value,
        draw(st.sampled_from(ROLES)),
        draw(WORDS),
        since=draw(WORDS),
        when=draw(st.just("") | WORDS),
        figure=draw(st.just("") | WORDS),
        name=draw(st.sampled_from(["", "a_name", "_7"])),
        seeds=draw(st.integers(0, 10**6)),
        **expectation,
    )


def same(a: Piece, b: Piece) -> bool:
    """NaN is the same as NaN here, and True is not 1."""
    return repr(dataclasses.asdict(a)) == repr(dataclasses.asdict(b))


@given(pieces())
def test_there_and_back(made: Piece) -> None:
    """Through JSON as the standard has it, without a word for NaN or infinity."""
    text = json.dumps(made.to_data(), allow_nan=False)
    back = Piece.from_data(json.loads(text))
    assert same(made, back)
    assert back.outcome is made.outcome


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        *((key, wrong) for key in ("claim", "what", "since") for wrong in ("", " ", None, 5, ["x"])),
        *((key, wrong) for key in ("shown", "when", "figure", "name") for wrong in (None, 5, ["x"])),
        *(("role", wrong) for wrong in ("rumour", "", None, 1, ["statement"])),
        *(("relation", wrong) for wrong in ("like", "", None, 1, {}, "above", "below")),
        *(("seeds", wrong) for wrong in (-1, 1.0, True, None, "1")),
        *(("value", wrong) for wrong in (None, "1", "NaN", [1], {}, 10**400, 2.0, True, "inf")),
        *((key, wrong) for key in ("low", "high") for wrong in (None, "1", [1], True, 10**400)),
        ("low", 1.5),
        ("high", 0.5),
        *(
            ("bounds", wrong)
            for wrong in (
                None, 1, "12", [], [1], [1, 2, 3], [None, 1], [0, "1"], [2, 1], [0, True], ["nan", 1],
                [0, "inf"], ["-inf", 0], {"0": 1, "1": 2}, [0, 10**400],
            )
        ),
    ],
)  # fmt: skip
def test_damaged_data_are_refused(key: str, wrong: Any) -> None:
    """Every field of another type or kind than it was written with, or that does not fit the others."""
    data = json.loads(json.dumps(piece(1.0, between=(0, 2)).to_data()))
    with pytest.raises(ValueError, match=r" must be .*; got ") as caught:
        Piece.from_data({**data, key: wrong})
    # A relation that does not fit its bounds is found at those.
    assert str(caught.value).startswith((f"{key} ", "bounds ", "value "))


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(Piece)])
def test_data_with_a_field_too_few_or_too_many_are_refused(key: str) -> None:
    data = piece().to_data()
    assert set(data) == {field.name for field in dataclasses.fields(Piece)}
    for wrong in ({k: v for k, v in data.items() if k != key}, {**data, f"{key}_": 1}, [*data], None):
        with pytest.raises(ValueError, match="data must be a mapping with bounds, claim, "):
            Piece.from_data(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bundle", [None, [], "pieces", {}, {"pieces": None}, {"pieces": {}}, {"pieces": [{}]}]
)
def test_what_is_no_bundle_is_refused(bundle: object) -> None:
    with pytest.raises(ValueError, match="must be a mapping with"):
        pieces_in(bundle)


# ------------------------------------------------------------------ in a notebook


@given(st.lists(pieces(), max_size=3))
def test_a_notebook_keeps_all_that_it_shows(made: list[Piece]) -> None:
    """As data, in JSON; as a table with a row for each; as text."""
    evidence = tms.Evidence()
    evidence._pieces += made
    bundle = json.loads(json.dumps(evidence._repr_mimebundle_(include=None, exclude=None), allow_nan=False))
    assert set(bundle) == {"text/plain", "text/markdown", MIME_TYPE}
    back = pieces_in(bundle[MIME_TYPE])
    assert len(back) == len(made)
    assert all(map(same, back, made))
    assert bundle["text/plain"] == repr(evidence)


def test_the_table_for_readers() -> None:
    """No cell ends early, at a bar or the end of a line."""
    evidence = tms.Evidence()
    evidence.statement("a-claim", "a | b\nand $|W|$", 1, equals=1, since="x | y", seeds=0)
    evidence.answer("b|c", "arms", tms.mean([1.0]), above=0, since="z")
    lines = evidence._repr_mimebundle_()["text/markdown"].split("\n")
    cells = [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in lines]
    assert [len(row) for row in cells] == [5, 5, 5, 5]
    assert [[cell.strip() for cell in row] for row in cells[2:]] == [
        ["`a-claim`", r"a \| b and $\|W\|$", "1", "1", "as expected"],
        [r"`b\|c`", "arms", "1 ± inf", "above 0", "cannot tell"],
    ]


def test_text() -> None:
    """One line for each piece."""
    evidence = tms.Evidence()
    assert repr(evidence) == "no evidence yet"
    evidence.statement("a-claim", "arms", 7, equals=8, since="the note", seeds=0)
    evidence.instead("a-claim", "gap", tms.mean([1.0]), above=0, since="the note")
    assert repr(evidence).splitlines() == [
        "a-claim (statement): arms: 7, not as expected",
        "a-claim (instead): gap: 1 ± inf, cannot tell",
    ]


def test_what_was_recorded_cannot_be_changed() -> None:
    evidence = tms.Evidence()
    assert evidence.statement(**GOOD) is None
    assert isinstance(evidence.pieces, tuple)
    with pytest.raises(dataclasses.FrozenInstanceError):
        evidence.pieces[0].value = 2  # type: ignore[misc]

"""Evidence for and against statements: what was found, what was expected, and the verdict that follows."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tms._check import fail
from tms.statistics import Fraction, Mean, plain

#: The form in which a notebook keeps evidence beside the table that is shown.
MIME_TYPE = "application/vnd.tms.evidence+json"

#: What a piece of evidence can be about; see `Evidence`.
ROLES = ("statement", "replacement", "answer", "instead")

# A name that the register's text can refer to.
_NAME = re.compile(r"[a-z_][a-z0-9_]*")

#: Verdicts on a statement, in the words that readers see.
VERDICTS = (
    "holds",
    "holds with conditions",
    "corrected",
    "refuted",
    "answered",
    "not testable as stated",
)


@dataclasses.dataclass(frozen=True)
class Piece:
    """One piece of evidence. `Evidence` makes these.

    Attributes
    ----------
    claim : str
        Which statement it is about.
    role : str
        One of `ROLES`.
    what : str
        What was measured, in words.
    value : float, bool
        What was found.
    low, high : float
        The interval that what was found stands for; both are the value where there is no uncertainty.
    shown : str
        The value as readers see it.
    relation : str
        How the expectation is meant: "above", "below", "between" or "equals".
    bounds : tuple of float
        What was expected: the interval's two ends (for "above" and "below" one of them is infinite). For
        "equals", the value less and plus the tolerance.
    since : str
        Where the expectation comes from.
    when : str
        The condition under which this was found; empty if there is none.
    seeds : int
        How many seeds were trained for it; 0 where nothing was trained.
    figure : str
        Label of the figure that shows it; empty if there is none.
    name : str
        By which the register's text can refer to it; empty if it cannot.
    """

    claim: str
    role: str
    what: str
    value: float | bool
    low: float
    high: float
    shown: str
    relation: str
    bounds: tuple[float, float]
    since: str
    when: str = ""
    seeds: int = 0
    figure: str = ""
    name: str = ""

    @property
    def outcome(self) -> bool | None:
        """Whether what was found is as expected; None where the interval leaves that open.

        The whole interval must lie inside what was expected, or outside.
        """
        low, high = self.bounds
        if math.isnan(self.low) or math.isnan(self.high):
            return None
        if self.relation == "above":
            inside, outside = self.low > low, self.high <= low
        elif self.relation == "below":
            inside, outside = self.high < high, self.low >= high
        else:
            inside = low <= self.low and self.high <= high
            outside = self.high < low or high < self.low
        return True if inside else False if outside else None

    @property
    def expected(self) -> str:
        """The expectation in words."""
        low, high = self.bounds
        if isinstance(self.value, bool):
            return "yes" if low == 1 else "no"
        if self.relation == "equals":
            centre, tolerance = (low + high) / 2, (high - low) / 2
            return plain(centre) if tolerance == 0 else f"{plain(centre)} ± {plain(tolerance)}"
        if self.relation == "between":
            return f"{plain(low)} to {plain(high)}"
        return f"above {plain(low)}" if self.relation == "above" else f"below {plain(high)}"

    def to_data(self) -> dict[str, Any]:
        """As plain data for JSON, which has no word for infinity."""
        data = dataclasses.asdict(self)
        for key in ("value", "low", "high"):
            data[key] = _to_json(data[key])
        data["bounds"] = [_to_json(bound) for bound in self.bounds]
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Piece:
        """The piece that `to_data` wrote.

        Raises
        ------
        ValueError
            If something is missing, unknown, of another type than it was written with, or does not fit the
            rest.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(data, Mapping) or set(data) != fields:
            raise fail("data", data, f"a mapping with {', '.join(sorted(fields))}")
        words = {"claim", "role", "what", "shown", "relation", "since", "when", "figure", "name"}
        for key in sorted(words):
            if not isinstance(data[key], str):
                raise fail(key, data[key], "text")
        for key in ("claim", "what", "since"):
            if not data[key].strip():
                raise fail(key, data[key], "some words")
        if data["role"] not in ROLES:
            raise fail("role", data["role"], f"one of {', '.join(ROLES)}")
        if data["relation"] not in ("above", "below", "between", "equals"):
            raise fail("relation", data["relation"], "above, below, between or equals")
        if not isinstance(data["seeds"], int) or isinstance(data["seeds"], bool) or data["seeds"] < 0:
            raise fail("seeds", data["seeds"], "a whole number, at least 0")
        bounds = data["bounds"]
        if not isinstance(bounds, (list, tuple)) or len(bounds) != 2:
            raise fail("bounds", bounds, "two numbers")
        value = data["value"] if isinstance(data["value"], bool) else _from_json("value", data["value"])
        low, high = (_from_json(key, data[key]) for key in ("low", "high"))
        if not (math.isnan(low + value + high) or low <= value <= high):
            raise fail("value", data["value"], f"between low and high, {low} and {high}")
        ends = (_from_json("bounds", bounds[0]), _from_json("bounds", bounds[1]))
        infinite = {"above": (False, True), "below": (True, False)}.get(data["relation"], (False, False))
        if not ends[0] <= ends[1] or tuple(map(math.isinf, ends)) != infinite:
            raise fail("bounds", bounds, f"two numbers, the lower one first, that fit '{data['relation']}'")
        flags = {(0.0, 0.0), (1.0, 1.0)}
        if isinstance(value, bool) and not ((low, high) in flags and ends in flags):
            raise fail("value", value, f"a number, as low, high and bounds are {low}, {high} and {ends}")
        return cls(**{**data, "value": value, "low": low, "high": high, "bounds": ends})


class Evidence:
    """Collects what a chapter finds, statement by statement.

    There are four kinds of evidence, one method each:

    - `statement`: the statement itself predicts what should be found. Whether it came out true is computed.
    - `replacement`: what is right instead of a statement that is wrong.
    - `answer`: what answers a question.
    - `instead`: what was tested in place of a statement that cannot be tested as it stands.

    Each is given the same things: the statement's `claim` (its id), `what` was measured, its `value`, what
    was to be expected (one of `above`, `below`, `between`, or `equals` with a `tolerance`), and in `since`
    where that expectation comes from. A `Fraction` or a `Mean` is judged by its whole interval: it is as
    expected, or not, or cannot tell.

    The last expression of a notebook's last cell should be the collection: there it shows itself as a table,
    and the notebook keeps it in a form that the book's build can read.

    Examples
    --------
    >>> import tms
    >>> evidence = tms.Evidence()
    >>> evidence.statement(
    ...     "pentagon-5-2",
    ...     "seeds that end as a pentagon",
    ...     tms.fraction([True] * 93 + [False] * 7),
    ...     above=0.5,
    ...     since="the note draws a pentagon",
    ... )
    >>> tms.verdict(evidence.pieces)
    'holds'
    """

    def __init__(self) -> None:
        self._pieces: list[Piece] = []

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """All that was recorded, in order.

        Examples
        --------
        >>> import tms
        >>> evidence = tms.Evidence()
        >>> evidence.answer("how-many", "arms of the best", 7, equals=7, since="theory", seeds=0)
        >>> [(piece.claim, piece.shown, piece.outcome) for piece in evidence.pieces]
        [('how-many', '7', True)]
        """
        return tuple(self._pieces)

    def statement(self, claim: str, what: str, value: Any, **settings: Any) -> None:
        """Evidence on a statement itself: the expectation is what the statement says.

        Parameters
        ----------
        claim
            The statement's id.
        what
            What was measured, in words.
        value
            What was found: a number, True or False, a `Fraction` or a `Mean`.
        **settings
            What was expected, which is one of

            - `above`, `below`: a number that it should be above or below;
            - `between`: two numbers that it should lie between, or be equal to one of them;
            - `equals`: a number that it should be equal to, and `tolerance`, by how much it may differ (0 if
              not given). True or False where the value is that.

            `since`: where that comes from, in words. It has to be given.

            And, where there is something to say,

            - `when`: the condition under which this was found;
            - `seeds`: how many seeds were trained; 0 if nothing was. A `Fraction` or a `Mean` knows the
              number of its trials, and needs this only where that is another number;
            - `figure`: label of the figure that shows it;
            - `name`: a name by which the register's text can refer to the value.

        Raises
        ------
        ValueError
            If there is not exactly one expectation, or `since` or `seeds` is missing, or a value is not of
            its kind. The message names the claim. Nothing is recorded then.

        Examples
        --------
        >>> import tms
        >>> evidence = tms.Evidence()
        >>> evidence.statement(
        ...     "four-without",
        ...     "features that linear models hold at most",
        ...     2,
        ...     equals=4,
        ...     since="the note says four",
        ...     seeds=100,
        ... )
        >>> tms.verdict(evidence.pieces)
        'refuted'
        """
        self._add("statement", claim, what, value, **settings)

    def replacement(self, claim: str, what: str, value: Any, **settings: Any) -> None:
        """Evidence for what is right instead of a statement that is wrong.

        Parameters
        ----------
        claim, what, value, **settings
            As for `statement`.

        Raises
        ------
        ValueError
            As for `statement`.

        Examples
        --------
        >>> import tms
        >>> evidence = tms.Evidence()
        >>> evidence.statement("half", "the least loss", 0.375, equals=0.5, since="the note", seeds=0)
        >>> evidence.replacement("half", "the least loss", 0.375, equals=3 / 8, since="calculus", seeds=0)
        >>> tms.verdict(evidence.pieces)
        'corrected'
        """
        self._add("replacement", claim, what, value, **settings)

    def answer(self, claim: str, what: str, value: Any, **settings: Any) -> None:
        """Evidence for the answer to a question.

        Parameters
        ----------
        claim, what, value, **settings
            As for `statement`.

        Raises
        ------
        ValueError
            As for `statement`.

        Examples
        --------
        >>> import tms
        >>> evidence = tms.Evidence()
        >>> loss = tms.mean([0.31, 0.29, 0.33])
        >>> evidence.answer("dense-optimum", "the loss at the end", loss, below=0.5, since="two pairs")
        >>> evidence
        dense-optimum (answer): the loss at the end: 0.310 ± 0.050, as expected
        """
        self._add("answer", claim, what, value, **settings)

    def instead(self, claim: str, what: str, value: Any, **settings: Any) -> None:
        """Evidence on what can be tested in place of a statement.

        Parameters
        ----------
        claim, what, value, **settings
            As for `statement`.

        Raises
        ------
        ValueError
            As for `statement`.

        Examples
        --------
        >>> import tms
        >>> evidence = tms.Evidence()
        >>> evidence.instead("nicer", "the gap is shorter", True, equals=True, since="seen by eye", seeds=0)
        >>> tms.verdict(evidence.pieces)
        'not testable as stated'
        """
        self._add("instead", claim, what, value, **settings)

    def _add(
        self,
        role: str,
        claim: str,
        what: str,
        value: Any,
        /,
        *,
        since: str = "",
        when: str = "",
        seeds: int | None = None,
        figure: str = "",
        name: str = "",
        **expectation: Any,
    ) -> None:
        try:
            for key, text in {"claim": claim, "what": what, "since": since}.items():
                if not isinstance(text, str) or not text.strip():
                    raise fail(key, text, "some words")
            for key, text in {"when": when, "figure": figure, "name": name}.items():
                if not isinstance(text, str) or (text and not text.strip()):
                    raise fail(key, text, "some words, or left out")
            if name and not _NAME.fullmatch(name):
                raise fail("name", name, "made of small letters, digits and _, the first one no digit")
            number, low, high, shown, trials = _measured(value)
            relation, bounds = _expectation(expectation, is_flag=isinstance(number, bool))
            if trials is None and relation == "equals":
                shown = _to_tolerance(shown, number, (bounds[1] - bounds[0]) / 2)
            if seeds is None:
                seeds = trials
            if not isinstance(seeds, (int, np.integer)) or isinstance(seeds, bool) or seeds < 0:
                raise fail("seeds", seeds, "the number of seeds trained, 0 where nothing was trained")
        except ValueError as error:
            raise ValueError(f"evidence on {claim!r}: {error}") from None
        piece = Piece(
            claim,
            role,
            what,
            number,
            low,
            high,
            shown,
            relation,
            bounds,
            since,
            when,
            int(seeds),
            figure,
            name,
        )
        self._pieces.append(piece)

    def __repr__(self) -> str:
        lines = [f"{p.claim} ({p.role}): {p.what}: {p.shown}, {_found(p)}" for p in self._pieces]
        return "\n".join(lines) or "no evidence yet"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """For notebooks: a table, and the same as data."""
        head = "| | evidence | found | expected | |\n|---|---|---|---|---|"
        rows = [
            " | ".join(
                ["", f"`{_cell(p.claim)}`", *map(_cell, (p.what, p.shown, p.expected, _found(p))), ""]
            ).strip()
            for p in self._pieces
        ]
        return {
            "text/plain": repr(self),
            "text/markdown": "\n".join([head, *rows]),
            MIME_TYPE: {"pieces": [piece.to_data() for piece in self._pieces]},
        }


class EvidenceError(ValueError):
    """Evidence that carries no verdict at all. The message says why.

    Examples
    --------
    >>> import tms
    >>> evidence = tms.Evidence()
    >>> few = tms.fraction([True, True, False])
    >>> evidence.statement("most", "seeds that succeed", few, above=0.5, since="the note says most")
    >>> tms.verdict(evidence.pieces)
    Traceback (most recent call last):
    tms.evidence.EvidenceError: seeds that succeed: 2 of 3 (21–94 %) leaves open whether it is above 0.5
    """


def verdict(pieces: Iterable[Piece]) -> str:
    """The verdict on a statement that follows from the evidence on it.

    - *holds*: every piece on the statement came out true.
    - *holds with conditions*: some came out true and some false, each under a condition of its own.
    - *refuted*: every piece came out false, and there is no replacement.
    - *corrected*: every piece came out false, and a replacement came out true.
    - *answered*: a question has an answer, and no piece is on a statement.
    - *not testable as stated*: no piece is on the statement, but something was tested instead.

    Parameters
    ----------
    pieces
        All the evidence on one statement.

    Returns
    -------
    str
        One of `VERDICTS`.

    Raises
    ------
    EvidenceError
        If there is no evidence, it is on more than one statement, a value is not a number, an interval leaves
        open what came out, what is not on the statement itself is not as it was expected to be, there is a
        replacement for what came out true or was never tested, or cases differ without a condition that tells
        them apart.

    Examples
    --------
    >>> import tms
    >>> evidence = tms.Evidence()
    >>> for p, gap in {0.05: 180.0, 0.6: 120.0}.items():
    ...     evidence.statement(
    ...         "triangle",
    ...         "widest gap in degrees",
    ...         gap,
    ...         equals=120,
    ...         tolerance=5,
    ...         since="a triangle has three equal gaps",
    ...         when=f"p = {p}",
    ...         seeds=0,
    ...     )
    >>> tms.verdict(evidence.pieces)
    'holds with conditions'
    """
    pieces = list(pieces)
    if not pieces:
        raise EvidenceError("there is no evidence")
    claims = dict.fromkeys(piece.claim for piece in pieces)
    if len(claims) > 1:
        raise EvidenceError(f"evidence on {', '.join(claims)} has no one verdict; give that on one statement")
    for piece in pieces:
        if math.isnan(float(piece.value)) or math.isnan(piece.low) or math.isnan(piece.high):
            raise EvidenceError(f"{piece.what}: the value is not a number")
        if piece.outcome is None:
            raise EvidenceError(f"{piece.what}: {piece.shown} leaves open whether it is {piece.expected}")
        if piece.role != "statement" and not piece.outcome:
            raise EvidenceError(f"{piece.what} ({piece.role}): {piece.shown} is not {piece.expected}")
    of = {role: [piece for piece in pieces if piece.role == role] for role in ROLES}
    kinds = [role for role in ("statement", "answer", "instead") if of[role]]
    if len(kinds) > 1:
        raise EvidenceError(f"evidence of the kinds {' and '.join(kinds)} cannot be on one statement")
    if of["replacement"] and not of["statement"]:
        raise EvidenceError("there is a replacement, but no evidence on the statement that it replaces")
    if of["answer"]:
        return "answered"
    if of["instead"]:
        return "not testable as stated"
    cases = of["statement"]
    true, false = ([p for p in cases if p.outcome is outcome] for outcome in (True, False))
    if true and false:
        without = [p.what for p in cases if not p.when]
        if without:
            raise EvidenceError(
                "it came out true and false, so each piece needs its condition; without one: "
                + "; ".join(without)
            )
        both = sorted({p.when for p in true} & {p.when for p in false})
        if both:
            raise EvidenceError(f"it came out true and false under the same condition: {'; '.join(both)}")
        return "holds with conditions"
    if true:
        if of["replacement"]:
            raise EvidenceError("there is a replacement, but the statement came out true")
        return "holds"
    return "corrected" if of["replacement"] else "refuted"


def pieces_in(bundle: object) -> list[Piece]:
    """The evidence in what a notebook kept of a collection, as `Evidence` shows itself.

    Raises
    ------
    ValueError
        If it is not what `Evidence` wrote.
    """
    if not isinstance(bundle, Mapping) or not isinstance(bundle.get("pieces"), list):
        raise fail("bundle", bundle, "a mapping with a list 'pieces'")
    return [Piece.from_data(data) for data in bundle["pieces"]]


def _measured(value: Any) -> tuple[float | bool, float, float, str, int | None]:
    """Value, interval, words, and the number of trials."""
    if isinstance(value, (Fraction, Mean)):
        return value.value, value.low, value.high, str(value), value.trials
    given = value
    if hasattr(value, "ndim") and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool):
        return value, float(value), float(value), "yes" if value else "no", None
    if isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:
            raise fail("value", given, "small enough for a float") from None
        return number, number, number, plain(number), None
    raise fail("value", given, "a number, True or False, a Fraction or a Mean")


def _to_tolerance(shown: str, number: float | bool, tolerance: float) -> str:
    """A number with as many decimals as its tolerance: 1.0000 says more than 1 where 0.0001 is allowed."""
    if isinstance(number, bool) or not 0 < tolerance < 1 or not math.isfinite(number) or abs(number) >= 1e6:
        return shown
    # Rounded, since a tolerance of 0.01 may have become 0.00999….
    decimals = -math.floor(round(math.log10(tolerance), 6))
    text = f"{number:.{min(12, decimals)}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _expectation(given: dict[str, Any], is_flag: bool) -> tuple[str, tuple[float, float]]:
    """The relation and its bounds; for a value that is True or False if `is_flag`."""
    known = {"above", "below", "between", "equals"}
    named = sorted(set(given) & known)
    unknown = sorted(set(given) - known - {"tolerance"})
    if unknown:
        raise fail(
            "the settings",
            unknown,
            "among above, below, between, equals, tolerance, since, when, seeds, figure, name",
        )
    if len(named) != 1:
        raise fail("the expectation", named, "exactly one of above, below, between and equals")
    relation = named[0]
    if "tolerance" in given and (relation != "equals" or is_flag):
        raise fail("tolerance", given["tolerance"], "left out, except where a number equals another")
    if is_flag:
        wanted = given[relation]
        if relation != "equals" or not isinstance(wanted, (bool, np.bool_)):
            raise fail(relation, wanted, "equals=True or equals=False for a value that is True or False")
        return relation, (float(wanted), float(wanted))
    if relation == "between":
        ends = given["between"]
        if not isinstance(ends, (tuple, list, np.ndarray)) or len(ends) != 2:
            raise fail("between", ends, "two numbers")
        low, high = (_finite("between", end) for end in ends)
        if low > high:
            raise fail("between", ends, "two numbers, the lower one first")
        return relation, (low, high)
    bound = _finite(relation, given[relation])
    if relation == "equals":
        tolerance = _finite("tolerance", given.get("tolerance", 0.0))
        if tolerance < 0:
            raise fail("tolerance", tolerance, "at least 0")
        return relation, (bound - tolerance, bound + tolerance)
    return relation, (bound, math.inf) if relation == "above" else (-math.inf, bound)


def _finite(name: str, value: Any) -> float:
    """A finite number, of whichever type is one; text and arrays are none."""
    no_number = isinstance(value, (str, bytes, bool, np.bool_)) or getattr(value, "ndim", 0) != 0
    try:
        number = math.nan if no_number else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise fail(name, value, "a finite number")
    return number


def _found(piece: Piece) -> str:
    return {True: "as expected", False: "not as expected", None: "cannot tell"}[piece.outcome]


def _cell(text: str) -> str:
    """Text for a cell of a table, which ends at a bar or with the line."""
    return " ".join(text.split()).replace("|", "\\|")


def _to_json(value: float | bool) -> float | bool | str:
    return value if isinstance(value, bool) or math.isfinite(value) else repr(float(value))


def _from_json(key: str, value: Any) -> float:
    if value in ("nan", "inf", "-inf") or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        try:
            return float(value)
        except OverflowError:
            pass
    raise fail(key, value, "a number")

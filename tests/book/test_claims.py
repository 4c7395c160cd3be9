"""The register of claims in a made-up book: what reaches the site, and what stops the build."""

import copy
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import tms
from book._tools import claims
from book._tools.chapters import content_hash, environment_hash, read_chapters
from book._tools.layout import Book, BookError, Size
from tests.book.conftest import TinyBook

pytestmark = pytest.mark.xdist_group("claims")  # they share one book, and so one process

CONFIG = """\
title: Tiny
latex: {use_jupyterbook_latex: false}
parse: {myst_enable_extensions: [colon_fence, dollarmath]}
sphinx:
  extra_extensions: [book._tools.pages]
  config: {numfig: true, language: en}
"""

REGISTER = f"""\
- id: most-pairs
  source: "002"
  chapter: one
  kind: claim
  says: Most seeds end as a pair.
  verdict: holds
  finding: So end {{pairs}}.

- id: how-long
  source: "002"
  chapter: one
  kind: question
  says: How long does it take?
  verdict: answered
  finding: It takes {{steps}} steps, and no $x_{{steps}}$.

- id: a-line
  source: TMS
  chapter: one
  kind: figure
  says: A line is drawn.
  verdict: holds
  finding: It is.

- id: sums
  source: "003"
  chapter: two
  kind: claim
  says: Sums are easy.
  parts:
    - id: sums.two
      says: Two and two make five.
      verdict: corrected
      finding: They make four.
      corrections: [{{says: They make five., right: "They make {{sum}}."}}]
    - id: sums.larger
      says: A sum is larger than its parts.
      verdict: holds with conditions
      finding: Not if one is negative; two and two make {{sum}}.
      corrections: [{{says: Always., right: If they are positive.}}]
    - id: sums.nicer
      says: Sums are nicer than products.
      verdict: not testable as stated
      finding: They are shorter.

- id: some-day
  source: "004"
  chapter: three
  kind: claim
  says: Some day all will be known.
  verdict: {claims.OPEN}
"""

PARAMETERS = ":tags: [parameters]\n\nseeds = 100"
RECORD = """\
import tms

evidence = tms.Evidence()
evidence.statement(
    "most-pairs", "seeds that end as a pair", tms.fraction([i >= seeds // 10 for i in range(seeds)]),
    above=0.5, since="Most is more than half", name="pairs",
)
evidence.answer(
    "how-long", "steps", tms.mean([98 + i % 5 for i in range(seeds)]),
    below=200, since="A guess", name="steps",
)"""
FIGURE = """\
---
mystnb:
  image:
    alt: A line.
  figure:
    name: fig-line
    caption: A line.
---
from IPython.display import SVG

evidence.statement(
    "a-line", "lines | dashes", 1, equals=1, since="The figure", seeds=0, figure="fig-line"
)
SVG('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0L9 9"/></svg>')"""
SUMS = """\
import tms

evidence = tms.Evidence()
evidence.statement("sums.two", "2 + 2", 2 + 2, equals=5, since="The note", seeds=0)
evidence.replacement("sums.two", "2 + 2", 2 + 2, equals=4, since="Counting", seeds=0, name="sum")
for a in (-1, 1):
    evidence.statement(
        "sums.larger", "sum less part", (a + 2) - 2, above=0, since="Larger", when=f"with {a}", seeds=0
    )
shorter = len("1 + 1") < len("1 times 1")
evidence.instead("sums.nicer", "it is shorter", shorter, equals=True, since="By eye", seeds=0)"""

BADGES_ONE = "Most {claim}`most-pairs`, how long {claim}`how-long`, a line {claim}`a-line`."
BADGES_TWO = (
    "Two {claim}`sums.two`, larger {claim}`sums.larger`, nicer {claim}`sums.nicer`; again {claim}`sums.two`."
)


class ClaimsBook(TinyBook):
    """Two chapters with evidence, a register, and the pages that show it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, library=False)
        self.write("_config.yml", CONFIG)
        self.write("book/claims.yml", REGISTER)
        self.chapter("one", PARAMETERS, RECORD, FIGURE, "evidence", prose=BADGES_ONE, small="{seeds: 3}")
        self.chapter("two", SUMS, "evidence", prose=BADGES_TWO)
        self.plain(
            "claims", "# Claims\n\n{claim-count}`answered` of {claim-count}`rows`.\n\n```{claims}\n```"
        )
        self.plain("corrections", "# Corrections\n\n```{corrections}\n```")

    def copy(self, root: Path) -> "ClaimsBook":
        """The same book with all that was built, elsewhere."""
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        other = copy.copy(self)
        other.root, other.pages = root, list(self.pages)
        return other

    def row(self, name: str, **changes: Any) -> None:
        """Change a row of the register, or a part of one; None takes a key away."""
        rows = yaml.safe_load((self.root / "book/claims.yml").read_text("utf8"))
        (found,) = [r for r in (*rows, *(p for r in rows for p in r.get("parts", []))) if r["id"] == name]
        found.update(changes)
        for key in [key for key, value in found.items() if value is None]:
            del found[key]
        self.write("book/claims.yml", yaml.safe_dump(rows))

    def add(self, **row: Any) -> None:
        """Add a row to the register."""
        rows = yaml.safe_load((self.root / "book/claims.yml").read_text("utf8"))
        new = {"id": "new", "source": "002", "chapter": "one", "kind": "claim", "says": "Something.", **row}
        self.write("book/claims.yml", yaml.safe_dump([*rows, new]))

    def evidence_file(self, page: str, size: Size = "full") -> Path:
        return claims.evidence_file(self.book(size), f"book/{page}")

    def recorded(self, page: str, size: Size = "full") -> list[str]:
        """The statements that a page has evidence on."""
        data = json.loads(self.evidence_file(page, size).read_text("utf8"))
        return [piece["claim"] for piece in data["pieces"]]

    def record(self, page: str, change: Callable[[tms.Evidence], None]) -> None:
        """As if the page had recorded more when it ran."""
        evidence = tms.Evidence()
        data = json.loads(self.evidence_file(page).read_text("utf8"))
        evidence._pieces = tms.evidence.pieces_in(data)
        change(evidence)
        output = {"data": evidence._repr_mimebundle_()}
        notebook = SimpleNamespace(cells=[SimpleNamespace(cell_type="code", outputs=[output])])
        claims.write_evidence(self.evidence_file(page), notebook, data["stamp"])

    def fails(self) -> str:
        """What the build says that stops it. There is no site then."""
        with pytest.raises(BookError) as caught:
            self.build()
        assert not self.book().site.exists()
        assert not (self.root / "build/claims.json").exists()
        return str(caught.value)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> ClaimsBook:
    """The made-up book, built once. Tests that change it take a copy."""
    made = ClaimsBook(tmp_path_factory.mktemp("claims"))
    made.build()
    return made


@pytest.fixture
def made(first: ClaimsBook, tmp_path: Path) -> ClaimsBook:
    """A copy of the built book, with another front page, so that the site is to be made anew."""
    made = first.copy(tmp_path)
    made.plain("front", "# Front\n\nOther words.")
    return made


def statements(path: Path) -> dict[str, dict]:
    return {s["id"]: s for s in json.loads(path.read_text("utf8"))["statements"]}


def ran(made: ClaimsBook) -> list[str]:
    """The chapters that ran in the last build."""
    return sorted(re.findall(r"^  book/(\w+):", "\n".join(made.said), flags=re.MULTILINE))


# ------------------------------------------------------------------ evidence that carries the register


def test_right_verdicts_reach_the_site(first):
    """On the page of claims each row has its verdict and finding, with the values put in."""
    page = (first.book().site / "book/claims.html").read_text("utf8")
    assert "4 of 5" in page
    for name, words in {
        "most-pairs": "So end 90 of 100",
        "how-long": "It takes 100.00 ± 0.28 steps, and no",
        "sums.two": "They make four.",
        "sums.larger": "Not if one is negative; two and two make 4.",
        "some-day": "not yet written",
    }.items():
        row = re.search(rf'<tr[^>]*id="{re.escape(name)}".*?</tr>', page, re.DOTALL)
        assert row, name
        verdict = statements(first.root / "build/claims.json")[name]["verdict"]
        text = re.sub(r"<[^>]+>", "", row[0])
        assert verdict in text
        assert words in text
    corrections = (first.book().site / "book/corrections.html").read_text("utf8")
    assert "They make five." in corrections
    assert "They make 4." in corrections


def test_a_badge_links_to_its_row_and_the_row_back(first):
    """Every link of one kind ends at an anchor of the other page."""
    site = first.book().site / "book"
    pages = {name: (site / f"{name}.html").read_text("utf8") for name in ("one", "two", "claims")}
    for page in ("one", "two"):
        for name in set(first.recorded(page)):
            assert f'href="claims.html#{name}"' in pages[page]
            assert f'id="{name}"' in pages["claims"]
            assert f'href="{page}.html#claim-{name}"' in pages["claims"]
            # Once, though one of them has two badges.
            assert pages[page].count(f'id="claim-{name}"') == 1


def test_the_register_for_machines_lies_in_the_site_and_beside_it(first):
    """The same three times, with outcomes and expectations."""
    site = first.book().site / "claims.json"
    copies = {
        p.read_text("utf8")
        for p in (site, first.root / "build/claims.json", first.book().work / "claims.json")
    }
    assert len(copies) == 1
    found = statements(site)
    (piece,) = found["most-pairs"]["evidence"]
    assert (piece["page"], piece["outcome"], piece["expected"]) == ("book/one", True, "above 0.5")
    assert piece["shown"] == str(tms.fraction([True] * 90 + [False] * 10))
    assert [p["outcome"] for p in found["sums.larger"]["evidence"]] == [False, True]
    assert found["some-day"]["evidence"] == []
    counts = json.loads(site.read_text("utf8"))["counts"]
    assert {key: counts[key] for key in ("rows", "answered", "open", "statements", "holds", "corrected")} == {
        "rows": 5, "answered": 4, "open": 1, "statements": 7, "holds": 2, "corrected": 1
    }  # fmt: skip


def test_the_notebook_for_download_keeps_the_table_and_not_the_data(first):
    notebook = first.notebook("one")
    (output,) = notebook["cells"][-1]["outputs"]
    assert set(output["data"]) == {"text/plain", "text/markdown"}
    assert "lines \\| dashes" in "".join(output["data"]["text/markdown"])
    assert first.recorded("one") == ["most-pairs", "how-long", "a-line"]


# ------------------------------------------------------------------ evidence that does not


def contradict(what: str, **settings: Any) -> Callable[[ClaimsBook], None]:
    """A change: the first chapter has recorded this as well."""

    def change(made: ClaimsBook) -> None:
        given = {
            "claim": "most-pairs",
            "value": 1.0,
            "since": "Here",
            "seeds": 0,
            "role": "statement",
            **settings,
        }
        made.record("one", lambda evidence: getattr(evidence, given.pop("role"))(what=what, **given))

    return change


def edit(old: str, new: str) -> Callable[[ClaimsBook], None]:
    """A change: the first chapter's file of evidence was edited."""

    def change(made: ClaimsBook) -> None:
        text = made.evidence_file("one").read_text("utf8")
        assert old in text
        made.evidence_file("one").write_text(text.replace(old, new, 1), "utf8")

    return change


def truncate(made: ClaimsBook) -> None:
    text = made.evidence_file("one").read_text("utf8")
    made.evidence_file("one").write_text(text[: len(text) // 2], "utf8")


def older(made: ClaimsBook) -> None:
    """The evidence of a run before the chapter was changed, beside the notebook of the run after it."""
    data = json.loads(made.evidence_file("one").read_text("utf8"))
    data["stamp"]["hash"] = "0" * 64
    made.evidence_file("one").write_text(json.dumps(data), "utf8")


WRONG = [{"says": "It is so.", "right": "It is not."}]
ONE = "most-pairs (declared holds), how-long (declared answered), a-line (declared holds)"
AGAIN = "one.ipynb to run the chapter again"
DISAGREE: dict[str, tuple[Callable[[ClaimsBook], Any], list[str]]] = {
    "wrong verdict": (
        lambda made: made.row("most-pairs", verdict="refuted", corrections=WRONG),
        [
            "most-pairs: declared refuted, but from the evidence follows holds (book/one): "
            "seeds that end as a pair: 90 of 100 (83–94 %), expected above 0.5"
        ],
    ),
    "answered as a statement": (
        lambda made: made.row("how-long", kind="claim", verdict="holds"),
        ["how-long: declared holds, but from the evidence follows answered (book/one): steps: 100.00 ± 0.28"],
    ),
    "evidence without a verdict": (
        lambda made: made.row("most-pairs", verdict=claims.OPEN),
        ["most-pairs: declared not yet answered, but from the evidence follows holds (book/one): seeds that"],
    ),
    "missing evidence": (
        lambda made: made.add(id="new", verdict="holds", finding="So it is."),
        ["new: declared holds, but no chapter has recorded evidence; does book/one show its collection?"],
    ),
    "an open row of a chapter in the book": (
        lambda made: made.add(id="new", verdict=claims.OPEN),
        ["new: declared not yet answered, but book/one is in the book and has to answer it"],
    ),
    "an open row once its chapter is in the book": (
        lambda made: made.row("some-day", chapter="two"),
        ["some-day: declared not yet answered, but book/two is in the book and has to answer it"],
    ),
    "evidence on an unknown id": (
        contradict("something", claim="most-pears", equals=1),
        ["most-pears: there is evidence on it (book/one), but it is not in book/claims.yml"],
    ),
    "evidence on a row with parts": (
        contradict("something", claim="sums", equals=1),
        ["sums: there is evidence on it (book/one)", "its parts are sums.larger, sums.nicer, sums.two"],
    ),
    "not a number": (
        contradict("norm", value=float("nan"), below=1),
        ["most-pairs: declared holds, but norm: the value is not a number (book/one)"],
    ),
    "an interval that leaves it open": (
        contradict("pairs of few", value=tms.fraction([True, False, True]), above=0.5, seeds=100),
        [
            "most-pairs: declared holds, but pairs of few: 2 of 3 (21–94 %) leaves open whether it is above"
            " 0.5 (book/one)"
        ],
    ),
    "a false replacement": (
        contradict("2 + 2", role="replacement", claim="sums.two", value=4, equals=22),
        ["sums.two: declared corrected, but 2 + 2 (replacement): 4 is not 22 (book/one, book/two)"],
    ),
    "a false answer": (
        contradict("steps", role="answer", claim="how-long", value=4, above=22),
        ["how-long: declared answered, but steps (answer): 4 is not above 22 (book/one)"],
    ),
    "true and false without conditions": (
        contradict("pairs elsewhere", value=0.25, above=0.5),
        ["most-pairs: declared holds, but it came out true and false", "pairs elsewhere (book/one)"],
    ),
    "fewer seeds than usual": (
        contradict("pairs of few", above=0.5, seeds=99),
        ["most-pairs: declared holds, for at least 100 seeds; 'pairs of few' has 99 (book/one)"],
    ),
    "fewer seeds than declared": (
        lambda made: made.row("most-pairs", seeds=1000),
        ["most-pairs: declared holds, for at least 1000 seeds; 'seeds that end as a pair' has 100 (book/one"],
    ),
    "an unknown name in a finding": (
        lambda made: made.row("most-pairs", finding="So end {pears}."),
        [
            "most-pairs: declared holds, but its text asks for {pears}, and no pieces of evidence have that"
            " name (book/one)"
        ],
    ),
    "an unknown name in a correction": (
        lambda made: made.row("sums.two", corrections=[{"says": "Five.", "right": "They make {some}."}]),
        ["sums.two: declared corrected, but its text asks for {some}, and no pieces", "(book/two)"],
    ),
    "a name that two pieces have": (
        contradict("again", claim="most-pairs", above=0, name="pairs"),
        ["most-pairs: declared holds, but its text asks for {pairs}, and 2 pieces", "(book/one)"],
    ),
    "a figure row without a figure": (
        lambda made: made.row("most-pairs", kind="figure"),
        ["most-pairs: declared holds, but no piece of its evidence names a figure (book/one)"],
    ),
    "a truncated file": (truncate, ["book/one: its evidence in", "is damaged", ONE, AGAIN]),
    "an edited value": (
        edit('"shown": "90 of 100', '"shown": "99 of 100'),
        ["book/one: its evidence in", "is damaged (wrong checksum)", ONE],
    ),
    "an edited piece": (
        edit('"role": "statement"', '"role": "hearsay"'),
        ["book/one: its evidence in", "is damaged (role must be one of", ONE],
    ),
    "a number too large": (
        edit('"seeds": 100', '"seeds": 100, "value": 1' + 400 * "0"),
        ["book/one: its evidence in", "is damaged (value must be a number", ONE],
    ),
    "a list instead": (
        lambda made: made.evidence_file("one").write_text("[]"),
        ["book/one: its evidence in", "is damaged", ONE],
    ),
    "a missing file": (
        lambda made: made.evidence_file("one").unlink(),
        ["book/one: its evidence cannot be read (", "one.evidence.json", ONE, AGAIN],
    ),
    "an older run": (
        older,
        ["book/one: its evidence in", "is of an older text, library or parameter set", ONE],
    ),
    "a row that is there twice": (
        lambda made: made.add(id="how-long", verdict=claims.OPEN),
        ["book/claims.yml: how-long is there 2 times (lines "],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DISAGREE)
def test_what_does_not_fit_stops_the_build(made, name):
    """Before anything is rendered: with the statement, the declared verdict, what was found, and where."""
    change, words = DISAGREE[name]
    change(made)
    said = made.fails()
    for part in words:
        assert part in said
    assert ran(made) == []
    assert not made.book().rendered.exists()


def test_every_disagreement_is_named_at_once(made):
    """Rather than one a build."""
    for name in ("wrong verdict", "missing evidence", "an unknown name in a correction"):
        DISAGREE[name][0](made)
    said = made.fails().splitlines()
    assert said[0] == "The evidence does not carry the register:"
    assert [line.split(":")[0] for line in said[1:]] == ["most-pairs", "sums.two", "new"]


def test_pages_are_checked_too_and_once_mended_nothing_runs_again(made):
    """Badges of unknown statements, statements without a badge, figures that are not there."""
    right = {
        name: (made.root / f"book/{name}").read_text("utf8")
        for name in ("claims.yml", "front.md", "claims.md")
    }
    made.plain("front", "# Front\n\nSee {claim}`most-pears` and {claim}`sums`.")
    made.row("a-line", chapter="two")
    said = made.fails()
    assert re.search(r"book/front\.md:3: WARNING: claim 'most-pears' is not in book/claims\.yml", said)
    assert "claim 'sums' is not in book/claims.yml; its parts are sums.two, sums.larger, sums.nicer" in said
    assert "a-line has the verdict 'holds', but no badge in the text: {claim}`a-line`" in said
    assert "book/two" in said

    # Where no page lists the evidence, Sphinx misses no figure.
    made.write("book/claims.yml", right["claims.yml"])
    made.plain("front", "# Front\n\nWords.")
    made.plain("claims", "# Claims\n\n{claim-count}`holds`.")
    evidence = made.evidence_file("one").read_text("utf8")
    contradict("dashes", claim="a-line", equals=1, figure="fig-lime")(made)
    said = made.fails()
    assert said == (
        "a-line: declared holds, but its evidence names the figure fig-lime, which is not on book/one"
        " ('dashes')"
    )

    made.evidence_file("one").write_text(evidence, "utf8")
    made.write("book/claims.md", right["claims.md"])
    assert made.build().exists()
    assert ran(made) == []
    assert statements(made.root / "build/claims.json")["a-line"]["verdict"] == "holds"


def test_a_chapter_whose_evidence_was_lost_runs_again_as_the_message_says(made):
    """Removing its notebook is enough, and what it records is the same again."""
    before = made.evidence_file("one").read_bytes()
    truncate(made)
    assert AGAIN in made.fails()
    made.notebook_file("one").unlink()
    assert made.execute() == ["one"]
    assert made.evidence_file("one").read_bytes() == before
    book = made.book()
    register = claims.gather(book, read_chapters(book), environment_hash(book))
    assert len(register.evidence) == 8


def test_a_chapter_that_fails_leaves_its_older_evidence_unused(made):
    """Its notebook is not current, so that neither counts."""
    path = made.root / "book/one.md"
    path.write_text(path.read_text("utf8") + "\nMore words.\n")
    book = made.book()
    with pytest.raises(BookError, match=r"book/one: its evidence in .* is of an older text"):
        claims.gather(book, read_chapters(book), environment_hash(book))


def test_a_small_run_never_feeds_the_register(made):
    """Three seeds do not carry its verdict: small passes, shows no evidence, and full runs anew."""
    made.remove("two")
    made.row("sums", chapter="later")
    made.remove("corrections")
    made.build("small")
    assert ran(made) == ["one"]
    (piece,) = [
        p for p in json.loads(made.evidence_file("one", "small").read_text("utf8"))["pieces"]
        if p["claim"] == "most-pairs"
    ]  # fmt: skip
    assert piece["seeds"] == 3
    found = statements(made.book("small").site / "claims.json")
    assert [s["evidence"] for s in found.values()] == [[]] * 7
    assert found["most-pairs"]["finding"] == "So end …."
    # The full site and its register stand untouched beside it.
    assert len(statements(made.root / "build/claims.json")["most-pairs"]["evidence"]) == 1

    # Nor do its files pass for those of the full size, in place of which they are put.
    made.notebook_file("one", "small").replace(made.notebook_file("one"))
    made.evidence_file("one", "small").replace(made.evidence_file("one"))
    book = made.book()
    with pytest.raises(BookError, match=r"book/one: its evidence in .* is of an older text"):
        claims.gather(book, read_chapters(book), environment_hash(book))
    assert made.execute() == ["one"]
    assert '"seeds": 100' in made.evidence_file("one").read_text("utf8")


def test_a_small_run_still_knows_what_is_in_the_register(made):
    """An id that is mistyped is found in seconds."""
    book = made.book("small")
    made.row("most-pairs", id="most-pears")
    for page in ("one", "two"):
        target = made.evidence_file(page, "small")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made.evidence_file(page), target)
        data = json.loads(target.read_text("utf8"))
        (chapter,) = [c for c in read_chapters(book) if c.name == f"book/{page}"]
        data["stamp"] = {"size": "small", "hash": content_hash(book, chapter, environment_hash(book))}
        target.write_text(json.dumps(data), "utf8")
    with pytest.raises(BookError) as caught:
        claims.gather(book, read_chapters(book), environment_hash(book))
    assert str(caught.value).splitlines()[1:] == [
        "most-pairs: there is evidence on it, but it is not in book/claims.yml"
    ]


# ------------------------------------------------------------------ the register itself

ROW = {
    "id": "a-row", "source": "000", "chapter": "one", "kind": "claim", "says": "Something.",
    "verdict": "holds", "finding": "So it is.",
}  # fmt: skip
PARTS = [{"id": "a-row.x", "says": "One."}, {"id": "a-row.y", "says": "Other."}]
OPEN = {"verdict": ..., "finding": ...}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"id": ...}, "a row must be a mapping with an id"),
        ({"id": 5}, "a row must be a mapping with an id"),
        ({"id": "A Row"}, "A Row: an id is made of small letters, digits and hyphens"),
        ({"id": "a-row.x"}, "a-row.x: a full stop is for the parts of a row"),
        ({"source": ...}, "a-row: has no source"),
        ({"source": 0}, "a-row: source must be text, not 0"),
        ({"chapter": None}, "a-row: chapter must be text, not None"),
        ({"says": " "}, "a-row: says must be text, not ' '"),
        ({"says": ["x"]}, "a-row: says must be text"),
        ({"kind": "rumour"}, "a-row: kind must be one of claim, question"),
        ({"verdict": "maybe"}, "a-row: the verdict must be one of holds, "),
        ({"verdict": ["holds"]}, "a-row: the verdict must be one of holds, "),
        ({"verdict": "answered"}, "a-row: only a question or a critique is answered; this is a claim"),
        ({"finding": ...}, "a-row: the verdict is holds, but there is no finding"),
        ({"finding": 7}, "a-row: finding must be text, not 7"),
        ({"verdict": "corrected"}, "a-row: the verdict is corrected, but no correction says what is right"),
        ({"verdict": "refuted"}, "a-row: the verdict is refuted, but no correction says what is right"),
        (
            {"verdict": "holds with conditions", "corrections": []},
            "a-row: the verdict is holds with conditions, but no correction says what is right",
        ),
        ({"corrections": "x"}, "a-row: corrections must be a list of mappings with texts 'says' and 'right'"),
        ({"corrections": [{"says": "x"}]}, "a-row: corrections must be a list"),
        ({"corrections": [{"says": "x", "right": ""}]}, "a-row: corrections must be a list"),
        ({"seeds": 0}, "a-row: seeds must be a whole number, at least 1, not 0"),
        ({"seeds": True}, "a-row: seeds must be a whole number, at least 1, not True"),
        ({"seeds": "many"}, "a-row: seeds must be a whole number, at least 1, not 'many'"),
        ({"verdikt": "holds"}, "a-row: verdikt is not known here; allowed: chapter, corrections, finding"),
        ({"parts": PARTS}, "a-row: finding, verdict is not known here"),
        ({**OPEN, "parts": PARTS[:1]}, "a-row: parts must be a list of at least two mappings"),
        ({**OPEN, "parts": {"x": 1}}, "a-row: parts must be a list of at least two mappings"),
        (
            {**OPEN, "parts": [PARTS[0], {"id": "b.y", "says": "x"}]},
            "b.y: a part's id begins with its row's, a-row.",
        ),
        ({**OPEN, "parts": [PARTS[0], {"id": "a-row.y"}]}, "a-row.y: has no says"),
        ({**OPEN, "parts": [PARTS[0], {**PARTS[1], "kind": "x"}]}, "a-row.y: kind must be one of"),
        ({**OPEN, "parts": [PARTS[0], {**PARTS[1], "source": "1"}]}, "a-row.y: source is not known here"),
        ({**OPEN, "parts": [PARTS[0], PARTS[0]]}, "a-row.x is there 2 times (lines 2, 2)"),
    ],
)  # fmt: skip
def test_a_malformed_row_is_named_with_its_line(tiny, changes, complaint):
    """Before any chapter runs."""
    row = {key: value for key, value in {**ROW, **changes}.items() if value is not ...}
    tiny.write("book/claims.yml", "# A comment.\n" + yaml.safe_dump([row]))
    tiny.chapter("one", "raise ValueError('it ran')")
    with pytest.raises(BookError) as caught:
        tiny.build()
    assert complaint in str(caught.value)
    assert str(caught.value).startswith("book/claims.yml:")
    assert "times" in complaint or str(caught.value).startswith("book/claims.yml:2: ")
    assert tiny.said == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "must be a list of rows"),
        ("id: a-row", "must be a list of rows"),
        ("- [", "cannot be read"),
        ("- a-row", "book/claims.yml:1: a row must be a mapping with an id, not 'a-row'"),
        (
            yaml.safe_dump([ROW]) + "  verdict: refuted\n",
            "book/claims.yml:1: verdict is there 2 times in the mapping that begins here",
        ),
    ],
)
def test_a_damaged_register(tiny, text, complaint):
    tiny.write("book/claims.yml", text)
    with pytest.raises(BookError) as caught:
        claims.read_register(Book(tiny.root))
    assert complaint in str(caught.value)


def test_all_malformed_rows_are_named_at_once(tiny):
    tiny.write(
        "book/claims.yml", yaml.safe_dump([{**ROW, "kind": "x"}, ROW, {**ROW, "id": "B"}], sort_keys=False)
    )
    with pytest.raises(BookError) as caught:
        claims.read_register(Book(tiny.root))
    assert [line.split(": ")[:2] for line in str(caught.value).splitlines()] == [
        ["book/claims.yml:1", "a-row"],
        ["book/claims.yml:15", "B"],
    ]


def test_a_book_without_a_register_has_no_claims(tiny):
    assert claims.read_register(Book(tiny.root)) == []


def test_an_entry_of_the_register_may_be_short(tiny):
    """Open rows need neither finding nor verdict, and parts take over what the row says."""
    parts = [
        {**PARTS[0], "kind": "question"},
        {**PARTS[1], "verdict": "holds", "finding": "Yes.", "seeds": 7},
    ]
    row = {key: ROW[key] for key in ("id", "source", "chapter", "kind", "says")}
    tiny.write("book/claims.yml", yaml.safe_dump([{**row, "id": "b-row"}, {**row, "parts": parts}]))
    plain, x, y = claims.read_register(Book(tiny.root))
    assert (plain.verdict, plain.is_open, plain.seeds) == (claims.OPEN, True, 100)
    assert (x.id, x.row, x.kind, x.is_open, x.source) == ("a-row.x", "a-row", "question", True, "000")
    assert (y.kind, y.verdict, y.seeds, y.says) == ("claim", "holds", 7, "Other.")

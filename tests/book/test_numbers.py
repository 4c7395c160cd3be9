"""Numbers in the prose that look like results and were typed."""

import sys
import time
from pathlib import Path

import pytest
import yaml

from book._tools.__main__ import main
from book._tools.layout import Book, BookError
from book._tools.numbers import EXTENSIONS, check_numbers, typed_findings, typed_numbers

ROOT = Path(__file__).parents[2]

REFUSED = [
    # text, the numbers in it that are refused, why
    ("The loss falls to 0.53.", ["0.53"], "a decimal point"),
    ("It falls to .53 or 1,024.5.", [".53", "1,024.5"], "other ways to write one"),
    ("A rate of 1e-3.", ["1e-3"], "a power of ten"),
    ("It gains -0.2 on average.", ["0.2"], "a sign does not matter"),
    ("In 43 % of them, 44% here, 45 per cent there.", ["43", "44", "45"], "a share"),
    ("With 95\u00a0% and 96&nbsp;%.", ["95", "96"], "a space that does not break"),
    ("It is 3× as fast, 4 × here, 5x there, 6-fold, 7 times.", list("34567"), "a multiple"),
    ("Slower by a factor of 3, or a factor 4.", ["3", "4"], "a multiple, the other way round"),
    ("A pentagon in 93 of 100.", ["93", "100"], "a fraction in words"),
    ("In 9 out of the 10 that we tried, 7/8 here.", ["9", "10", "7", "8"], "fractions"),
    ("In {glue:text}`found` of 10, 9 of {glue:text}`tried`.", ["10", "9"], "half of a fraction"),
    ("Found by 98 seeds, 3 runs, 12 models.", ["98", "3", "12"], "counted"),
    ("1 seed, 2 bits, 3 nats, 72 degrees, 72° more.", ["1", "2", "3", "72", "72"], "counted too"),
    ("It takes 5 s, 6 µs, 7 MB, 8 minutes.", ["5", "6", "7", "8"], "measured"),
    ("There are ≈ 3, ~4, about 5, nearly 6.", ["3", "4", "5", "6"], "a setting is exact"),
    ("It is 3 ± 1.", ["3", "1"], "an error"),
    ("It is {glue:text}`x` ± 1.", ["1"], "the error alone"),
    ("$L \\approx 0.53$ and $k \\simeq -3$.", ["0.53", "3"], "approximate, in math"),
    ("$L ≈ {0.53}$, $x \\sim 10^3$.", ["0.53", "10"], "the same"),
    ("$a \\approx 72^\\circ$, $b \\approx 3, c \\approx 4\\,\\text{bits}$.", ["72", "3", "4"], "with a unit"),
    ("$a \\approx 0.7 n$.", ["0.7"], "a fitted factor"),
    ("$L = 0.53 \\pm 0.02$.", ["0.53", "0.02"], "an error, in math"),
    ("$a = 72^\\circ \\pm 1^\\circ$.", ["72", "1"], "with a unit between"),
    ("{glue:text}`x:.1f` $\\pm 2$.", ["2"], "the error of a value of the run"),
    ("It lies at $p =$ 3, or $p \\approx$ 4.", ["3", "4"], "a formula that the text completes"),
]
ACCEPTED = [
    ("From 2022 on, 20 features in 5 dimensions.", "whole numbers"),
    ("10,000 samples, batches of 1024.", "whole numbers too"),
    ("Figure 3, Note 004, Note 002 runs it.", "names"),
    ("Half of the seeds, ten times, one in ten, two of three.", "spelt out"),
    ("About half. A talk about features.", "no digit"),
    ("The glossary has ½ and ⅖.", "exact fractions"),
    ("v1.2, torch 2.13.0, GPT2, W_1, 2-dimensional.", "parts of words and versions"),
    ("A grid of 3 × 4, or 3×4, or 20 × $m$, 20 × m.", "a size"),
    ("{glue:text}`x:.2f` %, {glue:text}`x`× as fast, {glue:text}`x` seeds.", "values of the run"),
    ("{glue:text}`x` of {glue:text}`y`, {glue:text}`x`° ± {glue:text}`y`°.", "the same"),
    ("$p \\approx$ {glue:text}`p:.2f` and $p =$ {glue:text}`p`.", "a value completes the formula"),
    ("At $p = 0.05$, $95\\,\\%$, $10^{-3}$, $5°$.", "settings, in math"),
    ("`0.53` and ``43 %``, Python `3.11`.", "code"),
    (
        "$p \\sim U(0, 1)$, $x \\in [0, 0.5]$, $\\pm 1$, $\\pm 0.5$.",
        "no number behind it, no value before it",
    ),
    ("$x \\approx 1/n$, $x \\approx 2n$, $x \\sim 1 - p$, $x \\approx 2\\sqrt m$.", "formulas"),
    ("{cite:t}`a2.5` {numref}`fig-0.5` [](x-0.5) [words](https://a.org/0.5).", "addresses"),
    ("https://a.org/0.5 <https://a.org/0.5> ![0.5](a-0.5.png)", "addresses and alternative texts"),
    ("Words <!-- 0.53 --> words.\n\n<!--\n0.53\n-->\n\n% 0.53", "comments"),
    ("(eq-0.5)=\n# Words\n\n[a]: https://a.org/0.5", "targets"),
    ("```python\nx = 0.53\n```\n\n    y = 0.53", "code blocks"),
    ("```{eval-rst}\n.. math:: x \\approx 0.5\n```", "a block in another language"),
    ("```{figure} a-0.5.svg\n:width: 12.5%\n:alt: 0.5\n\nWords.\n```", "addresses and options"),
    ("```{math}\n:label: eq-0.5\nx = 0.5\n```\n\n$$x = 0.5$$ (eq-0.6)", "settings in blocks"),
]


def numbers(text):
    return [fragment.split(" in '")[0] for _, fragment in typed_numbers(text)]


@pytest.mark.parametrize(("text", "expected", "reason"), REFUSED, ids=[reason for *_, reason in REFUSED])
def test_these_look_like_results(text, expected, reason):
    assert numbers(text) == expected, reason


@pytest.mark.parametrize(("text", "reason"), ACCEPTED, ids=[reason for _, reason in ACCEPTED])
def test_these_do_not(text, reason):
    assert numbers(text) == [], reason


NESTED = [
    ("It is **0.53**.", 1, "emphasis"),
    ("Words\n*93* of\n*the* {glue:text}`n`", 2, "a fraction that emphasis parts"),
    ("Words\nand **93** seeds", 2, "a number that emphasis parts from its noun"),
    ("Words [and\n0.53](page) words.", 2, "the text of a link"),
    ("Words `with\ncode 0.5`\n0.53", 3, "behind code over two lines"),
    ("Words $x =\n0.53$, 0.53", 2, "behind math over two lines"),
    ("\\*5\\* &amp;\n0.53", 2, "behind escaped characters"),
    ("> Words\n> {numref}`a\n> b` 0.53", 3, "a quotation"),
    ("- Words\n\n  1. words\n     0.53", 4, "a list in a list"),
    ("# 0.53", 1, "a heading"),
    ("Words[^1].\n\n[^1]: Words\n  0.53", 4, "a footnote"),
    ("term\n: Words\n  0.53", 3, "a definition"),
    (":name: Words 0.53", 1, "a field"),
    ("| a | b |\n|---|---|\n| 1 | $p$ |\n| 0.3 % | c |", 4, "a table"),
    ("<div>\n<b>0.53</b>\n</div>", 2, "HTML"),
    ("Words <b>0.53</b>", 1, "HTML in a line"),
    ("$$\nx\n\\approx 0.53\n$$", 3, "a formula of its own"),
    ("Words $x\n\\approx 0.53$", 2, "math over two lines"),
    ("\\begin{align}\nx\n&\\approx 0.53\n\\end{align}", 3, "an environment"),
    ("```{math}\n:label: eq\n\nx \\approx 0.53\n```", 4, "a directive for math"),
    ("```{note}\nWords\n\n0.53\n```", 4, "an admonition"),
    (":::{admonition} 0.53\nWords\n:::", 1, "its title"),
    (":::{note}\n:class: tip\n\n- words\n- 0.53\n:::", 5, "an admonition with options"),
    (
        "- words\n\n  ````{note}\n  ---\n  class: tip\n  ---\n  ```{tip}\n  0.53\n  ```\n  ````",
        8,
        "three deep",
    ),
    ("```{glossary}\none\n  Words\n\ntwo\n\n    0.53\n```", 7, "a glossary"),
    ("```{figure} a.svg\n:name: fig\n\nWords\n0.53\n```", 5, "a figure's caption"),
    ("```{code-cell} python\n:caption: Words 0.53\n\nx = 1.5\n```", 2, "a caption in short options"),
]
HEADS = [
    ("caption: Words 0.53", 5),
    ("caption: 'Words\n      0.53'", 6),
    ('caption: "Words $x \\\\approx 0.53$"', 5),
    ("caption: |\n      Words {numref}`fig-0.5`\n      *0.53*", 7),
    ("caption: >\n      Words\n\n      0.53", 8),
]


@pytest.mark.parametrize(("text", "line", "reason"), NESTED, ids=[reason for *_, reason in NESTED])
@pytest.mark.parametrize("above", ["", "---\ntitle: 0.5\n---\n\n# Words\n\n"], ids=["alone", "in a page"])
def test_what_is_nested_is_found_with_its_line(text, line, reason, above):
    found = typed_numbers(f"{above}{text}\n")
    assert found, reason
    assert {typed.line for typed in found} == {line + above.count("\n")}, reason


@pytest.mark.parametrize(("caption", "line"), HEADS)
def test_the_caption_in_the_head_of_a_cell_is_prose(caption, line):
    head = f"---\nmystnb:\n  figure:\n    {caption}\n  image:\n    alt: 0.5\n---\nx = 0.5"
    found = typed_numbers(f"```{{code-cell}} python\n{head}\n```\n")
    assert [(typed.line, typed.fragment[:4]) for typed in found] == [(line, "0.53")]


def test_the_complaint_shows_the_sentence():
    text = "A sentence that goes on, and {glue:text}`a` of them, at $p$ **0.53**, and then goes on and on."
    ((_, fragment),) = typed_numbers(text)
    assert fragment == "0.53 in 'goes on, and … of them, at … 0.53, and then goes on and on.'"


def test_long_runs_of_space_take_no_time():
    started = time.perf_counter()
    assert typed_numbers(f"$1{2000 * ' '}x$ 1{2000 * ' '}x {500 * '1 of '}") != []
    assert time.perf_counter() - started < 5


REGISTER = """\
- id: one
  says: It falls to 0.5.
  finding: It falls to {loss} for {found} seeds.
- id: two
  parts:
    - id: two.a
      says: "0.5"
      finding: |
        Words, at $p = 0.05$,
        and 43 % of {found}.
      corrections:
        - says: 0.5 is right
          right: >-
            {found} of
            100
"""


def test_what_the_register_found_is_prose_and_what_it_quotes_is_not():
    assert [(line, fragment.split()[0]) for line, fragment in typed_findings(REGISTER)] == [
        (10, "43"),
        (15, "100"),
    ]


def test_the_pages_of_this_book_have_no_typed_results():
    check_numbers(Book(ROOT))


def test_the_pages_are_read_as_they_are_rendered():
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
    assert set(config["parse"]["myst_enable_extensions"]) == EXTENSIONS


def test_all_complaints_come_at_once(tiny):
    tiny.plain("one", "# One\n\nIt is 0.53.")
    tiny.chapter("two", "x = 0.53")
    tiny.write("book/unlisted.md", "0.53")
    tiny.write("book/claims.yml", REGISTER)
    with pytest.raises(BookError) as caught:
        check_numbers(tiny.book())
    places = [line.split(": ")[0] for line in str(caught.value).splitlines()]
    assert places == ["book/one.md:3", "book/claims.yml:10", "book/claims.yml:15"]


def test_a_head_that_cannot_be_read_is_named(tiny):
    tiny.plain("one", "# One\n\n```{code-cell} python\n---\nx: [\n---\n```")
    with pytest.raises(BookError, match=r"book/one\.md:\d+: this cannot be read"):
        check_numbers(tiny.book())


def test_the_command_stops_at_a_typed_result(tiny, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tools", "--root", str(tiny.root), "numbers"])
    assert main() == 0
    tiny.plain("one", "# One\n\nIt holds for 93 of 100.")
    assert main() == 1
    said = capsys.readouterr().err
    assert "book/one.md:3: 93 in 'It holds for 93 of 100.': a result? put it in with glue" in said

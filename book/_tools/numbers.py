"""Find numbers in the prose of pages that look like results and were typed.

A result that was typed is wrong as soon as the run gives another one, and nothing says so. Results come by
``{glue:text}``; a setting is written as math or code. Only the form tells one from the other, so the rules
are few, and any page can be written so that it passes.

Judged are text, tables, captions and the bodies of directives, and the findings in the register of claims.
Not judged are code, roles, addresses, comments and alternative texts (no role works in those).
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import yaml

from .chapters import read_chapters
from .layout import Book, BookError

# As in _config.yml; a test compares them.
EXTENSIONS = frozenset(
    [
        "amsmath",
        "attrs_inline",
        "colon_fence",
        "deflist",
        "dollarmath",
        "fieldlist",
        "linkify",
        "substitution",
    ]
)
ADVICE = "a result? put it in with glue; a setting? write it as math or code"

# Directives whose body is not prose of the page.
_CODE = {"code", "code-block", "code-cell", "eval-rst", "literalinclude", "mermaid", "raw", "sourcecode"} | {
    "bibliography",
    "include",
    "tableofcontents",
    "toctree",
}
# Directives whose argument is a name or an address.
_NAMED = _CODE | {"figure", "image"}

# What stands in a sentence for a value of the run, and for math, code or another role. Neither is a letter.
_VALUE, _OTHER = "\ue000", "\ue001"

# Part of a word (v1.2) or of a version (1.0.4) is no number.
_NUMBER = (
    r"(?<![\w.])(?:[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-−+]?[0-9]+)?"
    r"(?!\.?[0-9]|,[0-9]{3}(?![0-9]))"
)
_ANY = rf"(?:{_NUMBER}|{_VALUE})"
_COUNTED = "seeds?|runs?|models?|times|bits?|nats?|degrees?|seconds?|minutes?|hours?|[nµμm]?s|[kKMGT]i?B"
_INEXACT = "about|around|roughly|approximately|nearly|almost"
# Every number inside a match is typed where a result should be.
_RULES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_NUMBER}\s?(?:[%‰°]|per\s?cent\b)",
        # In a size such as 3 × 4 or 3 × m another number follows.
        rf"{_NUMBER}(?:x\b|-?fold\b|\s?×(?!\s*(?:[0-9{_VALUE}{_OTHER}]|\w\b)))",
        rf"{_NUMBER}\s+(?:{_COUNTED})\b",
        rf"{_ANY}\s+(?:out\s+)?of\s+(?:the\s+|its\s+|all\s+)?{_ANY}",
        rf"{_ANY}\s?/\s?{_ANY}",
        rf"{_ANY}[\s°%]*±\s*{_ANY}",
        rf"[≈≃∼~]\s*{_NUMBER}",
        rf"\b(?i:{_INEXACT}|factor(?:\s+of)?)\s+{_NUMBER}",
    )
)

_MATH_NUMBER = r"(?:[0-9]+(?:\{?,\}?[0-9]{3})*(?:\.[0-9]+)?|\.[0-9]+)"
_MATH_GAP = r"\s|\\[,;:! ]|[{}~&]"
_MATH_SPACE = rf"(?:{_MATH_GAP})*"
_MATH_ABOUT = re.compile(
    rf"(?:\\(?:approx|sim|simeq|cong)(?![A-Za-z])|[≈≃∼]){_MATH_SPACE}[-−+]?{_MATH_SPACE}(?P<number>{_MATH_NUMBER})"
)
_MATH_ERROR = re.compile(
    rf"(?P<number>{_MATH_NUMBER})(?:\^\{{?\\circ\}}?|\\%|°|{_MATH_GAP})*(?:\\pm(?![A-Za-z])|±){_MATH_SPACE}"
    rf"(?P<error>{_MATH_NUMBER})"
)
_MATH_ERROR_ALONE = re.compile(rf"\s*(?:\\pm(?![A-Za-z])|±){_MATH_SPACE}(?P<error>{_MATH_NUMBER})")
# Behind a whole number: the beginning of a formula such as 2n, 1/n or 1 - p.
_FORMULA = re.compile(
    r"(?:\s|\\[,;:!])*(?:[A-Za-z(+−-]|/(?!\s*[0-9])|\^\{?[A-Za-z]"
    r"|\\(?!(?:approx|circ|dots|geq?|ldots|leq?|mathrm|pm|qquad|quad|sim|simeq|text|times|to)\b)[A-Za-z])"
)
_ENDS_OPEN = re.compile(r"(?:[=<>≈≃∼≤≥]|\\(?:approx|sim|simeq|cong|leq?|geq?|ll|gg))\s*$")

# What a text of the register asks from the evidence.
_PLACEHOLDER = re.compile(r"\{[a-z_][a-z0-9_]*\}(?!`)")


class Typed(NamedTuple):
    """A number that was typed: its line, counted from 1, and the number with what stands around it."""

    line: int
    fragment: str


def check_numbers(book: Book) -> None:
    """See that no typed number looks like a result, on any page or in a finding of the register of claims.

    Raises:
        BookError: one has; the message names each with its file and line.
    """
    complaints = []
    for chapter in read_chapters(book):
        complaints += _complaints(f"{chapter.name}.md", chapter.text, typed_numbers)
    path = book.root / "book" / "claims.yml"
    if path.exists():
        complaints += _complaints("book/claims.yml", path.read_text("utf8"), typed_findings)
    if complaints:
        raise BookError("\n".join(complaints))


def _complaints(name: str, text: str, find: Callable[[str], list[Typed]]) -> list[str]:
    try:
        return [f"{name}:{line}: {fragment}: {ADVICE}" for line, fragment in find(text)]
    except BookError as error:
        return [f"{name}:{error}"]


def typed_numbers(text: str) -> list[Typed]:
    """The numbers in the prose of a page in MyST Markdown that look like results and were typed, in order."""
    return sorted(_judge(text, 1), key=lambda typed: typed.line)


def typed_findings(text: str) -> list[Typed]:
    """The same for the register of claims: its findings, and what it says is right instead."""
    found = _yaml_texts(text, 1, {"finding", "right"})
    typed = [t for line, value in found for t in _judge(_PLACEHOLDER.sub(_VALUE, value), line)]
    return sorted(typed, key=lambda typed: typed.line)


@cache
def _parser() -> Any:
    # Imported here: this is slow, and the other commands do without.
    from markdown_it.renderer import RendererHTML
    from myst_parser.config.main import MdParserConfig
    from myst_parser.parsers.mdit import create_md_parser

    parser = create_md_parser(MdParserConfig(enable_extensions=set(EXTENSIONS)), RendererHTML)
    # Joined with its neighbours, a character that was written as \* or &amp; would not be found in the file.
    return parser.disable("text_join")


def _judge(text: str, first: int) -> Iterator[Typed]:
    """Judge Markdown whose first line has this number in its file."""
    text = text.replace("\r\n", "\n")
    lines = text.split("\n")
    for token in _parser().parse(text):
        if token.map is None:
            continue
        start, end = token.map
        line = first + start
        source = "\n".join(lines[start : max(end, start + 1)])
        if token.type == "inline":
            yield from _judge_inline(token.children or [], source, line)
        elif token.type in ("fence", "colon_fence"):
            yield from _judge_directive(token.info.strip(), token.content, line)
        elif token.type in ("math_block", "math_block_label", "amsmath"):
            before = source[: max(source.find(token.content), 0)]
            yield from _judge_math(token.content, line + before.count("\n"))
        elif token.type == "html_block":
            hidden = r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|<[^>]*>"
            shown = re.sub(hidden, lambda m: " " + "\n" * m[0].count("\n"), source, flags=re.DOTALL)
            yield from _judge_sentence(shown, [line + shown[:i].count("\n") for i in range(len(shown))])


def _judge_inline(children: list[Any], source: str, line: int) -> Iterator[Typed]:
    """Judge a paragraph, heading or cell, in one piece: emphasis may part a number from its noun."""
    sentence: list[str] = []
    where: list[int] = []
    position = 0
    skipping = False
    for child in children:
        # The parser says only where the paragraph begins, so each piece is looked up after the one before.
        raw = child.markup if child.type == "text_special" else child.content
        found = re.compile(r"[\s>]+".join(map(re.escape, raw.split()))).search(source, position)
        begin, position = found.span() if found else (position, position)
        here = line + source.count("\n", 0, begin)
        if child.type == "link_open" and child.markup in ("autolink", "linkify"):
            skipping = True
        elif child.type == "link_close":
            skipping = False
        elif child.type in ("softbreak", "hardbreak"):
            position = max(source.find("\n", position) + 1, position)
        if child.type.startswith("math_inline"):
            before = "".join(sentence).rstrip()
            measured = before.endswith(_VALUE) or bool(re.search(r"[0-9][°%]?$", before))
            yield from _judge_math(child.content, here, measured)
        piece = _OTHER if skipping else _piece(child)
        sentence.append(piece)
        where += [here] * len(piece)
    yield from _judge_sentence("".join(sentence), where)


def _piece(child: Any) -> str:
    """What a part of a paragraph looks like to the rules."""
    if child.type in ("text", "text_special"):
        return str(child.content)
    if child.type in ("softbreak", "hardbreak"):
        return " "
    if child.type == "myst_role":
        return _VALUE if child.meta["name"].startswith("glue") else _OTHER
    if child.type.startswith("math_inline"):
        # "$p =$ 3" is how one would type what "$p =$ {glue:text}`p`" should be.
        return f"{_OTHER}≈" if _ENDS_OPEN.search(child.content) else _OTHER
    if child.type in ("code_inline", "image", "footnote_ref", "substitution_inline"):
        return _OTHER
    return ""  # emphasis, links and HTML tags, around text of their own


def _judge_directive(info: str, content: str, line: int) -> Iterator[Typed]:
    match = re.match(r"\{([^}\s]+)\}\s*(.*)", info)
    if not match:
        return  # fenced code
    name, argument = match[1], match[2]
    lines = content.split("\n")
    head, body = _split_head(lines)
    for start, caption in _yaml_texts("\n".join(head), line + 1, {"caption"}):
        yield from _judge(caption, start)
    rest, below = "\n".join(lines[body:]), line + 1 + body
    if name == "math":
        yield from _judge_math(argument, line)
        yield from _judge_math(rest, below)
        return
    if name not in _NAMED and not name.startswith("glue"):
        yield from _judge(argument, line)
    if name not in _CODE:
        # Definitions in a glossary are indented, which elsewhere can mean code.
        shallow = re.sub(r"(?m)^[ \t]+", "", rest) if name == "glossary" else rest
        yield from _judge(shallow, below)


def _split_head(lines: list[str]) -> tuple[list[str], int]:
    """The options of a directive as lines of YAML, one for each of its own, and where its body begins."""
    if lines[0].strip() == "---":
        end = next((i for i, text in enumerate(lines[1:], start=1) if text.strip() == "---"), len(lines))
        return ["", *lines[1:end]], end + 1
    count = next((i for i, text in enumerate(lines) if not text.startswith(":")), len(lines))
    return [text[1:] for text in lines[:count]], count


def _yaml_texts(source: str, first: int, keys: set[str]) -> Iterator[tuple[int, str]]:
    """The texts under some keys at any depth, each with its first line, in the lines that they have there."""
    try:
        root = yaml.compose(source)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise BookError(f"{first + (mark.line if mark else 0)}: this cannot be read: {error}") from error
    left = [root] if root else []
    while left:
        node = left.pop()
        if isinstance(node, yaml.SequenceNode):
            left += node.value
        if not isinstance(node, yaml.MappingNode):
            continue
        for key, value in node.value:
            if isinstance(value, yaml.ScalarNode):
                if key.value not in keys:
                    continue
                raw = source[value.start_mark.index : value.end_mark.index]
                if value.style in ("|", ">"):
                    raw = "\n" + raw.partition("\n")[2]
                elif value.style:
                    raw = raw[1:-1]
                yield first + value.start_mark.line, re.sub(r"(?m)^[ \t]+", "", raw)
            else:
                left.append(value)


def _judge_sentence(text: str, where: list[int]) -> Iterator[Typed]:
    """Judge plain text; ``where`` has the line of each character."""
    numbers = {match.start(): match for match in re.finditer(_NUMBER, text)}
    typed = {start for start, match in numbers.items() if re.search(r"[.eE]", match[0])}
    for rule in _RULES:
        for match in rule.finditer(text):
            typed |= {start for start in numbers if match.start() <= start < match.end()}
    for start in sorted(typed):
        number = numbers[start][0]
        # 002 is a name.
        if not re.fullmatch(r"0[0-9]+", number):
            yield Typed(where[start], _fragment(number, text, start))


def _judge_math(math: str, first: int, measured: bool = False) -> Iterator[Typed]:
    """Judge a formula; ``measured`` says that a number stands right before it."""
    typed = set()
    for match in _MATH_ABOUT.finditer(math):
        if "." in match["number"] or not _FORMULA.match(math, match.end()):
            typed.add(match.span("number"))
    for match in _MATH_ERROR.finditer(math):
        typed |= {match.span("number"), match.span("error")}
    if measured and (alone := _MATH_ERROR_ALONE.match(math)):
        typed.add(alone.span("error"))
    for start, end in sorted(typed):
        yield Typed(first + math.count("\n", 0, start), _fragment(math[start:end], math, start))


def _fragment(number: str, text: str, start: int, reach: int = 30) -> str:
    """The number, and where it stands: some words on both sides."""
    low, high = max(start - reach, 0), min(start + len(number) + reach, len(text))
    if low and " " in text[low:start]:
        low = text.index(" ", low, start)
    if high < len(text) and " " in text[start + len(number) : high]:
        high = text.rindex(" ", start + len(number), high)
    around = re.sub(f"{_OTHER}≈|[{_VALUE}{_OTHER}]", "…", text[low:high])
    return f"{number} in '{' '.join(around.split())}'"

"""The register of claims: what the book answers, and whether the evidence carries the declared verdicts.

``book/claims.yml`` declares a verdict for each statement; chapters record evidence while they run
(`tms.Evidence`); here both are brought together. What does not fit stops the build.
"""

import dataclasses
import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tms.evidence import MIME_TYPE, VERDICTS, EvidenceError, Piece, pieces_in, verdict

from .chapters import Chapter, content_hash
from .layout import Book, BookError

OPEN = "not yet answered"
KINDS = ("claim", "question", "proof", "figure", "setup", "critique")

# Kinds that ask something, and so may be answered. The others state something, and get a verdict on it.
ASKING = ("question", "critique")
# Verdicts that say that a source is wrong at least in part: they owe the reader what is right.
WRONG = ("corrected", "refuted", "holds with conditions")

# Seeds behind a piece of evidence for which something was trained, unless the register states another number.
SEEDS = 100

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)?")
# {name}, but not in a formula, and not the name of a role.
_PLACEHOLDER = re.compile(r"\$[^$]*\$|\{([a-z_][a-z0-9_]*)\}(?!`)")


@dataclass(frozen=True)
class Correction:
    """One sentence of a source that is wrong: what it says, and what is right."""

    says: str
    right: str


@dataclass(frozen=True)
class Statement:
    """What gets one verdict: a row of the register, or one part of a row that states several things.

    Attributes:
        id: its name; that of a part begins with the row's and a full stop.
        row: the row's id.
        source: a note's number, or TMS, or another paper.
        chapter: where the book answers it (file name under ``book/``, without its ending).
        kind: one of `KINDS`.
        says: the statement, in this book's words.
        verdict: the declared one, `OPEN` if there is none yet.
        finding: what was found, in a sentence or two. ``{name}`` stands for that piece of evidence's value.
        corrections: sentences of the source that are wrong.
        seeds: the least number of seeds behind each piece for which something was trained.
        line: of the register's file, on which the row begins.
    """

    id: str
    row: str
    source: str
    chapter: str
    kind: str
    says: str
    verdict: str
    finding: str
    corrections: tuple[Correction, ...]
    seeds: int
    line: int

    @property
    def is_open(self) -> bool:
        return self.verdict == OPEN


@dataclass(frozen=True)
class Found:
    """A piece of evidence and the page that recorded it, such as ``book/reproduction``."""

    page: str
    piece: Piece


@dataclass(frozen=True)
class Register:
    """All statements, in order, and the evidence on each; empty in a book without a register."""

    statements: tuple[Statement, ...] = ()
    evidence: tuple[Found, ...] = ()

    def on(self, statement: Statement) -> list[Found]:
        return [found for found in self.evidence if found.piece.claim == statement.id]

    def finding(self, statement: Statement) -> str:
        """The finding with the values of its evidence put in."""
        return _fill(statement.finding, self._values(statement))

    def right(self, statement: Statement, correction: Correction) -> str:
        """What is right instead, with the values put in."""
        return _fill(correction.right, self._values(statement))

    def _values(self, statement: Statement) -> dict[str, str]:
        # The parts of a row may use each other's values.
        pieces = [f.piece for f in self.evidence if _row(f.piece) == statement.row]
        return {piece.name: piece.shown for piece in pieces if piece.name}


def register_file(book: Book) -> Path:
    return book.root / "book" / "claims.yml"


def claims_file(book: Book) -> Path:
    """Where the judged register lies for the pages that show it."""
    return book.work / "claims.json"


def evidence_file(book: Book, page: str) -> Path:
    """Beside the executed notebook."""
    return book.executed / f"{page}.evidence.json"


def read_register(book: Book) -> list[Statement]:
    """Read and check ``book/claims.yml``; a book without one has no statements.

    Raises:
        BookError: something is missing, unknown or there twice. The message names the row.
    """
    path = register_file(book)
    if not path.exists():
        return []
    try:
        node = yaml.compose(path.read_text("utf8"))
        rows = yaml.safe_load(path.read_text("utf8"))
    except yaml.YAMLError as error:
        raise BookError(f"book/claims.yml cannot be read: {error}") from error
    if not isinstance(rows, list):
        raise BookError("book/claims.yml must be a list of rows")
    problems: list[str] = []
    statements: list[Statement] = []
    for row, where in zip(rows, node.value, strict=True):
        line = where.start_mark.line + 1
        try:
            _check_once(where)
            statements += _statements(row, line)
        except BookError as error:
            problems.append(f"book/claims.yml:{line}: {error}")
    for name, times in Counter(s.id for s in statements).items():
        if times > 1:
            lines = ", ".join(str(s.line) for s in statements if s.id == name)
            problems.append(f"book/claims.yml: {name} is there {times} times (lines {lines})")
    if problems:
        raise BookError("\n".join(problems))
    return statements


def _check_once(node: yaml.Node) -> None:
    """See that no key of a mapping, or of one inside it, is there twice: YAML takes the last one silently."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_once(item)
    elif isinstance(node, yaml.MappingNode):
        for name, times in Counter(key.value for key, _ in node.value).items():
            if times > 1:
                raise BookError(f"{name} is there {times} times in the mapping that begins here")
        for _, value in node.value:
            _check_once(value)


def _statements(row: Any, line: int) -> list[Statement]:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise BookError(f"a row must be a mapping with an id, not {row!r}")
    if "." in row["id"]:
        raise BookError(f"{row['id']}: a full stop is for the parts of a row")
    own = {"id", "source", "chapter", "kind", "says"}
    judged = {"verdict", "finding", "corrections", "seeds"}
    allowed = own | ({"parts"} if "parts" in row else judged)
    _check_keys(row, row["id"], allowed, own)
    if row["kind"] not in KINDS:
        raise BookError(f"{row['id']}: kind must be one of {', '.join(KINDS)}, not {row['kind']!r}")
    if "parts" not in row:
        return [_statement(row, row, line)]
    parts = row["parts"]
    if not isinstance(parts, list) or len(parts) < 2 or not all(isinstance(part, dict) for part in parts):
        raise BookError(f"{row['id']}: parts must be a list of at least two mappings")
    for part in parts:
        name = str(part.get("id"))
        _check_keys(part, name, judged | {"id", "says", "kind"}, {"id", "says"})
        if not name.startswith(f"{row['id']}."):
            raise BookError(f"{name}: a part's id begins with its row's, {row['id']}.")
        if part.get("kind", row["kind"]) not in KINDS:
            raise BookError(f"{name}: kind must be one of {', '.join(KINDS)}, not {part['kind']!r}")
    return [_statement({**row, **part}, row, line) for part in parts]


def _statement(data: dict[str, Any], row: dict[str, Any], line: int) -> Statement:
    name = data["id"]
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise BookError(f"{name}: an id is made of small letters, digits and hyphens")
    declared = data.get("verdict", OPEN)
    if declared not in (*VERDICTS, OPEN):
        raise BookError(f"{name}: the verdict must be one of {', '.join(VERDICTS)}, {OPEN}; not {declared!r}")
    given = data.get("corrections") or []
    if not isinstance(given, list) or any(
        not isinstance(c, dict)
        or set(c) != {"says", "right"}
        or not all(isinstance(t, str) and t.strip() for t in c.values())
        for c in given
    ):
        raise BookError(f"{name}: corrections must be a list of mappings with texts 'says' and 'right'")
    seeds = data.get("seeds", SEEDS)
    if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
        raise BookError(f"{name}: seeds must be a whole number, at least 1, not {seeds!r}")
    words = {key: data.get(key, "") for key in ("source", "chapter", "says", "finding")}
    for key, text in words.items():
        if not isinstance(text, str) or (key != "finding" and not text.strip()):
            raise BookError(f"{name}: {key} must be text, not {text!r}")
    if declared != OPEN and not words["finding"].strip():
        raise BookError(f"{name}: the verdict is {declared}, but there is no finding")
    if declared in WRONG and not given:
        raise BookError(f"{name}: the verdict is {declared}, but no correction says what is right")
    if declared == "answered" and data["kind"] not in ASKING:
        raise BookError(f"{name}: only a question or a critique is answered; this is a {data['kind']}")
    return Statement(
        id=name,
        row=row["id"],
        source=words["source"],
        chapter=words["chapter"],
        kind=data["kind"],
        says=words["says"].strip(),
        verdict=declared,
        finding=words["finding"].strip(),
        corrections=tuple(Correction(c["says"].strip(), c["right"].strip()) for c in given),
        seeds=seeds,
        line=line,
    )


def _check_keys(data: dict[str, Any], name: str, allowed: set[str], required: set[str]) -> None:
    missing, unknown = sorted(required - set(data)), sorted(set(data) - allowed)
    if missing:
        raise BookError(f"{name}: has no {', '.join(missing)}")
    if unknown:
        raise BookError(
            f"{name}: {', '.join(map(str, unknown))} is not known here; allowed: {', '.join(sorted(allowed))}"
        )


def write_evidence(path: Path, notebook: Any, stamp: dict[str, str]) -> None:
    """Take what an executed notebook recorded out of it, and keep it with its run's stamp and a checksum.

    A collection that was shown more than once counts as it was shown last. The table that readers see stays
    in the notebook; of the data Sphinx would warn, as it does not know what to do with them.
    """
    shown = [
        output["data"].pop(MIME_TYPE)
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if MIME_TYPE in output.get("data", {})
    ]
    pieces = [piece.to_data() for piece in pieces_in(shown[-1])] if shown else []
    data = {"stamp": stamp, "sha256": _checksum(pieces), "pieces": pieces}
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n", "utf8")
    draft.replace(path)


def read_evidence(path: Path, stamp: dict[str, str]) -> list[Piece]:
    """The evidence of one run.

    Raises:
        BookError: the file is missing or damaged, or is of another run.
    """
    again = f"remove {path.with_name(path.name.replace('.evidence.json', '.ipynb'))} to run the chapter again"
    try:
        data = json.loads(path.read_text("utf8"))
        sound = data["sha256"] == _checksum(data["pieces"])
        pieces = pieces_in(data)
        made_from = data["stamp"]
    except OSError as error:
        raise BookError(f"its evidence cannot be read ({error}); {again}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BookError(f"its evidence in {path} is damaged ({error}); {again}") from error
    if not sound:
        raise BookError(f"its evidence in {path} is damaged (wrong checksum); {again}")
    if made_from != stamp:
        raise BookError(f"its evidence in {path} is of an older text, library or parameter set; {again}")
    return pieces


def _checksum(pieces: Any) -> str:
    return hashlib.sha256(json.dumps(pieces, sort_keys=True).encode()).hexdigest()


def gather(book: Book, chapters: Sequence[Chapter], environment: str) -> Register:
    """Bring the register and the evidence of all chapters together, and see that they agree.

    A small run proves nothing: its evidence is read, so that a damaged file is noticed, and left out.

    Raises:
        BookError: every disagreement, each with the statement's id.
    """
    statements = read_register(book)
    problems, evidence = [], []
    for chapter in chapters:
        if not chapter.is_notebook:
            continue
        stamp = {"size": book.size, "hash": content_hash(book, chapter, environment)}
        try:
            pieces = read_evidence(evidence_file(book, chapter.name), stamp)
        except BookError as error:
            mine = [
                f"{s.id} (declared {s.verdict})" for s in statements if f"book/{s.chapter}" == chapter.name
            ]
            about = f" It has to carry {', '.join(mine)}." if mine else ""
            problems.append(f"{chapter.name}: {error}.{about}")
            continue
        evidence += [Found(chapter.name, piece) for piece in pieces]
    if book.size == "small":
        known = {statement.id for statement in statements}
        unknown = sorted({found.piece.claim for found in evidence} - known)
        problems += [f"{name}: there is evidence on it, but it is not in book/claims.yml" for name in unknown]
        register = Register(tuple(statements))
    else:
        register = Register(tuple(statements), tuple(evidence))
        if not problems:
            problems = disagreements(register, [chapter.name for chapter in chapters])
    if problems:
        raise BookError("The evidence does not carry the register:\n" + "\n".join(problems))
    return register


def disagreements(register: Register, pages: Iterable[str]) -> list[str]:
    """Everything in which declared verdicts and evidence differ, one line each."""
    pages = set(pages)
    problems = []
    known = {statement.id for statement in register.statements}
    for name in dict.fromkeys(found.piece.claim for found in register.evidence):
        if name not in known:
            where = _where([f for f in register.evidence if f.piece.claim == name])
            parts = sorted(other for other in known if other.startswith(f"{name}."))
            hint = f"; its parts are {', '.join(parts)}" if parts else ""
            problems.append(
                f"{name}: there is evidence on it ({where}), but it is not in book/claims.yml{hint}"
            )
    for statement in register.statements:
        found = register.on(statement)
        prefix = f"{statement.id}: declared {statement.verdict}"
        where = _where(found) or f"book/{statement.chapter}"
        home = f"book/{statement.chapter}"
        if statement.is_open and not found:
            if home in pages:
                problems.append(f"{prefix}, but {home} is in the book and has to answer it")
            continue
        if not found:
            problems.append(
                f"{prefix}, but no chapter has recorded evidence; does {home} show its collection?"
            )
            continue
        few = [f for f in found if 0 < f.piece.seeds < statement.seeds]
        problems += [
            f"{prefix}, for at least {statement.seeds} seeds; '{f.piece.what}' has {f.piece.seeds} ({f.page})"
            for f in few
        ]
        try:
            follows = verdict([f.piece for f in found])
        except EvidenceError as error:
            problems.append(f"{prefix}, but {error} ({where})")
            continue
        if follows != statement.verdict:
            shown = "; ".join(f"{f.piece.what}: {f.piece.shown}, expected {f.piece.expected}" for f in found)
            problems.append(f"{prefix}, but from the evidence follows {follows} ({where}): {shown}")
        if statement.kind == "figure" and not any(f.piece.figure for f in found):
            problems.append(f"{prefix}, but no piece of its evidence names a figure ({where})")
        problems += [f"{prefix}, but {problem} ({where})" for problem in _text(register, statement)]
    return problems


def _text(register: Register, statement: Statement) -> list[str]:
    """What is wrong with the values that a statement's finding and corrections ask for."""
    texts = [statement.finding, *(c.right for c in statement.corrections)]
    asked = sorted({name for text in texts for name in _PLACEHOLDER.findall(text) if name})
    named = Counter(f.piece.name for f in register.evidence if _row(f.piece) == statement.row)
    return [
        f"its text asks for {{{name}}}, and {named[name] or 'no'} pieces of evidence have that name"
        for name in asked
        if named[name] != 1
    ]


def _row(piece: Piece) -> str:
    return piece.claim.split(".")[0]


def _where(found: Iterable[Found]) -> str:
    return ", ".join(dict.fromkeys(f.page for f in found))


def _fill(text: str, values: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], "…") if match[1] else match[0], text)


def counts(register: Register) -> dict[str, int]:
    """How many rows there are and are answered, and how many statements have which verdict."""
    rows: dict[str, list[Statement]] = {}
    for statement in register.statements:
        rows.setdefault(statement.row, []).append(statement)
    answered = sum(not any(s.is_open for s in parts) for parts in rows.values())
    by_verdict = Counter(statement.verdict for statement in register.statements)
    return {
        "rows": len(rows),
        "answered": answered,
        "open": len(rows) - answered,
        "statements": len(register.statements),
        # "answered" alone are the rows.
        **{
            "answered statements" if name == "answered" else name: by_verdict[name]
            for name in (*VERDICTS, OPEN)
        },
    }


def write_claims(book: Book, register: Register) -> None:
    """Write the judged register as JSON: for the pages that show it, and for machines.

    The file is left alone if nothing changed: Sphinx goes by time stamps.
    """
    data = {
        "size": book.size,
        "counts": counts(register),
        "statements": [
            {
                **dataclasses.asdict(statement),
                "finding": register.finding(statement),
                "corrections": [
                    {"says": c.says, "right": register.right(statement, c)} for c in statement.corrections
                ],
                "evidence": [
                    {
                        "page": found.page,
                        **found.piece.to_data(),
                        "expected": found.piece.expected,
                        "outcome": found.piece.outcome,
                    }
                    for found in register.on(statement)
                ],
            }
            for statement in register.statements
        ],
    }
    path = claims_file(book)
    text = json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    if path.exists() and path.read_text("utf8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(text, "utf8")
    draft.replace(path)


def publish_claims(book: Book) -> None:
    """Put the register among the rendered pages, for machines."""
    shutil.copyfile(claims_file(book), book.rendered / "claims.json")


def check_figures(book: Book, register: Register) -> None:
    """See that every figure that evidence names is on the page of the chapter that recorded it.

    Raises:
        BookError: one is not.
    """
    declared = {statement.id: statement.verdict for statement in register.statements}
    problems = []
    for found in register.evidence:
        label, claim = found.piece.figure, found.piece.claim
        html = (book.rendered / f"{found.page}.html").read_text("utf8") if label else ""
        if label and f'id="{label}"' not in html:
            problems.append(
                f"{claim}: declared {declared[claim]}, but its evidence names the figure {label}, which is"
                f" not on {found.page} ('{found.piece.what}')"
            )
    if problems:
        raise BookError("\n".join(problems))

"""The register on the pages: badges in the prose, Claims and Corrections (a Sphinx extension).

    {claim}`triangle-3-2`            role: the verdict as a badge, which links to the register
    {claim-count}`answered`          role: a number of the register, such as rows, answered, refuted
    {claim-verdict}`refuted`         role: a verdict as it looks in badges, without a link
    :::{claim} triangle-3-2          directive: one statement with verdict, finding and evidence
    :::{claims}                      directive: all statements as a table; with `:chapter: x` those of x
    :::{corrections}                 directive: what the sources have wrong, and what is right

All of it shows ``claims.json``, which the build writes beside the staged pages once the verdicts were
checked.
"""

import html
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

logger = logging.getLogger(__name__)

#: How a verdict looks, not by colour alone: a symbol and its words.
SYMBOLS = {
    "holds": "✓",
    "holds with conditions": "◐",
    "corrected": "↻",
    "refuted": "✗",
    "answered": "●",
    "not testable as stated": "∅",
    "not yet answered": "○",
}
#: What evidence is about, for readers.
ROLES = {
    "statement": "on the statement",
    "replacement": "on what is right instead",
    "answer": "answer",
    "instead": "tested instead",
}


class Badge(nodes.Inline, nodes.TextElement):  # type: ignore[misc]
    """A verdict; becomes a link to the statement's row in the register once all pages are known."""


class Link(nodes.reference):  # type: ignore[misc]
    """A link with a name of its own for those who hear it, ``label``: "Reproduction" alone says little."""


class Places(nodes.General, nodes.Element):  # type: ignore[misc]
    """Links to where a statement is dealt with; filled once all pages are known."""


def register(env: BuildEnvironment) -> dict[str, Any]:
    """What the build wrote; read once, and again by the next build."""
    known: dict[str, Any] | None = getattr(env, "tms_register", None)
    if known is None:
        path = _register_file(env)
        known = json.loads(path.read_text("utf8")) if path.exists() else {"counts": {}, "statements": []}
        known["by_id"] = {s["id"]: s for s in known["statements"]}
        env.tms_register = known  # type: ignore[attr-defined]
    return known


def _register_file(env: BuildEnvironment) -> Path:
    return Path(env.srcdir).parent / "claims.json"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def shown(env: BuildEnvironment) -> dict[str, Any]:
    """The register, and a note that the page being read depends on it."""
    env.note_dependency(str(_register_file(env)))
    return register(env)


def statement_of(env: BuildEnvironment, name: str, location: Any) -> dict[str, Any] | None:
    """One statement; a warning, which stops the build, if there is none of this name."""
    by_id = shown(env)["by_id"]
    found: dict[str, Any] | None = by_id.get(name)
    if found is None:
        parts = [other for other in by_id if other.startswith(f"{name}.")]
        hint = f"; its parts are {', '.join(parts)}" if parts else ""
        logger.warning("claim %r is not in book/claims.yml%s", name, hint, location=location)
    return found


class ClaimRole(SphinxRole):
    """A badge at the place where a statement is dealt with."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        statement = statement_of(self.env, self.text, self.get_location())
        if statement is None:
            return [], []
        placed: dict[str, list[str]] = self.env.tms_places  # type: ignore[attr-defined]
        pages = placed.setdefault(statement["id"], [])
        node = Badge("", claim=statement["id"], verdict=statement["verdict"], home=False)
        if self.env.docname not in pages:
            pages.append(self.env.docname)
            node["home"] = True  # where the register's link lands
        return [node], []


class VerdictRole(SphinxRole):
    """A verdict's symbol and words, to explain them."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        if self.text not in SYMBOLS:
            logger.warning("%r is no verdict", self.text, location=self.get_location())
            return [], []
        return [_verdict(self.text)], []


class CountRole(SphinxRole):
    """A number of the register."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        counts = shown(self.env)["counts"]
        if self.text not in counts:
            logger.warning(
                "%r is not counted; there are %s", self.text, ", ".join(counts), location=self.get_location()
            )
            return [], []
        return [nodes.Text(str(counts[self.text]))], []


class _Directive(SphinxDirective):
    def text(self, markdown: str) -> list[nodes.Node]:
        """Markdown as nodes, in a paragraph."""
        return self.parse_text_to_nodes(markdown)

    def inline(self, markdown: str) -> list[nodes.Node]:
        """Markdown of one paragraph as the nodes inside it."""
        found = self.text(markdown)
        return list(found[0].children) if len(found) == 1 and isinstance(found[0], nodes.paragraph) else found

    def evidence(self, statement: dict[str, Any]) -> list[nodes.Node]:
        """The pieces of evidence as a list, folded."""
        pieces = statement["evidence"]
        if not pieces:
            return []
        items = []
        for piece in pieces:
            about = nodes.inline("", ROLES[piece["role"]], classes=["claim-role"])
            if piece["when"]:
                about += [nodes.Text(" · "), *self.inline(piece["when"])]
            line = nodes.paragraph("", "", about, nodes.Text(" "), *self.inline(piece["what"]))
            line += [nodes.Text(": "), nodes.strong("", piece["shown"])]
            why = nodes.paragraph(classes=["claim-why"])
            why += nodes.Text(f"Expected {piece['expected']}: ")
            why += nodes.inline("", _outcome(piece), classes=[f"claim-{_slug(_outcome(piece))}"])
            why += [nodes.Text(". "), *self.inline(f"{piece['since'].rstrip('.')}.")]
            why += nodes.Text(f" {_seeds(piece)}")
            if piece["figure"]:
                why += [nodes.Text(" "), *self.inline(f"{{numref}}`{piece['figure']}`.")]
            items.append(nodes.list_item("", line, why))
        count = f"{len(pieces)} pieces of evidence" if len(pieces) > 1 else "1 piece of evidence"
        return [
            nodes.raw("", f'<details class="claim-evidence"><summary>{count}</summary>', format="html"),
            nodes.bullet_list("", *items),
            nodes.raw("", "</details>", format="html"),
        ]


def _outcome(piece: dict[str, Any]) -> str:
    return "as expected" if piece["outcome"] else "not as expected"


def _seeds(piece: dict[str, Any]) -> str:
    return f"{piece['seeds']} seeds." if piece["seeds"] else "Computed, nothing trained."


class ClaimDirective(_Directive):
    """One statement with its verdict, finding and evidence."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        statement = statement_of(self.env, self.arguments[0], self.get_location())
        if statement is None:
            return []
        card = nodes.container(classes=["claim-card", f"claim-is-{_slug(statement['verdict'])}"])
        head = nodes.paragraph("", "", nodes.literal("", statement["id"]), classes=["claim-head"])
        head += [
            nodes.Text(" "),
            Badge("", claim=statement["id"], verdict=statement["verdict"], home=False),
        ]
        card += [head, *self.text(f"*{_source(statement)} says:* {statement['says']}")]
        if statement["finding"]:
            card += self.text(f"*Found:* {statement['finding']}")
        card += self.evidence(statement)
        return [card]


class ClaimsDirective(_Directive):
    """All statements, or those of one chapter, as a table."""

    option_spec: ClassVar[dict[str, Any]] = {"chapter": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        chapter = self.options.get("chapter")
        all_statements = shown(self.env)["statements"]
        statements = [s for s in all_statements if chapter in (None, s["chapter"])]
        if not statements:
            logger.warning("no statement has the chapter %r", chapter, location=self.get_location())
            return []
        if chapter is None:
            if self.env.tms_home not in (None, self.env.docname):  # type: ignore[attr-defined]
                logger.warning("the register is on two pages", location=self.get_location())
            self.env.tms_home = self.env.docname  # type: ignore[attr-defined]
        columns = ("Statement", "Verdict and finding", "Where")
        rows = [self._row(s, is_home=chapter is None) for s in statements]
        table = _table(columns, rows, ["claims-table", *(["claims-all"] if chapter is None else [])])
        return [table]

    def _row(self, statement: dict[str, Any], is_home: bool) -> nodes.row:
        row = nodes.row()
        if is_home:
            row["ids"] = [statement["id"]]
            row["classes"] = ["claim-row"]
            # For claims.js. docutils writes no attributes of our own, but it does write classes.
            row["classes"] += [
                f"verdict--{_slug(statement['verdict'])}",
                f"chapter--{_slug(statement['chapter'])}",
                f"source--{_slug(statement['source'])}",
            ]
        name = nodes.paragraph(classes=["claim-head"])
        label: nodes.Node = nodes.literal("", statement["id"])
        if is_home:
            label = nodes.reference("", "", label, internal=True, refid=statement["id"])
            label["reftitle"] = "Link to this row"
        name += [label, nodes.Text(" ")]
        name += nodes.inline("", "", classes=["claim-origin"])
        name[-1] += nodes.inline("", _source(statement), classes=["claim-source"])
        name[-1] += nodes.Text(f", {statement['kind']}")
        says = nodes.entry("", name, *self.text(statement["says"]))
        badge = Badge("", claim=statement["id"], verdict=statement["verdict"], home=False)
        # In the register itself a badge would link to its own row.
        verdict = nodes.paragraph(
            "", "", _verdict(statement["verdict"]) if is_home else badge, classes=["claim-verdict"]
        )
        found = nodes.entry("", verdict, *(self.text(statement["finding"]) if statement["finding"] else []))
        found += self.evidence(statement)
        where = nodes.entry("", Places("", claim=statement["id"], chapter=statement["chapter"]))
        row += [says, found, where]
        return row


class CorrectionsDirective(_Directive):
    """What the sources have wrong, sentence by sentence, source by source."""

    def run(self) -> list[nodes.Node]:
        wrong = [s for s in shown(self.env)["statements"] if s["corrections"]]
        result: list[nodes.Node] = []
        for source in sorted({s["source"] for s in wrong}):
            section = nodes.section(ids=[f"corrections-{_slug(source)}"])
            section += nodes.title("", _source({"source": source}))
            rows = []
            for statement in wrong:
                for correction in statement["corrections"] if statement["source"] == source else []:
                    badge = Badge("", claim=statement["id"], verdict=statement["verdict"], home=False)
                    where = nodes.paragraph("", "", badge, classes=["claim-verdict"])
                    place = Places("", claim=statement["id"], chapter=statement["chapter"])
                    rows.append(
                        nodes.row(
                            "",
                            nodes.entry("", *self.text(correction["says"])),
                            nodes.entry("", *self.text(correction["right"])),
                            nodes.entry("", where, place),
                        )
                    )
            columns = ("What it says", "What is right", "Where")
            section += _table(columns, rows, ["claims-table", "claims-wrong"])
            result.append(section)
        return result or self.text("None so far.")


def _table(columns: Sequence[str], rows: list[nodes.row], classes: list[str]) -> nodes.table:
    group = nodes.tgroup(cols=len(columns))
    # How wide the columns are is up to book.css.
    group += [nodes.colspec(colwidth=1) for _ in columns]
    head = nodes.row("", *(nodes.entry("", nodes.paragraph("", title)) for title in columns))
    group += [nodes.thead("", head), nodes.tbody("", *rows)]
    return nodes.table("", group, classes=classes)


def _source(statement: dict[str, Any]) -> str:
    source: str = statement["source"]
    if source.isdigit():
        return f"Note {source}"
    return "Elhage et al. 2022" if source == "TMS" else source


def _verdict(verdict: str) -> nodes.inline:
    """Symbol and words; the symbol is not read aloud."""
    node = nodes.inline("", "", classes=["claim-badge", f"claim-is-{_slug(verdict)}"])
    node += nodes.raw("", f'<span aria-hidden="true">{SYMBOLS[verdict]}</span> ', format="html")
    node += nodes.Text(verdict)
    return node


class Resolve(SphinxPostTransform):
    """Turn badges and places into links, now that it is known which page has what."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        env, docname = self.env, self.env.docname
        placed: dict[str, list[str]] = env.tms_places  # type: ignore[attr-defined]
        home: str | None = env.tms_home  # type: ignore[attr-defined]
        for node in list(self.document.findall(Badge)):
            name, verdict = node["claim"], node["verdict"]
            shown: nodes.Node = _verdict(verdict)
            # What the register's link leads to. It is on the link itself, so that it gets the focus.
            ids = [f"claim-{name}"] if node["home"] else []
            if home is None:
                node.replace_self(nodes.inline("", "", shown, ids=ids))
                continue
            link = Link("", "", shown, internal=True, classes=["claim-link"], ids=ids)
            link["refuri"] = f"{self._to(home)}#{name}"
            link["reftitle"] = f"{name} in the register of claims"
            link["label"] = f"{verdict}: {link['reftitle']}"
            node.replace_self(link)
        for place in list(self.document.findall(Places)):
            name, chapter = place["claim"], place["chapter"]
            links = [page for page in placed.get(name, []) if page in env.found_docs]
            items = []
            for page in links:
                title = env.titles[page].astext() if page in env.titles else page
                text = title if page != docname else "in the text"
                link = Link("", text, internal=True)
                link["refuri"] = f"{self._to(page) if page != docname else ''}#claim-{name}"
                link["label"] = f"{text}: {name}"
                # The filters call the chapter by its title.
                link["classes"] = ["claim-chapter"] if page == f"book/{chapter}" else []
                items.append(nodes.paragraph("", "", link))
            if not items:
                title = chapter.replace("_", " ")
                item = nodes.paragraph("", "", nodes.Text("Chapter “"), classes=["claim-open"])
                item += nodes.inline("", title[:1].upper() + title[1:], classes=["claim-chapter"])
                item += nodes.Text("”, not yet written")
                items = [item]
            place.replace_self(items)

    def _to(self, page: str) -> str:
        assert self.app.builder is not None
        return self.app.builder.get_relative_uri(self.env.docname, page)


def _visit_link(writer: Any, node: Link) -> None:
    writer.visit_reference(node)
    # docutils has no attributes for assistive technology.
    label = html.escape(node["label"])
    writer.body[-1] = writer.body[-1].replace("<a ", f'<a aria-label="{label}" ', 1)


def _depart_link(writer: Any, node: Link) -> None:
    writer.depart_reference(node)


def _begin(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    env.tms_register = None  # type: ignore[attr-defined]
    for name, empty in (("tms_places", {}), ("tms_home", None)):
        if not hasattr(env, name):
            setattr(env, name, empty)


def _forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    for pages in getattr(env, "tms_places", {}).values():
        if docname in pages:
            pages.remove(docname)
    if getattr(env, "tms_home", None) == docname:
        env.tms_home = None  # type: ignore[attr-defined]


def _check(app: Sphinx, env: BuildEnvironment) -> None:
    """Every statement that has a verdict has a badge in the prose of its chapter."""
    for statement in register(env)["statements"]:
        home = f"book/{statement['chapter']}"
        if statement["verdict"] == "not yet answered" or home not in env.found_docs:
            continue
        if home not in env.tms_places.get(statement["id"], []):  # type: ignore[attr-defined]
            logger.warning(
                "%s has the verdict '%s', but no badge in the text: {claim}`%s`",
                statement["id"], statement["verdict"], statement["id"], location=home,
            )  # fmt: skip


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(Badge)
    app.add_node(Places)
    app.add_node(Link, html=(_visit_link, _depart_link))
    app.add_role("claim", ClaimRole())
    app.add_role("claim-count", CountRole())
    app.add_role("claim-verdict", VerdictRole())
    app.add_directive("claim", ClaimDirective)
    app.add_directive("claims", ClaimsDirective)
    app.add_directive("corrections", CorrectionsDirective)
    app.add_post_transform(Resolve)
    app.connect("env-before-read-docs", _begin)
    app.connect("env-purge-doc", _forget)
    app.connect("env-check-consistency", _check)
    # Sphinx keeps what it read of unchanged pages; another version of this file reads them all again.
    version = zlib.crc32(Path(__file__).read_bytes())
    return {"env_version": version, "parallel_read_safe": False, "parallel_write_safe": True}

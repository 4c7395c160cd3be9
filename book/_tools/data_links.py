"""A link to its data at the end of every figure's caption (a Sphinx extension).

The files are staged as ``data/<page>/<figure>.csv``. They lie in the site under the same names: addresses
that can be read, and that stay.
"""

import shutil
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from .data_files import file_name


class LinkData(SphinxPostTransform):
    """Done last, on the finished page: a reference to a figure does not quote the link with the caption."""

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        page = self.env.docname
        folder = Path(self.env.srcdir) / "data" / page
        for figure in self.document.findall(nodes.figure):
            files = [file for file in map(file_name, figure["names"]) if (folder / file).exists()]
            if not files:
                continue
            caption = next(iter(figure.findall(nodes.caption)), None)
            if caption is None:
                caption = nodes.caption()
                figure += caption
            address = f"{'../' * page.count('/')}data/{page}/{files[0]}"
            # Those who hear only the links are told of which figure.
            label = f"Data of {self._number(figure)}, CSV"
            link = f'<a class="figure-data" href="{escape(address)}" download="{escape(files[0])}"'
            link += f' aria-label="{escape(label)}" title="{escape(label)}">Data</a>'
            caption += nodes.raw("", f" {link}", format="html")

    def _number(self, figure: nodes.Element) -> str:
        numbers = self.env.toc_fignumbers.get(self.env.docname, {}).get("figure", {})
        number = next((numbers[name] for name in figure["ids"] if name in numbers), None)
        if number is None:
            return "this figure"
        return str(self.config.numfig_format["figure"] % ".".join(map(str, number)))


def _copy(app: Sphinx, error: Exception | None) -> None:
    source = Path(app.srcdir) / "data"
    if error is None and source.exists():
        shutil.copytree(source, Path(app.outdir) / "data", dirs_exist_ok=True)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(LinkData)
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

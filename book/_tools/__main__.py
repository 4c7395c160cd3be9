"""The command line: ``python -m book._tools build [--small]``."""

import argparse
import sys
from pathlib import Path

from .build import build
from .export import export_notebooks
from .layout import Book, BookError


def main() -> int:
    """Parse the arguments, do it, and end with what went wrong as the last words on the screen."""
    parser = argparse.ArgumentParser(prog="python -m book._tools", description="Build the book.")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[2], help="the repository")
    commands = parser.add_subparsers(dest="command", required=True)
    builder = commands.add_parser("build", help="execute what changed, render, publish")
    builder.add_argument("--small", action="store_true", help="few seeds and steps, into build/small")
    exporter = commands.add_parser("notebooks", help="copy the executed notebooks of the published book")
    exporter.add_argument("folder", type=Path, help="where to")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    try:
        if arguments.command == "build":
            first = build(Book(root, "small" if arguments.small else "full"), _say)
            _say(f"The book's first page: {first}")
        else:
            export_notebooks(Book(root), arguments.folder)
    except BookError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Chapters that finished are kept.", file=sys.stderr)
        return 130
    return 0


def _say(line: str) -> None:
    # Flushed, so that a person sees it when it happens also where output is collected in a file.
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""The command line: ``python -m book._tools build [--small]``."""

import argparse
import sys
from pathlib import Path

from .build import build
from .export import export_notebooks
from .format import check_chapters, format_chapters
from .layout import Book, BookError
from .numbers import check_numbers
from .picture import write_picture


def main() -> int:
    """Parse the arguments, do it, and end with what went wrong as the last words on the screen."""
    parser = argparse.ArgumentParser(prog="python -m book._tools", description="Build the book.")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[2], help="the repository")
    commands = parser.add_subparsers(dest="command", required=True)
    builder = commands.add_parser("build", help="execute what changed, render, publish")
    builder.add_argument("--small", action="store_true", help="few seeds and steps, into build/small")
    exporter = commands.add_parser("notebooks", help="copy the executed notebooks of the published book")
    exporter.add_argument("folder", type=Path, help="where to")
    formatter = commands.add_parser("format", help="settle the layout of the code in chapters")
    formatter.add_argument("--check", action="store_true", help="only say what there is to do")
    commands.add_parser("numbers", help="see that no result is typed into the prose of a page")
    commands.add_parser("picture", help="draw the README's picture anew")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    try:
        if arguments.command == "build":
            first = build(Book(root, "small" if arguments.small else "full"), _say)
            _say(f"The book's first page: {first}")
        elif arguments.command == "format":
            if arguments.check:
                check_chapters(Book(root))
            else:
                for name in format_chapters(Book(root)):
                    _say(f"{name}.md")
        elif arguments.command == "numbers":
            check_numbers(Book(root))
        elif arguments.command == "picture":
            _say(str(write_picture(Book(root), _say)))
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

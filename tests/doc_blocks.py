"""The code blocks of a Markdown page, and what their author says of them."""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "blocks"]


@dataclass(frozen=True)
class Block:
    """One block: its page, line, language and text; why it is not run here, or "" where it is."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str = ""

    @property
    def id(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page. A comment `<!-- not run: REASON -->` on the line before one says why it is not run."""
    found, lines, opened = [], page.read_text().splitlines(), None
    for number, line in enumerate(lines):
        if opened is None and (start := re.match(r"\s*```(\w*)", line)):
            before = re.match(r"\s*<!-- not run: (.+) -->", lines[number - 1]) if number else None
            opened = number, start[1], "" if before is None else before[1]
        elif opened is not None and line.strip() == "```":
            text = "\n".join(lines[opened[0] + 1 : number])
            found.append(Block(page, opened[0] + 1, opened[1], text, opened[2]))
            opened = None
    return found

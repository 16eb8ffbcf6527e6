"""Plain English: no sentence of the user's pages, help texts and reference has more than 35 words."""

import re
from pathlib import Path

import click
import pytest

from terraclick.cli import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
MOST = 35
ODD = ("so many", "it is said", "whosoever", "nowise", "hangs on", "heed")
"""Phrases that a native reader stumbles on."""


def sentences(text: str) -> list[str]:
    """The sentences of a Markdown text: those of paragraphs, list items and table cells; code blocks are left out."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^```.*?^```", "\n\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^\s*(#+ .*|\|[-| :]+\|)$", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`\n]*(?:\n[^`\n]+)*`", "code", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*|>]|\d+\.) ?)", text)
    cells = [cell for block in blocks for cell in (block.split("|") if block.lstrip().startswith("|") else [block])]
    return [one for cell in cells for one in re.split(r"(?<=[.!?])[)\"*”]*\s+", " ".join(cell.split())) if one]


def words(sentence: str) -> int:
    return sum(any(letter.isalnum() for letter in word) for word in sentence.split())


def too_long(text: str) -> list[str]:
    return [sentence for sentence in sentences(text) if words(sentence) > MOST]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_sentence_of_a_page_is_too_long(page):
    assert too_long(page.read_text()) == []


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_texts_are_plain(name):
    command = cli.commands[name]
    texts = [command.help or "", *(p.help or "" for p in command.params if isinstance(p, click.Option))]
    assert [one for text in texts for one in too_long(text)] == []
    assert [text for text in texts if any(odd in text.lower() for odd in ODD)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_uses_odd_phrases(page):
    text = page.read_text().lower()
    assert [odd for odd in ODD if odd in text] == []


def test_a_long_sentence_is_found():
    long = " ".join(["word"] * 36)
    assert too_long(f"Short. {long}. Short again.") == [f"{long}."]
    assert too_long(f"- {' '.join(['word'] * 30)}\n- {' '.join(['word'] * 30)}\n") == []
    assert too_long(f"| a | {long} |\n|---|---|\n| b | c |") == [long]
    assert too_long(f"```sh\n{long}\n```") == [] and too_long("`" + long + "` is code.") == []

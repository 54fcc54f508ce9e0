"""The documents as text: headings, links, blocks and commands."""

import functools
import re
import subprocess

from deployment import ROOT


@functools.cache
def pages():
    """The text of every document of the project, by its path."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return {path: (ROOT / path).read_text() for path in sorted(listed) if (ROOT / path).exists()}


def page(name):
    return pages()[name]


def without_blocks(text):
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text):
    """The anchors of the headings, as GitHub generates them: the second of the same name ends in -1."""
    found = []
    for heading in re.findall(r"^#+ (.*)$", without_blocks(text), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return set(found)


def links(text):
    """The targets of the relative links and images."""
    text = re.sub(r"`[^`\n]*`", "", without_blocks(text))
    found = re.findall(r"\]\(([^)\s]*)\)", text) + re.findall(r"<img src=\"([^\"]+)\"", text)
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def commands(text):
    """The commands in shell blocks, each joined to one line, and the inline commands."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", without_blocks(text))


def section(text, heading):
    """The text under a heading, up to the next one of its level."""
    [(marks, start)] = [
        (match[1], match.end()) for match in re.finditer(rf"^(#+) {re.escape(heading)}\n", text, re.MULTILINE)
    ]
    end = re.search(rf"^#{{1,{len(marks)}}} ", text[start:], re.MULTILINE)
    return text[start : start + end.start()] if end else text[start:]


def rows(text):
    """The rows of the tables as lists of cells, without the header rows."""
    lines = [line for line in without_blocks(text).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = {at for at, row in enumerate(cells) if all(re.fullmatch(r":?-+:?", cell) for cell in row)}
    return [row for at, row in enumerate(cells) if at not in rules and at + 1 not in rules]


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def sentences(text):
    """The sentences of the text and of the table cells, as words. A link counts as its text."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"<[^>]+>", " ", without_blocks(text)))
    for part in re.split(r"\||\n(?=[#\-*|>]|\d+\.|\n)|(?<=[.!?:;])\s", text):
        words = re.findall(r"[\w{}/$'-]+", part.lower())
        if words:
            yield tuple(words)

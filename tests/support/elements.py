"""What stands on a page of HTML."""

import re
from html.parser import HTMLParser

RULE = re.compile(r"[\w.#:-]+ \{ [\w-]+:")  # of CSS, which is seen where a style ends too early


class Elements(HTMLParser):
    """Start tags with their attributes, and the words outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.hidden = False
        self.feed(html)
        assert not any(RULE.search(word) for word in self.words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.hidden = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = False

    def handle_data(self, data: str) -> None:
        if not self.hidden and data.strip():
            self.words.append(" ".join(data.split()))

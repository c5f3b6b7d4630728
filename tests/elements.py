"""What stands on a page of HTML."""

from html.parser import HTMLParser


class Elements(HTMLParser):
    """Start tags with their attributes, and the words outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] not in ("script", "style") and data.strip():
            self.words.append(" ".join(data.split()))

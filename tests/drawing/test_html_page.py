from html.parser import HTMLParser

from tfod_kit.drawing.html_page import Page

NASTY = "<script>alert('x')</script> & \"y\""


class _Reader(HTMLParser):
    """Checks that tags close in order, and keeps tags, attributes and text."""

    VOID = ("meta", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(page: Page) -> _Reader:
    reader = _Reader()
    reader.feed(page.html("made by a test"))
    reader.close()
    assert reader.open == []
    return reader


def test_every_part_closes_its_tags_and_escapes_its_text() -> None:
    page = Page(NASTY, NASTY)
    page.heading(NASTY)
    page.text(NASTY)
    page.tiles({NASTY: NASTY}, warn=[NASTY])
    page.table([NASTY], [[NASTY]])
    page.table([NASTY], [[NASTY]], text=True)
    page.images([(b"\xff\xd8\xff", NASTY)])
    page.image(b"\x89PNG", NASTY)
    page.code(NASTY)
    page.details(NASTY, NASTY)
    reader = _read(page)
    assert "script" not in {tag for tag, _ in reader.tags}
    assert reader.text.count(NASTY) == 16
    assert [a["alt"] for tag, a in reader.tags if tag == "img"] == [NASTY, NASTY]


def test_nothing_comes_from_elsewhere() -> None:
    page = Page("cats")
    page.images([(b"\xff\xd8\xff", ""), (b"\x89PNG", "")])
    page.charts(["<svg><text>cat</text></svg>"])
    reader = _read(page)
    sources = [a["src"] for tag, a in reader.tags if tag == "img"]
    assert [source and source[:22] for source in sources] == [
        "data:image/jpeg;base64",
        "data:image/png;base64,",
    ]
    assert "cat" in reader.text
    assert {"script", "link", "iframe"}.isdisjoint(tag for tag, _ in reader.tags)
    assert "url(" not in page.html()
    assert "@import" not in page.html()

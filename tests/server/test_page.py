"""The page in a real browser: a rater hears, answers, stops, comes back, and is thanked."""

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluation.listeners import write_sets
from tests.server.browser import Page, browser, found
from toccata.evaluation.answers import Answers
from toccata.evaluation.answers_file import Design
from toccata.evaluation.matching import read_sets
from toccata.evaluation.playback import prepare
from toccata.server.listen import ListeningTest, listening_app
from toccata.server.run import address, bind, server

PROGRAM = found()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium or Chrome is installed")
SPACE, ENTER, TAB, RIGHT, END = (" ", 32, " "), ("Enter", 13, "\r"), ("Tab", 9), ("ArrowRight", 39), ("End", 35)
TRIAL = "!document.getElementById('trial').hidden && document.querySelectorAll('.player').length > 0"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, browser(PROGRAM, Path(profile)) as page:
        yield page


@pytest.fixture
def serve(tmp_path: Path) -> Iterator:
    """Serve a test of clips of a quarter of a second; gives its address and its answers."""
    running, opened = [], []

    def serve(mode: str) -> tuple[str, Answers]:
        material, playback, _ = prepare(read_sets(write_sets(tmp_path, seconds=0.25)), 30)
        design = Design(mode, material.names, material.prompts, 2, 30.0, 0, material.fingerprint(), playback.plain)
        opened.append(Answers.start(tmp_path / "test.db", design))
        bound = bind("127.0.0.1", 0)
        loop = server(listening_app(ListeningTest(material, playback, opened[-1])))
        thread = threading.Thread(target=loop.run, kwargs={"sockets": [bound]})
        thread.start()
        running.append((loop, thread, bound))
        return address(bound), opened[-1]

    yield serve
    for loop, thread, bound in running:
        loop.should_exit = True
        thread.join()
        bound.close()
    for answers in opened:
        answers.close()


def begin(page: Page, url: str) -> None:
    page.go(url)
    page.until("document.getElementById('intro')?.hidden === false")
    focused(page, "begin")
    page.press(*ENTER)
    page.until(TRIAL)


def focused(page: Page, name: str) -> None:
    """Go on by the Tab key until something has the focus."""
    for _ in range(20):
        if page.run("document.activeElement.id || document.activeElement.name") == name:
            return
        page.press(*TAB)
    raise AssertionError(f"{name} cannot be reached by the keyboard")


def hear(page: Page) -> None:
    """Play every clip to its end."""
    for place in range(page.run("document.querySelectorAll('.player').length")):
        page.run(f"document.querySelectorAll('.player button')[{place}].focus()")
        page.press(*SPACE)
        page.until(f"document.querySelectorAll('.player')[{place}].innerText.includes('heard')")


def test_a_rater_with_a_keyboard_compares_stops_and_comes_back(page: Page, serve):
    url, answers = serve("pairs")
    begin(page, f"{url}?rater=ann")
    assert page.run("document.activeElement.id") == "question"
    assert page.run("document.getElementById('next').disabled")
    hear(page)
    focused(page, "preference")
    page.press(*SPACE)
    page.press(*RIGHT)
    focused(page, "next")
    page.press(*ENTER)
    page.until("document.getElementById('count').textContent.startsWith('Question 2')")
    assert [one.said.preference for one in answers.all()] == [-1]
    assert answers.all()[0].said.heard > 0.9
    page.until(TRIAL)
    focused(page, "stop")
    page.press(*ENTER)
    back = page.run("document.getElementById('address').value")
    assert back == f"{url}?rater=ann"
    page.go(url)  # the cookie remembers who it was
    page.until("document.getElementById('so-far')?.textContent.includes('answered 1 already')")
    assert page.run("location.href") == back
    begin(page, back)
    for _ in range(3):
        page.until(TRIAL)
        shown = page.run("document.getElementById('count').textContent")
        hear(page)
        page.run("document.querySelector('[name=preference][value=\"0\"]').click()")
        page.run("document.getElementById('next').click()")
        page.until(f"document.getElementById('count').textContent !== {shown!r} || !document.getElementById('thanks').hidden")  # noqa: E501  # fmt: skip
    page.until("!document.getElementById('thanks').hidden")
    assert answers.done("ann") == (4, 4)
    assert page.errors == []


def test_single_clips_are_rated_on_a_phone_in_the_dark(page: Page, serve):
    url, answers = serve("mos")
    page.size(360, 640, dark=True)
    begin(page, f"{url}?rater=bob")
    assert page.run("document.documentElement.scrollWidth") == 360
    small = "[...document.querySelectorAll('button')].filter(one => one.offsetParent && one.offsetHeight < 44).length"
    assert page.run(small) == 0
    hear(page)
    assert page.run("document.getElementById('next').disabled")
    focused(page, "quality")
    page.press(*END)
    focused(page, "relevance")
    page.press(*RIGHT)
    page.run("document.getElementById('next').click()")
    page.until("document.getElementById('count').textContent.startsWith('Question 2')")
    (one,) = answers.all()
    assert (one.said.quality, one.said.relevance) == (100, 51)
    assert page.errors == []


def test_everything_has_a_name_for_who_cannot_see(page: Page, serve):
    url, _ = serve("pairs")
    begin(page, f"{url}?rater=cleo")
    page.call("Accessibility.enable")
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = ("button", "slider", "radio", "progressbar", "group")
    told = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"] and node["role"]["value"] in roles
    ]
    assert all(name for _, name in told), told
    assert ("button", "Play A") in told
    assert ("slider", "Position in B") in told
    assert ("radio", "A fits much better") in told
    assert page.run("document.documentElement.lang") == "en"


def test_an_answer_that_could_not_be_sent_is_kept_and_sent_again(page: Page, serve):
    url, answers = serve("pairs")
    begin(page, f"{url}?rater=dan")
    hear(page)
    page.run("document.querySelector('[name=preference][value=\"1\"]').click()")
    page.run("window.kept = window.fetch; window.fetch = () => Promise.reject(new TypeError('offline')); 0")
    page.run("document.getElementById('next').click()")
    page.until("document.getElementById('why').textContent.includes('could not be reached')")
    assert not answers.all()
    page.run("window.fetch = window.kept; document.getElementById('retry').click()")
    page.until("document.getElementById('count').textContent.startsWith('Question 2')")
    assert [one.said.preference for one in answers.all()] == [1]

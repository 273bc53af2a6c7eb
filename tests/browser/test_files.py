"""The files of the operators' page, without a browser: languages, policy, size."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from mirror import ReasonCode
from temani import gateway

PAGE = gateway.CONTROL
MODULES = sorted(PAGE.rglob("*.js"))
WORDS = {
    name: json.loads((PAGE / f"words/{name}.json").read_text("utf-8")) for name in ("id", "en")
}
HOLE = re.compile(r"\{(\w+)\}")
USED = re.compile(
    r"""(?:\bt|hasWord|labelled|plainButton|age)\([^"`;]*?["`]([a-z_]+\.[a-z_.]+)["`]"""
)


def holes(words: str | dict[str, str]) -> set[str]:
    """Return what is filled into a text."""
    texts = words.values() if isinstance(words, dict) else [words]
    return {hole for text in texts for hole in HOLE.findall(text)} - {"n"}


@pytest.mark.req("WE-03")
def test_both_languages_say_the_same_things() -> None:
    """Every key has words in both, with the same holes to fill."""
    assert list(WORDS["id"]) == list(WORDS["en"])
    for key, words in WORDS["en"].items():
        assert holes(words) == holes(WORDS["id"][key]), key
        assert words
        assert WORDS["id"][key]


def test_every_word_that_is_asked_for_exists() -> None:
    """A key written in the page or in a module has words."""
    page = (PAGE / "index.html").read_text("utf-8")
    asked = set(re.findall(r'data-t(?:-label)?="([^"]+)"', page))
    for module in MODULES:
        asked |= set(USED.findall(module.read_text("utf-8")))
    assert len(asked) > 100
    assert asked - set(WORDS["en"]) == set()


def test_every_word_is_asked_for() -> None:
    """No words lie about that nothing shows: each key, or the pattern it fits, is in the page."""
    text = "\n".join(path.read_text("utf-8") for path in [PAGE / "index.html", *MODULES])
    patterns = [
        re.compile(re.sub(r"\\\$\\\{.*?\\\}", r"[a-z_0-9]+", re.escape(each)))
        for each in re.findall(r"[`]([a-z_]+\.[^`\s]*\$\{[^`\s]*)[`]", text)
    ]
    unused = [
        key
        for key in WORDS["en"]
        if f'"{key}"' not in text and not any(pattern.fullmatch(key) for pattern in patterns)
    ]
    assert unused == []


def test_each_reason_of_the_mirror_has_words() -> None:
    """Whatever keeps the mirror from answering, no page shows its raw text alone."""
    assert [c for c in get_args(ReasonCode) if f"mirror.because.{c}" not in WORDS["en"]] == []


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    """What the policy would stop is not there in the first place."""
    page = (PAGE / "index.html").read_text("utf-8")
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", page)
    for path in PAGE.rglob("*.*"):
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(", text), path
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text), path


def test_only_the_language_is_stored() -> None:
    """One module touches the browser's storage, and it keeps a language."""
    users = [path.name for path in MODULES if "Storage" in path.read_text("utf-8")]
    assert users == ["words.js"]


@pytest.mark.parametrize(
    "path", [*MODULES, *sorted(PAGE.rglob("*.css"))], ids=lambda path: path.name
)
def test_a_module_is_read_in_one_go(path: Path) -> None:
    """No file is longer than 300 lines."""
    assert len(path.read_text("utf-8").splitlines()) < 300

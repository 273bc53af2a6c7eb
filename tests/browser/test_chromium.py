"""Where the tests' browser comes from, and what is said when there is none."""

from pathlib import Path

import pytest
from tests.browser import chromium


def nothing(_: str) -> None:
    """Say nothing."""


def test_a_named_browser_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A wrong path in the environment is told as such, with what helps."""
    monkeypatch.setenv(chromium.VARIABLE, str(tmp_path / "chromium"))

    with pytest.raises(chromium.NoChromium, match="does not start") as refused:
        chromium.find(nothing)

    assert str(tmp_path) in str(refused.value)
    assert chromium.ADVICE in str(refused.value)


def test_without_a_browser_and_without_debian_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No Chromium and no apt-get: the message names both, and the way out."""
    monkeypatch.delenv(chromium.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(chromium, "CACHE", tmp_path / "chromium")

    with pytest.raises(chromium.NoChromium, match="no apt-get to fetch Debian's with") as refused:
        chromium.find(nothing)

    assert chromium.ADVICE in str(refused.value)


def test_a_failed_download_is_told_in_apts_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What apt-get said reaches the person, and nothing half unpacked counts as a browser."""
    for tool in ("apt-get", "dpkg-deb"):
        fake = tmp_path / tool
        fake.write_text("#!/bin/sh\necho 'E: Could not resolve the mirror' >&2\nexit 100\n")
        fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    said: list[str] = []

    with pytest.raises(chromium.NoChromium, match="Could not resolve the mirror"):
        chromium.fetch(tmp_path / "cache", said.append, lists=tmp_path / "lists")

    assert said == ["reading Debian's lists …"]
    assert not (tmp_path / "cache" / "ready").exists()


def test_every_folder_of_unpacked_libraries_is_searched(tmp_path: Path) -> None:
    """A library in a folder of its own is found on a machine that has none of it installed."""
    libraries = tmp_path / "root/usr/lib/some-machine"
    for library in (libraries / "liba.so.0", libraries / "pulseaudio/libb-16.1.so"):
        library.parent.mkdir(parents=True, exist_ok=True)
        library.touch()

    searched = chromium._unpacked(tmp_path).env["LD_LIBRARY_PATH"].split(":")

    assert searched == [str(libraries), str(libraries / "pulseaudio")]

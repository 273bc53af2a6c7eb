"""Where the library that turns clocks comes from, and what is said when there is none."""

from pathlib import Path

import pytest
from tests import clocked, debian


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without the library, whose apt-get is ours: `bare / "apt-get"`."""
    monkeypatch.delenv(clocked.VARIABLE, raising=False)
    monkeypatch.setattr(clocked, "CACHE", tmp_path / "faketime")
    monkeypatch.setattr(clocked, "MACHINE", tmp_path / "machine")
    monkeypatch.setattr(debian, "LISTS", tmp_path / "lists")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    program(
        tmp_path / "dpkg-deb", "mkdir -p $3/usr/lib/faketime; touch $3/usr/lib/faketime/$LIBRARY"
    )
    monkeypatch.setenv("LIBRARY", clocked.LIBRARY)
    return tmp_path


def program(path: Path, script: str) -> None:
    """Write a program."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_none_to_be_had_is_a_failure_that_says_what_helps(bare: Path) -> None:
    """A drill that cannot be held is not passed over in silence: apt's words, and ours."""
    program(bare / "apt-get", "echo 'E: Could not resolve the mirror' >&2; exit 100")

    with pytest.raises(pytest.fail.Exception, match="Could not resolve the mirror") as said:
        clocked.libfaketime()

    assert clocked.ADVICE in str(said.value)


def test_a_wrong_name_is_told(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is named and not there is no reason to look for another one."""
    monkeypatch.setenv(clocked.VARIABLE, str(bare / "nowhere.so"))

    with pytest.raises(pytest.fail.Exception, match="there is no"):
        clocked.libfaketime()


def test_a_list_that_cannot_be_read_hinders_nobody(bare: Path) -> None:
    """Another mirror is away: what stands in the lists that were read is fetched all the same."""
    program(
        bare / "apt-get",
        """case "$*" in
          *update) echo "E: another mirror is away" >&2; exit 100 ;;
          *install*) echo "Inst libfaketime (0.9 Debian)" ;;
          *download*) touch libfaketime.deb ;;
        esac""",
    )

    assert clocked.libfaketime() == bare / "faketime/root/usr/lib/faketime" / clocked.LIBRARY

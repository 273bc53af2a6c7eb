"""`temani logs`: what there is, one process or all, as a person reads it."""

import json
from pathlib import Path

import pytest

from temani import layout
from temani.commands.logs import readable
from temani.main import main

_LINE = (
    '{"method":"GET","route":"/x","status":200,"event":"request","request_id":"9f0c","level":"info",'
    '"timestamp":"2026-11-23T18:47:10.120168Z","service":"auth"}'
)


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the logs of two processes."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "auth.log").write_text(f"{_LINE}\n" * 3)
    (folder / "valkey.log").write_text("Ready to accept connections\n")
    monkeypatch.setattr(layout, "STATE", tmp_path)
    return folder


def test_without_a_name_it_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """A list and the way on, not everything that anybody ever wrote."""
    assert main(["logs"]) == 0

    said = capsys.readouterr().out
    assert "auth" in said
    assert "valkey" in said
    assert "make logs S=" in said
    assert "Ready to accept" not in said


def test_the_list_is_json_too(capsys: pytest.CaptureFixture[str], logs: Path) -> None:
    """Programs get names, files and sizes."""
    assert main(["logs", "--json"]) == 0

    found = {each["process"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["auth"]["file"] == str(logs / "auth.log")
    assert found["auth"]["bytes"] == (logs / "auth.log").stat().st_size


def test_all_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line of all names its process."""
    assert main(["logs", "all", "-n", "1"]) == 0

    said = capsys.readouterr().out.splitlines()
    assert [line.partition("│")[0].strip() for line in said] == ["auth", "valkey"]


def test_a_line_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    """Level, event and values, without braces and ids; --raw is what was written."""
    assert main(["logs", "auth", "-n", "1"]) == 0
    said = capsys.readouterr().out
    assert "info    request  method=GET  route=/x  status=200" in said
    assert "9f0c" not in said

    assert main(["logs", "auth", "-n", "1", "--raw"]) == 0
    assert capsys.readouterr().out.strip() == _LINE


def test_no_lines_are_no_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """-n 0 shows nothing old; a negative number is wrong usage."""
    assert main(["logs", "auth", "-n", "0"]) == 0
    assert capsys.readouterr().out == ""
    with pytest.raises(SystemExit):
        main(["logs", "auth", "-n", "-3"])


def test_a_traceback_stands_below_its_line() -> None:
    """What went wrong is read in lines, as Python writes it."""
    line = json.dumps({"event": "start_failed", "level": "error", "exception": "Traceback\n  x"})

    head, *trace = readable(line)

    assert head.endswith("error   start_failed")
    assert trace == ["    Traceback", "      x"]


@pytest.mark.parametrize(
    "line", ["", "plain", "[1, 2]", '{"no": "event"}', '{"event": "x", "ts": "?"}']
)
def test_what_is_no_entry_stays_as_it_is(line: str) -> None:
    """Nothing that was logged is lost to being made readable."""
    assert readable(line) in ([line], ["--:--:--         x"])


def test_without_logs_it_says_how_to_get_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first start there is nothing to list."""
    monkeypatch.setattr(layout, "STATE", tmp_path / "nowhere")

    assert main(["logs"]) == 1
    assert "make up" in capsys.readouterr().err

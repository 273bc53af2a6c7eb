"""Wrong usage of `temani demo` is told before anything starts."""

import pytest

from temani.demo.main import main


@pytest.mark.parametrize("text", ["abc", "0", "-3", "nan", "inf"])
def test_a_length_that_is_none_is_wrong_usage(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """FOR=-3 does not begin a run that is over before it began."""
    with pytest.raises(SystemExit) as ended:
        main(["--for", text])

    assert ended.value.code == 2
    assert "write seconds, such as 30" in capsys.readouterr().err

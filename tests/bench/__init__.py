"""What the hot paths cost, beside their floors and peers; `python -m tests.bench`."""

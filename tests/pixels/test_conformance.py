"""The conformance page says what is so."""

from tests.conformance import PAGE, conformance_page


def test_the_page_is_what_the_code_does() -> None:
    assert PAGE.read_text(encoding="utf-8") == conformance_page(), "python -m tests.conformance makes it anew"

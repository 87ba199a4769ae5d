"""The browser that the tests of this folder share."""

from tests.web.browsing import browser, opened

__all__ = ["browser", "opened"]

"""Tables between the marks of a page."""

import pytest

from video2emg.core.errors import UserError
from video2emg.run import pages

PAGE = "before\n<!-- systems: start -->\nold\n<!-- systems: end -->\nafter\n"


def test_text_between_marks_can_be_replaced_again_and_again():
    once = pages.between(PAGE, "new", "systems")
    assert pages.between(once, "old", "systems") == PAGE
    with pytest.raises(UserError, match="no marks"):
        pages.between(PAGE, "new")

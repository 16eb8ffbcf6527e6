"""The family of errors: what each means to a shell and to HTTP, and how a missing package is told."""

import sys

import pytest

from terraclick import errors
from terraclick.errors import MissingExtra, TerraClickError, require_extra


def test_what_a_user_can_mend_ends_with_2():
    codes = {name: getattr(errors, name).exit_code for name in errors.__all__ if name[0].isupper()}
    assert {name for name, code in codes.items() if code != 2} == {"TerraClickError"}
    assert {getattr(errors, name).http_status for name in codes} <= {404, 409, 422, 501, 503}


def test_a_class_of_another_room_inherits_both():
    class Odd(errors.BadOutput):
        pass

    assert (Odd("x").exit_code, Odd("x").http_status) == (2, 409) and issubclass(Odd, TerraClickError)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    with pytest.raises(MissingExtra, match=r"^pyogrio is not installed: pip install 'terraclick\[formats\]'\.$"):
        with require_extra("formats"):
            import pyogrio  # noqa: F401

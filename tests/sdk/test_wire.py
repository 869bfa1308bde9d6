from aegis_tui import errors
from aegis_tui.errors import AegisError, Conflict, DiskFull, LockHeld, Refused, StaleToken, StoreError, Unavailable
from aegis_tui.sdk.wire import HTTP_STATUS, error_from_wire, error_to_wire


def test_every_error_of_the_tree_comes_back_as_itself() -> None:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, AegisError):
            error = kind("what", "how", path="a.py", held_by=None)
            again = error_from_wire(error_to_wire(error))
            assert type(again) is kind
            assert (again.message, again.hint, again.code, again.data) == ("what", "how", error.code, error.data)
            assert again.exit_code in HTTP_STATUS


def test_a_code_of_its_own_keeps_the_class_of_its_exit_code() -> None:
    for given, kind in (
        (LockHeld("m", code="DEADLOCK", cycle=["a"]), LockHeld),
        (Refused("m", code="person.only"), Refused),
        (StaleToken("m"), StaleToken),
        (Conflict("m", code="claim.lost"), Conflict),
        (Unavailable("m", code="port"), Unavailable),
        (StoreError("m"), StoreError),
        (DiskFull("m"), DiskFull),
    ):
        again = error_from_wire(error_to_wire(given))
        assert type(again) is kind and again.code == given.code and again.data == given.data


def test_a_known_code_with_another_exit_code_is_the_class_nearest_to_the_root() -> None:
    assert type(error_from_wire({"code": "store.failed", "exit_code": 3})) is StoreError


def test_nonsense_is_still_an_error() -> None:
    for wire in (None, "no", {}, {"code": 7, "exit_code": "x"}, {"exit_code": 99}):
        assert isinstance(error_from_wire(wire), AegisError)

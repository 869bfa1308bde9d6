"""Migrations of two sides: one number, one revision or one parent is a conflict."""

from __future__ import annotations

import pytest

from aegis_tui.domain.merge.migrations import is_migration, migration_clashes


def django(*parents: str) -> str:
    listed = ", ".join(f'("shop", "{name}")' for name in parents)
    return (
        "from django.db import migrations, swappable\n\n\nclass Migration(migrations.Migration):\n"
        f'    dependencies = [swappable(), ("auth", "0012_x"), {listed}]\n    operations = []\n'
    )


def alembic(revision: str, parent: str, *, typed: bool = False) -> str:
    kind = ": str" if typed else ""
    return f'revision{kind} = "{revision}"\ndown_revision{kind} = "{parent}"\n\n\ndef upgrade():\n    pass\n'


def test_django_migrations_with_one_number_clash() -> None:
    ours = {"shop/migrations/0005_a.py": django("0004_z")}
    theirs = {"shop/migrations/0005_b.py": django("0003_y")}
    [clash] = migration_clashes(ours, theirs)
    assert clash == ("shop/migrations/0005_a.py", "shop/migrations/0005_b.py", "both have the number 0005")


def test_django_migrations_with_one_parent_clash() -> None:
    ours = {"shop/migrations/0005_a.py": django("0004_z")}
    theirs = {"shop/migrations/0006_b.py": django("0004_z")}
    [clash] = migration_clashes(ours, theirs)
    assert clash.reason == "both have the parent 0004_z"


def test_django_migrations_of_two_apps_do_not_clash() -> None:
    ours = {"shop/migrations/0005_a.py": django("0004_z")}
    theirs = {"blog/migrations/0005_b.py": django()}
    assert not migration_clashes(ours, theirs)


def test_django_migrations_after_one_of_another_app_do_not_clash() -> None:
    ours = {"shop/migrations/0005_a.py": django("0004_z")}
    theirs = {"shop/migrations/0006_b.py": django("0005_a")}
    assert not migration_clashes(ours, theirs)


@pytest.mark.parametrize("typed", [False, True])
def test_alembic_migrations_with_one_parent_clash(typed: bool) -> None:
    ours = {"db/versions/a1_x.py": alembic("a1", "z9")}
    theirs = {"db/versions/b2_y.py": alembic("b2", "z9", typed=typed)}
    [clash] = migration_clashes(ours, theirs)
    assert clash.reason == "both have the parent z9"


def test_alembic_migrations_in_a_row_do_not_clash() -> None:
    assert not migration_clashes({"db/versions/a.py": alembic("a1", "z9")}, {"db/versions/b.py": alembic("b2", "a1")})


def test_what_is_no_migration_does_not_clash() -> None:
    assert not migration_clashes({"db/versions/a.py": "x = 1\n"}, {"db/versions/b.py": "x = = 1\n"})
    assert is_migration("shop/migrations/0001_a.py")
    assert not is_migration("shop/models.py")

"""The two groups to begin with, and the audit trail made append-only."""

from django.db import migrations
from django.db.migrations.state import StateApps

TRIGGER = """
CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION gridtalk_append_only();
"""


def groups_make(apps: StateApps, schema_editor: object) -> None:  # noqa: ARG001
    group = apps.get_model("users", "Group")
    group.objects.get_or_create(
        name="admin", defaults={"permissions": ["view", "send", "money", "grid", "users"]}
    )
    group.objects.get_or_create(name="view", defaults={"permissions": ["view"]})


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial"), ("core", "0001_initial")]

    operations = [
        migrations.RunPython(groups_make, migrations.RunPython.noop),
        migrations.RunSQL(TRIGGER, "DROP TRIGGER audit_entries_append_only ON audit_entries;"),
    ]

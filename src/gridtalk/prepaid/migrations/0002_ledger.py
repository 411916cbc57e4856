"""The ledger's system accounts, and its rows made append-only."""

from django.db import migrations
from django.db.migrations.state import StateApps

TRIGGER = """
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION gridtalk_append_only();
"""


def accounts_make(apps: StateApps, schema_editor: object) -> None:  # noqa: ARG001
    account = apps.get_model("prepaid", "LedgerAccount")
    for kind in ["stock", "tokens", "in_flight", "sold", "void", "adjustment"]:
        account.objects.get_or_create(kind=kind)


class Migration(migrations.Migration):
    dependencies = [("prepaid", "0001_initial"), ("core", "0001_initial")]

    operations = [
        migrations.RunPython(accounts_make, migrations.RunPython.noop),
        migrations.RunSQL(TRIGGER, "DROP TRIGGER ledger_entries_append_only ON ledger_entries;"),
    ]

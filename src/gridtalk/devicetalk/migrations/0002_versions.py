"""Versions are only ever added; they go with what they are versions of."""

from django.db import migrations

TABLES = ("devicetalk_sa_function_versions", "devicetalk_device_versions")


def trigger(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION gridtalk_append_only();",
        f"DROP TRIGGER {table}_append_only ON {table};",
    )


class Migration(migrations.Migration):
    dependencies = [("devicetalk", "0001_initial"), ("core", "0001_initial")]

    operations = [trigger(table) for table in TABLES]

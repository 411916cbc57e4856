"""Two permissions for the workshop; who managed users until now has both."""

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.migrations.state import StateApps

NEW = ["devices", "workshop"]


def groups_extend(apps: StateApps, schema_editor: object) -> None:  # noqa: ARG001
    for group in apps.get_model("users", "Group").objects.filter(permissions__contains=["users"]):
        group.permissions += [name for name in NEW if name not in group.permissions]
        group.save(update_fields=["permissions"])


def groups_reduce(apps: StateApps, schema_editor: object) -> None:  # noqa: ARG001
    for group in apps.get_model("users", "Group").objects.filter(permissions__overlap=NEW):
        group.permissions = [name for name in group.permissions if name not in NEW]
        group.save(update_fields=["permissions"])


class Migration(migrations.Migration):
    dependencies = [("users", "0002_groups")]

    operations = [
        migrations.AlterField(
            model_name="group",
            name="permissions",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("view", "see meters, circuits, messages, jobs and alerts"),
                        ("send", "send messages, pings and on/off jobs"),
                        ("money", "add credit, make tokens, resend and reverse"),
                        ("grid", "change meters, circuits, accounts and interfaces"),
                        ("devices", "build devices in the workshop"),
                        (
                            "workshop",
                            "keep languages, basic files and device models, and share devices",
                        ),
                        ("users", "manage users, groups and API keys"),
                    ],
                    max_length=16,
                ),
                default=list,
                size=None,
            ),
        ),
        migrations.RunPython(groups_extend, groups_reduce),
    ]

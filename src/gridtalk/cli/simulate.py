"""``gridtalk simulate``: villages that load a server, months of history, or a month of faults."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import click

from gridtalk.cli import environment
from gridtalk.cli.lock import FileLock
from gridtalk.cli.maintain import schema_check
from gridtalk.cli.options import data_dir, data_dir_option
from gridtalk.core.errors import SetupError, UserError


@click.command()
@click.option("--meters", type=click.IntRange(1, 5000), help="Meters [default: 10].")
@click.option("--circuits", type=click.IntRange(1, 99), help="Circuits of each [default: 8].")
@click.option("--days", type=click.FloatRange(0.1, 400), help="Days that end now [default: 1; "
              "of a month, 30].")  # fmt: skip
@click.option("--rate", default=0.0, type=click.FloatRange(0), help="Texts a second at most; 0: as "
              "fast as the server takes them.")  # fmt: skip
@click.option("--speed", default=0.0, type=click.FloatRange(0), help="Simulated hours a second at "
              "most; 0: as fast as the server takes them.")  # fmt: skip
@click.option("--faults", is_flag=True, help="A network that loses, repeats and delays texts; in a "
              "month also power cuts, wrong clocks and outages.")  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="Another seed, another story.")
@click.option("--history", is_flag=True, help="Write the past straight into the database: "
              "thousands of meters, millions of reports, in minutes.")  # fmt: skip
@click.option("--month", is_flag=True, help="Play a month of whole villages on a database of its "
              "own and a clock that jumps, then verify it.")  # fmt: skip
@click.option("--villages", type=click.IntRange(1, 100), help="Villages of the month, each with "
              "one meter [default: 10].")  # fmt: skip
@click.option("--until", type=click.DateTime(["%Y-%m-%dT%H:%M"]), help="When the month ends, in "
              "UTC, to see the same story again [default: now].")  # fmt: skip
@data_dir_option
def simulate(
    *,
    meters: int | None,
    circuits: int | None,
    days: float | None,
    rate: float,
    speed: float,
    faults: bool,
    seed: int,
    history: bool,
    month: bool,
    villages: int | None,
    until: datetime | None,
) -> None:
    """Load the running server with simulated villages, and say how it did.

    With --history, or with --month, no server may run on the data.
    """
    if history and month:
        raise UserError("choose --history or --month, not both")
    if villages is not None and not month:
        raise UserError("--villages is for --month; a load has --meters")
    if month:
        end = (until.replace(tzinfo=UTC) if until else datetime.now(UTC)).replace(second=0)
        if end > datetime.now(UTC):
            raise UserError("--until is in the future; a month ends now or earlier")
        sys.exit(_month(villages or meters or 10, circuits or 8, days or 30.0, seed, faults, end))
    if history:
        _history(meters or 10, circuits or 8, round(days or 1) or 1, seed)
        return
    sys.exit(_load(meters or 10, circuits or 8, days or 1.0, rate, speed, faults, seed))


def _load(
    meters: int, circuits: int, days: float, rate: float, speed: float, faults: bool, seed: int
) -> int:
    url = _running_url(data_dir())
    with environment.database(data_dir(), role="simulate"):
        environment.django_start()
        schema_check()
        from gridtalk.demo.load import load_run

        load = load_run(
            server_url=url,
            meters=meters,
            circuits=circuits,
            days=days,
            rate=rate,
            speed=speed,
            faults=faults,
            seed=seed,
            progress=click.echo,
        )
        for line in load.lines():
            click.echo(line)
        from gridtalk.jobs.verify import main as verify

        return verify() or int(not load.settled)


def _running_url(folder: Path) -> str:
    """The address of the server that runs on this data; :class:`SetupError` where none does."""
    url = os.environ.get("GRIDTALK_PUBLIC_URL") or FileLock(folder / "lock").holder().get(
        "public_url", ""
    )
    try:
        with urlopen(f"{url}/sign-in", timeout=5) as answer:  # noqa: S310  our own server
            answer.read(1)
    except (OSError, ValueError) as error:
        raise SetupError(
            f"no server runs on {folder} ({url or 'no address'}: {error}); start “gridtalk up” "
            "first, or write a past without a server by --history"
        ) from error
    return url.rstrip("/")


def _history(meters: int, circuits: int, days: int, seed: int) -> None:
    with environment.database(data_dir(), role="simulate"):
        environment.django_start()
        schema_check()
        from gridtalk.demo.past import past_make

        past = past_make(
            meters=meters, circuits=circuits, days=days, seed=seed, progress=click.echo
        )
        click.echo(
            f"{past.meters:,} meters, {past.circuits:,} circuits, {past.logs:,} reports, "
            f"{past.pcu_logs:,} of power units, {past.credits:,} credits, {past.postings:,} days "
            f"posted, in {past.seconds:.0f} s"
        )


def _month(
    villages: int, circuits: int, days: float, seed: int, faults: bool, end: datetime
) -> int:
    from gridtalk.demo.server import operators_own_forget

    # The clock jumps: on the operator's own database it would be a disaster.
    folder = data_dir() / "month"
    operators_own_forget()
    os.environ["GRIDTALK_BELLS"] = "0"
    click.echo(f"{villages} villages, {days:g} days; the data are in {folder}")
    environment.folder_make(folder.parent)
    with environment.database(folder, role="simulate"):
        environment.django_start()
        schema_check()
        from gridtalk.demo.month.judge import month_judge, verdict_tell
        from gridtalk.demo.month.play import month_play

        played = month_play(
            villages=villages,
            circuits=circuits,
            days=days,
            seed=seed,
            faults=faults,
            end=end,
            progress=click.echo,
        )
        verdict = month_judge(played)
        verdict_tell(played, verdict, sys.stdout)
        click.echo(
            f"The same story again, on an empty folder: --seed {seed} --until {end:%Y-%m-%dT%H:%M}"
        )
        return 0 if verdict.clean else 1

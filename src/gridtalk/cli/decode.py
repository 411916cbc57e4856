"""``gridtalk decode``: what a text says, one JSON line for each line in. No Django, no database."""

import sys

import click


@click.command()
@click.option("--consumer", is_flag=True, help="Read consumers' commands instead of meters' texts.")
def decode(*, consumer: bool) -> None:
    """Read SMS texts from standard input, one a line, and print what they say as JSON lines."""
    from gridtalk.gateway.decode import decode_stream

    for line in decode_stream(sys.stdin.buffer, consumer=consumer):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

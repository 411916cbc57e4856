"""``python -m gridtalk.cli``: how ``up`` starts its children."""

from gridtalk.cli import main

main()

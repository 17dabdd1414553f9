"""`python -m cnndsl`."""

from cnndsl.cli.main import main

main()

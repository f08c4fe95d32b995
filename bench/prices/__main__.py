"""`python -m bench.prices`."""

from bench.prices.cli import main

main()

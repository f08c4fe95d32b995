"""`python -m bench`: the speed and memory of the hub beside nginx."""

from bench.cli import main

main()

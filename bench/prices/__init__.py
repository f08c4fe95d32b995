"""The price bundle that is shipped with the hub, made from public tables: `python -m bench.prices --help`."""

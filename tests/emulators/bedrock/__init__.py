"""A strict stand-in for Amazon Bedrock over real HTTP: see `upstream.py`."""

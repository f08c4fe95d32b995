"""Real clients against real HTTP: what works with OpenAI's own service works through the hub, unchanged."""

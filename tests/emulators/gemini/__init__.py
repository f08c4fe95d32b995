"""A strict stand-in for the Gemini API over real HTTP on 127.0.0.1."""

"""Every client format against every provider, feature by feature, through one hub: the source of
`docs/compatibility.md`.

    python -m tests.conformance.matrix        writes the page
"""

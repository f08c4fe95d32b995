"""Where newer price bundles come from."""

"""How Sphinx makes the site of these pages: `make docs`, with every warning an error."""

from importlib import metadata

project = "nova-image-shim"
author = copyright = "the nova-image-shim authors"  # noqa: A001 - Sphinx's name
release = version = metadata.version(project)

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
suppress_warnings = ["myst.strikethrough"]
nitpicky = True

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"{project} {release}"
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": ["view"]}  # the page's source, copied to the site

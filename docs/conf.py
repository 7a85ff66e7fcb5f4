"""Sphinx settings: `make docs` builds the site into build/docs, and fails on any warning."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_ext")]

from tfod_kit import __version__  # noqa: E402

project = "tfod_kit"
author = "tfod_kit developers"
copyright = f"2026, {author}"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    # In _ext/:
    "command_reference",
    "documented_names",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_ext", "_static"]

# "page.md#a-heading" works as on the repository's web pages.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
# "~~~" and output without a language are not highlighted.
highlight_language = "none"

# Docstrings write `code` in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "undoc-members": True}
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True
python_display_short_literal_types = True
python_maximum_signature_line_length = 88
add_module_names = False
# Fields of two dataclasses may share a name, which is then no cross-reference.
suppress_warnings = ["ref.python"]
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"tfod_kit {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {
        "color-brand-primary": "#0b6e5f",
        "color-brand-content": "#0b6e5f",
    },
    "dark_css_variables": {
        "color-brand-primary": "#5fc9b8",
        "color-brand-content": "#5fc9b8",
    },
}
# The prompt and the output of a command are not copied.
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"

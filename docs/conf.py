# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
"""Sphinx: all Markdown of the repository as one site, so that links hold here and on GitHub.

The source folder is the root of the repository: tools/build_docs.sh.
"""

from typing import TYPE_CHECKING

import mmvsa

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = 'mmvsa'
copyright = 'mmvsa contributors'
author = 'mmvsa contributors'
version = release = mmvsa.__version__

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.viewcode']
root_doc = 'docs/index'
include_patterns = [
    'docs/**',
    'configs/*/README.md',
    'tools/benchmarks/README.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
]
exclude_patterns = ['docs/_build', 'work_dirs', 'data', '.venv', 'mmvsa', 'tests']

html_theme = 'furo'
html_title = f'mmvsa {release}'
html_extra_path = ['_root']
html_copy_source = False

myst_heading_anchors = 4
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
autodoc_member_order = 'bysource'


def setup(app: 'Sphinx') -> None:
    """Register the hooks of this file."""
    app.connect('source-read', add_unlisted_guides)


def add_unlisted_guides(app: 'Sphinx', docname: str, source: list[str]) -> None:
    """List under the guides of the index every page of ``docs/`` that the index does not name."""
    if docname != app.config.root_doc:
        return
    pages = {name.removeprefix('docs/') for name in app.env.found_docs if name.startswith('docs/')}
    unlisted = sorted(pages - set(source[0].split()) - {'index'})
    source[0] = source[0].replace('% unlisted guides', '\n'.join(unlisted))

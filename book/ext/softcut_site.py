"""Sphinx extension of the book: the site around the pages.

Formulas are set by the site's own copy of MathJax where the build has one (book/vendor.py), every
notebook page offers itself as one file that runs anywhere (book/colab.py), and launch buttons
appear with `repository.url` in _config.yml: until then nothing on a page leads to an address that
does not exist.
"""

import shutil
from pathlib import Path

from sphinx.util.fileutil import copy_asset_file

SCRIPT = "vendor/mathjax/tex-mml-chtml.js"  # below _static, and below _build
LAUNCH = {
    "colab_url": "https://colab.research.google.com",
    "binderhub_url": "https://mybinder.org",
    "notebook_interface": "jupyterlab",
}


def settle(app, config):
    """What depends on the machine that builds and on the repository's address."""
    if Path(app.srcdir, "_build", SCRIPT).is_file():
        config.mathjax_path = SCRIPT
    config.html_context.setdefault("default_mode", "auto")  # empty, it is an error in the console
    options = config.html_theme_options
    if options.get("repository_url"):
        options["launch_buttons"] = LAUNCH
        options |= dict.fromkeys(("use_repository_button", "use_issues_button"), True)


def offer_notebook(app, pagename, templatename, context, doctree):
    """Add the self-contained notebook to the page's menu of downloads."""
    name = f"{pagename.rpartition('/')[2]}.ipynb"
    if not Path(app.srcdir, "_build", "colab", name).is_file():
        return
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons":
            group["buttons"].insert(0, {
                "type": "link",
                "url": context["pathto"](f"colab/{name}", 1),
                "text": "for Colab",
                "icon": "fas fa-box-open",
                "tooltip": "Download as one file that brings the library: for Colab or anywhere",
                "label": "download-colab-button",
            })  # fmt: skip


def bring(app, exception):
    """Copy what the pages load and offer beside them."""
    if exception or app.builder.format != "html":
        return
    build, site = Path(app.srcdir, "_build"), Path(app.outdir)
    if app.config.mathjax_path == SCRIPT:
        there = Path(SCRIPT).parent
        shutil.copytree(build / there, site / "_static" / there, dirs_exist_ok=True)
    (site / "colab").mkdir(exist_ok=True)
    for notebook in (build / "colab").glob("*.ipynb"):
        copy_asset_file(str(notebook), str(site / "colab"))


def setup(app):
    app.connect("config-inited", settle)
    # after the theme has made its buttons
    app.connect("html-page-context", offer_notebook, priority=900)
    app.connect("build-finished", bring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

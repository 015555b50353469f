"""How Sphinx builds the documentation: `sphinx-build -W --keep-going docs build/docs` in the root of the sources."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))
# What the cells of the pages import, in the processes that run them: pictures.py.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
# A configuration of IPython for these processes alone: not that of whoever builds, nor a warning that they use TCP.
IPYTHON = Path(tempfile.mkdtemp(prefix="plainnet-docs-"))
atexit.register(shutil.rmtree, IPYTHON, ignore_errors=True)
(IPYTHON / "profile_default").mkdir()
(IPYTHON / "profile_default" / "ipython_kernel_config.py").write_text('get_config().IPKernelApp.log_level = "ERROR"\n')
os.environ["IPYTHONDIR"] = str(IPYTHON)
os.environ["MPLBACKEND"] = "Agg"  # a figure is shown where a cell says so

import plainnet  # noqa: E402

project = "plainnet"
author = "The plainnet founders"
copyright = author
version = release = plainnet.__version__

# Sphinx's and others', then those of docs/extensions.
extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "c_header",
    "command_line",
    "links",
    "mathml",
    "playground",
    "terminal",
]
exclude_patterns = ["README.md", "assets", "extensions"]

# ---- Pages in Markdown, whose cells run when they are built

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_show_tb = True  # of a cell that fails, which is a warning, so that -W fails the build
nb_execution_timeout = 300
nb_output_stderr = "warn"  # with -W, a warning in an example fails the build
nb_merge_streams = True
nb_render_text_lexer = "text"
nb_render_markdown_format = "myst"  # with tables

# ---- References from docstrings

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # NumPy's docstrings have the types
numpydoc_show_class_members = False
nitpicky = True  # a name that leads nowhere is a warning
nitpick_ignore = [("c:identifier", name) for name in ("size_t", "uint64_t")]  # the standard library's

# ---- Plain files: no request to anywhere

html_theme = "furo"
html_title = "plainnet"
html_math_renderer = "mathml"
html_static_path = ["assets"]
html_css_files = ["plainnet.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072B2", "color-brand-content": "#0072B2"},
    "dark_css_variables": {"color-brand-primary": "#56B4E9", "color-brand-content": "#56B4E9"},
}

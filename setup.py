"""Everything is in pyproject.toml, except that a wheel also takes along the numbers pages read.

So a notebook that is opened away from the book's folder, in Colab say, finds them too.
"""

from pathlib import Path
from shutil import copy2

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithNumbers(build_py):
    def run(self):
        super().run()
        if self.editable_mode:  # a checkout has the files themselves
            return
        for source in [Path("book/papers.json"), *Path("book/results").glob("*.json")]:
            target = Path(self.build_lib, "softcut_lib") / source
            target.parent.mkdir(parents=True, exist_ok=True)
            copy2(source, target)


setup(cmdclass={"build_py": BuildWithNumbers})

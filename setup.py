"""Package definition: `pip install -e .`, extras `test`, `docs`, `gpu`, `hub`, `beam`, `onnx`, `rerank` and `video`."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "yt8m" / "__init__.py").read_text(encoding="utf-8")).group(1)

setup(
    name="yt8m",
    version=VERSION,
    description="Where in a video is a topic? The systems of the YouTube-8M Segments challenge in TensorFlow and Keras.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=[*find_packages(include=["yt8m", "yt8m.*"]), "yt8m.configs"],
    package_dir={"yt8m.configs": "configs"},
    package_data={"yt8m.configs": ["*.flags"], "yt8m.readers": ["*.csv"], "yt8m.timelines": ["*.html", "page.css", "page.js"]},
    entry_points={"console_scripts": ["yt8m = yt8m.cli.app:main"]},
    install_requires=[
        "tensorflow>=2.21,<2.22",
        "keras>=3.15,<3.16; python_version >= '3.11'",
        "keras>=3.10,<3.16; python_version < '3.11'",  # Keras 3.13 and later need Python 3.11
        "tensorboard>=2.20",
        "numpy>=2",
        "pandas>=2.2",
        "absl-py>=2.1",
        "matplotlib>=3.9",
        "rich>=13",
    ],
    extras_require={
        "hub": ["huggingface_hub>=0.24"],
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        "beam": ["apache-beam>=2.77,<3"],
        "onnx": ["onnxruntime>=1.20"],
        "rerank": ["scikit-learn>=1.7"],
        "video": ["av>=14.1"],
        "docs": ["mkdocs>=1.6.1,<2", "mkdocstrings[python]>=1,<2"],
        "test": [
            "apache-beam>=2.77,<3",
            "av>=14.1",
            "ipykernel>=6.29",
            "jax",
            "jsonschema>=4",
            "nbclient>=0.10",
            "onnxruntime>=1.20",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "pyyaml>=6",
            "ruff>=0.9",
            "scikit-learn>=1.7",
        ],
    },
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)

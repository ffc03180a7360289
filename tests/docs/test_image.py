"""The Dockerfile, as far as it can be held without a daemon: what it copies is there, and of one version."""

import fnmatch
import re

from markdown_commands import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def copied() -> list[str]:
    """What is copied out of the clone."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_what_is_copied_is_there_and_not_ignored():
    let_through = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")]
    assert len(copied()) >= 8
    for source in copied():
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in let_through), source


def test_all_that_a_wheel_is_made_of_is_copied():
    included = re.findall(r'^"?([\w/]+)"? = "rlvr/_', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert included == ["conf", "experiments", "results/published"]
    assert {*included, "rlvr", "hydra_plugins", "pyproject.toml"} <= set(copied())


def test_versions_are_those_of_the_makefile():
    (torch,) = re.findall(r"^TORCH *:= (torch==\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert torch in DOCKERFILE
    assert re.findall(r"^FROM \S+ AS (\w+)", DOCKERFILE, re.MULTILINE) == ["wheel", "base", "cuda", "cpu"]


def pinned(name: str) -> dict[str, str]:
    """The versions of a file of requirements; names as PyPI compares them."""
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {package.lower().replace("_", "-"): version for package, version in pairs}


def test_on_gpus_what_decides_numbers_has_the_versions_of_the_tests():
    lock, cuda = pinned("lock.txt"), pinned("cuda.txt")
    deciding = ["transformers", "tokenizers", "sympy", "antlr4-python3-runtime", "reasoning-gym"]
    for name in [*deciding, "if-verifiable", "peft", "datasets", "hydra-core", "omegaconf"]:
        assert cuda[name] == lock[name], name
    (vllm,) = re.findall(r'^vllm = \["vllm==(\S+)"\]$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert cuda["vllm"] == vllm

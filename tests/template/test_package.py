"""The archive of a release, and the workflows that have not run yet."""

import importlib.machinery
import importlib.util
import io
import re
import tarfile
import zipfile

import pytest
import yaml
from deployment import ROOT
from samtranslator.yaml_helper import yaml_parse

LOADER = importlib.machinery.SourceFileLoader("package", str(ROOT / ".ci/package"))
SPEC = importlib.util.spec_from_loader("package", LOADER)
package = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(package)

BINARY = b"the function"


@pytest.fixture(params=package.MACHINES)
def archive(request, tmp_path):
    """The files of an archive by name, and its architecture."""
    path = package.pack(request.param, BINARY, tmp_path)
    with tarfile.open(path) as packed:
        files = {each.name.partition("/")[2]: packed.extractfile(each).read() for each in packed.getmembers()}
    return files, request.param


def test_the_archive_has_what_a_deployment_needs(archive):
    files, _ = archive
    assert files.keys() == {"CHANGELOG.md", "LICENSE", "function.zip", "template.yaml", "user-pool.yaml"}
    with zipfile.ZipFile(io.BytesIO(files["function.zip"])) as zipped:
        [entry] = zipped.infolist()
        assert (entry.filename, entry.external_attr >> 16) == ("bootstrap", 0o100755)
        assert zipped.read(entry) == BINARY


def test_the_packed_template_differs_in_its_code_only(archive):
    files, architecture = archive
    ours, packed = (yaml_parse(text) for text in ((ROOT / "template.yaml").read_text(), files["template.yaml"].decode()))
    function = packed["Resources"]["OrganizationInvitationsFunction"]
    assert function["Properties"].pop("CodeUri") == "function.zip"
    assert "Metadata" not in function
    assert packed["Parameters"]["Architecture"].pop("Default") == architecture
    expected = ours["Resources"]["OrganizationInvitationsFunction"]
    assert expected["Properties"].pop("CodeUri") == "."
    del expected["Metadata"], ours["Parameters"]["Architecture"]["Default"]
    assert packed == ours


WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_scripts_that_exist_and_pins_actions(path):
    text = path.read_text()
    jobs = yaml.safe_load(text)["jobs"]
    used = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)
    scripts = set(re.findall(r"\.ci/[a-z0-9-]+(?![\w.*])", text))
    assert scripts
    assert all((ROOT / script).stat().st_mode & 0o111 for script in scripts)


def test_the_gate_is_what_ci_runs():
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["gate"]["steps"]
    assert ".ci/run" in steps[-1]["run"].split()

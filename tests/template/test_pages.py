"""Every document: links, commands, and the names that the documents share with the code."""

import collections
import functools
import json
import re
import tomllib

import pytest
from deployment import ROOT, SERVICE, USER_POOL, source
from pages import anchors, commands, links, names, page, pages, rows, section, sentences
from samcli.cli.command import BaseCommand

CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text())
ALIASES = tomllib.loads((ROOT / ".cargo/config.toml").read_text())["alias"]
OF_CARGO = {"bench", "build", "check", "clippy", "doc", "fmt", "install", "metadata", "run", "test"}
PLUGINS = {"deny", "fuzz", "lambda", "mutants"}
FOLDERS = r"\.cargo|\.ci|\.github|benches|docs|events|examples|fuzz|src|tests"
# Created by a run, so not in the repository.
GENERATED = {"fuzz/artifacts/event/"}
WORDS_OF_A_SENTENCE = 12


@functools.cache
def code(*paths):
    """The Rust sources without their unit tests."""
    files = [file for path in paths for file in ([ROOT / path] if path.endswith(".rs") else (ROOT / path).rglob("*.rs"))]
    assert files
    return "\n".join(file.read_text().partition("#[cfg(test)]\nmod tests")[0] for file in files)


@pytest.mark.parametrize("name", pages())
def test_every_link_leads_somewhere(name):
    for target in links(page(name)):
        file, _, anchor = target.partition("#")
        linked = (ROOT / name).parent / file if file else ROOT / name
        assert target and linked.exists(), target
        assert not anchor or anchor in anchors(linked.read_text()), target


def test_a_dead_anchor_is_noticed():
    assert anchors("# A b\n## C's d\n## A b\n```sh\n# none\n```\n") == {"a-b", "cs-d", "a-b-1"}


def all_commands():
    return [(name, command.strip()) for name, text in pages().items() for command in commands(text)]


def words_after(tool):
    """The arguments of each command that calls the tool."""
    for name, command in all_commands():
        for call in re.split(r"&&|;|\||\$\(", command.split(" #")[0]):
            found = re.match(rf"\s*(?:[A-Z_]+=\S+ |env |eval )*{re.escape(tool)} +(.*)", call)
            if found and not re.search(r"[…]", call):
                yield name, command, re.findall(r"[^\s)]+", found[1])


def test_every_cargo_command_exists():
    seen = collections.Counter()
    for name, command, (first, *others) in words_after("cargo"):
        assert first in OF_CARGO | PLUGINS | ALIASES.keys(), (name, command)
        assert_targets_exist((name, command), others)
        seen[first] += 1
    assert seen["dev"] > 5 and seen["test"] > 5 and seen["directory"] > 5


def assert_targets_exist(where, words):
    """Asserts that the features, binaries, tests and benches in a command exist."""
    for option, value in zip(words, words[1:], strict=False):
        if option == "--features":
            assert set(value.split(",")) <= CARGO["features"].keys(), where
        if option in ("--bin", "--test", "--bench"):
            assert value in {target["name"] for target in CARGO[option[2:]]}, where
    for module in [word for word in words if re.fullmatch(r"[a-z_]+::", word)]:
        assert any((ROOT / f"tests/{target}/{module[:-2]}.rs").exists() for target in ("api", "stress")), where


def options_of(words):
    return {word.split("=")[0][2:].replace("-", "_") for word in words if re.match(r"--[a-z]", word)}


def fields(text):
    """The names of clap's options: the field names, and the explicit names and aliases."""
    given = re.findall(r"(?:long|alias) = \"([a-z-]+)\"", text)
    return {name.replace("-", "_") for name in given} | set(re.findall(r"^ +(?:pub )?(\w+): ", text, re.MULTILINE))


def test_every_option_and_subcommand_of_ours_exists():
    for alias, source_text in ("dev", code("src/bin/local.rs")), ("directory", code("src/directory_command")):
        known = {kind.lower() for kind in re.findall(r"^    ([A-Z][a-z]+)(?:\(| \{)", source_text, re.MULTILINE)}
        for name, command, words in words_after(f"cargo {alias}"):
            words = words[2:] if words[:1] == ["--tenant"] else words
            assert options_of(words) <= fields(source_text), (name, command)
            # No subcommand follows the server's options.
            assert not words or words[0].startswith("-") or words[0] in known, (name, command)


def test_every_sam_command_exists():
    known = set(BaseCommand().list_commands(None))
    called = {words[0] for _, _, words in words_after("sam")}
    assert {"build", "deploy", "local"} <= called <= known


def test_every_npm_and_node_command_exists():
    for name, command, words in words_after("npm"):
        prefix = words[words.index("--prefix") + 1] if "--prefix" in words else "tests/clients"
        package = json.loads((ROOT / prefix / "package.json").read_text())
        assert words[0] in {"ci", "install", *package.get("scripts", {})}, (name, command)


@pytest.mark.parametrize("name", pages())
def test_every_file_that_is_named_exists(name):
    """Scripts, events and sources, in commands and in the text."""
    spans = {span for each in commands(page(name)) for span in re.findall(rf"(?:^|(?<=[\s(]))(?:{FOLDERS})/[\w./-]*", each)}
    for path in spans - GENERATED:
        assert (ROOT / path).exists() or re.search(rf"{re.escape(path)}<", page(name)), path


def test_scripts_that_are_named_can_be_run():
    scripts = {path for _, command in all_commands() for path in re.findall(r"\.ci/[a-z0-9-]+(?![\w.*])", command)}
    assert len(scripts) > 7
    assert all((ROOT / path).stat().st_mode & 0o111 for path in scripts)


def test_the_readme_is_a_front_page():
    assert len(page("README.md").splitlines()) <= 200


def test_the_readme_has_every_document():
    assert {name for name in pages() if name.startswith("docs/")} <= set(links(page("README.md")))


def test_no_sentence_is_in_two_places():
    found = collections.defaultdict(list)
    for name, text in pages().items():
        for words in sentences(text):
            if len(words) >= WORDS_OF_A_SENTENCE:
                found[words].append(name)
    assert len(found) > 500
    assert {" ".join(words): places for words, places in found.items() if len(places) > 1} == {}


# Settings


def settings_table():
    """The variables, the parameters, the default and the limits of each row."""
    found = [(names(row[0]), names(row[1]), row[2], row[3]) for row in rows(page("docs/configuration.md"))]
    assert len(found) > 30
    return found


def variables():
    """The environment variables that the function reads."""
    sources = re.sub(r"env!\(.*?\)", "", code("src/config.rs", "src/app/environment.rs", "src/main.rs"))
    read = set(re.findall(r"\"([A-Z][A-Z0-9]*_[A-Z0-9_]+)\"", sources))
    services = {f"AWS_ENDPOINT_URL{service}" for service in ("", "_DYNAMODB", "_SESV2")}
    return (read | services) - {"AWS_LAMBDA_FUNCTION_NAME"}


def test_every_variable_of_the_function_is_in_the_table_and_no_other():
    listed = [variable for row in settings_table() for variable in row[0]]
    assert sorted(listed) == sorted(variables())


def test_every_parameter_of_the_template_is_in_the_table_and_no_other():
    listed = [parameter for row in settings_table() for parameter in row[1]]
    assert sorted(listed) == sorted(source(SERVICE)["Parameters"])
    assert all(f"`{parameter}`" in page("docs/configuration.md") for parameter in source(USER_POOL)["Parameters"])


def test_a_variable_and_the_parameter_that_it_is_given_are_in_one_row():
    function = source(SERVICE)["Resources"]["OrganizationInvitationsFunction"]["Properties"]
    given = function["Environment"]["Variables"]
    for variable, value in given.items():
        parameters = set(re.findall(r"'Ref': '(\w+)'", str(value))) & source(SERVICE)["Parameters"].keys()
        [row] = [row for row in settings_table() if variable in row[0]]
        assert set(row[1]) == parameters, variable


def test_the_defaults_are_those_of_the_code_and_of_the_template():
    numbers = re.findall(r"number\(\"(\w+)\", ([\d_]+), ([\d_]+), ([\d_]+)\)", code("src/config.rs"))
    texts = re.findall(r"list\(\"(\w+)\", \"(.+?)\"", code("src/config.rs"))
    assert len(numbers) >= 5 and len(texts) >= 2
    by_variable = {name: row for row in settings_table() for name in row[0]}
    for name, default, least, most in numbers:
        _, _, text, limits = by_variable[name]
        assert names(text)[0] == default.replace("_", ""), name
        assert limits == f"{least} to {most}".replace("_", ""), name
    for name, default in texts:
        assert names(by_variable[name][2])[0] == default, name
    for _, parameters, text, limits in settings_table():
        for name in parameters:
            assert_as_in_the_template(name, text.partition("template: ")[2] or text, limits)


def assert_as_in_the_template(name, text, limits):
    parameter = source(SERVICE)["Parameters"][name]
    default = str(parameter.get("Default", "required"))
    assert default == (names(text) or [text])[0] or (default == "" and text.startswith("none")), (name, text)
    if "MinValue" in parameter:
        assert limits == f"{parameter['MinValue']} to {parameter['MaxValue']}", name
    if "AllowedValues" in parameter:
        assert re.sub("`", "", limits).split(", ") == [str(value) for value in parameter["AllowedValues"]], name


# Codes, log keys and metrics


def test_every_error_code_is_in_the_reference_and_no_other_anywhere():
    codes = set(re.findall(r"\"((?:auth|connector|entity|guard|request|service)\.[a-z_]+)\"", code("src/http/error.rs")))
    assert len(codes) > 15
    for text, expected in (page("docs/api.md"), codes), ("".join(pages().values()), set()):
        listed = set(re.findall(r"`((?:auth|connector|entity|guard|request|service)\.[a-z_]+)`", text))
        assert expected <= listed <= codes, listed ^ codes


def test_every_code_of_a_violation_is_in_the_reference():
    codes = set(re.findall(r"=> \"([a-z_]+)\"", code("src/http/error.rs").partition("fn as_str")[2].partition("}\n    }")[0]))
    assert len(codes) == 6
    assert all(f"`{each}`" in page("docs/api.md") for each in codes)


def members_of_the_line():
    """The keys and the metrics of the log line for each request."""
    structure = re.search(r"struct Embedded.*?\{\n(.*?)^\}", code("src/telemetry/embedded.rs"), re.MULTILINE | re.DOTALL)[1]
    renamed = set(re.findall(r"rename = \"(\w+)\"", structure)) - {"_aws"}
    plain = re.findall(r"^    (\w+): ", re.sub(r"rename = .*?\n    \w+: ", "", structure), re.MULTILINE)
    return {re.sub(r"_([a-z])", lambda match: match[1].upper(), key) for key in plain}, renamed


def test_every_key_of_the_log_is_in_the_document_and_no_other():
    keys, metrics = members_of_the_line()
    assert len(keys) > 15
    listed = [name for row in rows(section(page("docs/observability.md"), "The log line")) for name in names(row[0])]
    assert sorted(listed) == sorted(keys | (metrics & {"UnreadableRows"}))


def test_every_metric_is_in_the_document_and_no_other():
    _, metrics = members_of_the_line()
    for text in section(page("docs/observability.md"), "Metrics"), section(page("docs/cost.md"), "Metrics"):
        assert {name for row in rows(text) for name in names(row[0])} == metrics


def test_every_outcome_is_in_the_document_and_no_other():
    [function] = re.findall(r"const fn outcome_name\(.*?\n\}\n", code("src/telemetry/statistics.rs"), re.DOTALL)
    listed = [names(row[0])[0] for row in rows(section(page("docs/observability.md"), "Outcomes"))]
    assert sorted(listed) == sorted({*re.findall(r"=> \"([a-z_]+)\"", function), "mail_unknown"})

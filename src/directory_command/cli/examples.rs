//! The examples in the help of each subcommand.

/// The examples of each command without subcommands: its name, and the arguments after the common options.
const EXAMPLES: [(&[&str], &[&str]); 25] = [
    (
        &["organization", "put"],
        &[
            "acme --name 'Acme Corporation'",
            r##"acme --name 'Acme Corporation' --branding '{"primaryColor":"#4338ca"}'"##,
            "--file acme.json",
        ],
    ),
    (&["organization", "get"], &["acme"]),
    (&["organization", "list"], &[""]),
    (&["organization", "delete"], &["acme"]),
    (&["role", "put"], &["admin --name Administrator"]),
    (&["role", "get"], &["admin"]),
    (&["role", "list"], &[""]),
    (&["role", "delete"], &["admin"]),
    (&["user", "put"], &["ada --name 'Ada Lovelace' --primary-email ada@example.com"]),
    (&["user", "get"], &["ada"]),
    (&["user", "list"], &[""]),
    (&["user", "delete"], &["ada"]),
    (&["member", "put"], &["acme ada --role admin", "acme ada --role admin --role billing --email ada@acme.example"]),
    (&["member", "get"], &["acme ada"]),
    (&["member", "list"], &["", "--organization acme"]),
    (&["member", "delete"], &["acme ada"]),
    (
        &["connector", "put"],
        &["connector.json", r#"--json '{"fromEmailAddress":"a@acme.example","defaultLocale":"en"}'"#],
    ),
    (&["connector", "get"], &[""]),
    (&["connector", "list"], &[""]),
    (&["connector", "delete"], &[""]),
    (&["person", "get"], &["ada@example.com"]),
    (&["person", "delete"], &["ada@example.com --dry-run", "ada@example.com", "ada@example.com --yes"]),
    (&["import"], &["directory.ndjson", "directory.ndjson --skip 5000", "-"]),
    (
        &["invite"],
        &[
            "invitees.csv --api https://invitations.acme.example --organization acme --role member",
            "invitees.csv --api http://localhost:3000 --organization acme --expires-in 14d --link 'https://acme.example/join/{invitationId}'",
            "- --api http://localhost:3000 --organization acme --expires-at 2100-01-01T00:00:00Z --no-mail",
        ],
    ),
    (&["completions"], &["bash > ~/.local/share/bash-completion/completions/directory"]),
];

/// Adds examples to the help of the command at `path`. The program's own help has the first example of each command
/// except `get`, `list` and `delete`.
pub(super) fn add(command: clap::Command, path: &[String], program: &str) -> clap::Command {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let of_path = EXAMPLES.iter().filter(|(names, _)| names.starts_with(&path));
    let lines: Vec<String> = if path.is_empty() {
        let firsts = of_path.filter(|(names, _)| !matches!(names, [_, "get" | "list" | "delete"]));
        firsts.map(|(names, examples)| line(program, names, examples[0])).collect()
    } else {
        of_path.flat_map(|(names, examples)| examples.iter().map(|example| line(program, names, example))).collect()
    };
    let variable = match path[..] {
        [] => "TABLE_NAME (for `invite` API_TOKEN)",
        ["invite"] => "API_TOKEN",
        _ => "TABLE_NAME",
    };
    command.after_help(format!("Examples, with {variable} set:\n{}", lines.join("\n")))
}

fn line(program: &str, names: &[&str], example: &str) -> String {
    let tenant = if matches!(names, ["completions" | "invite"]) { "" } else { " --tenant acme-prod" };
    format!("  {program}{tenant} {} {example}", names.join(" ")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::directory_command::cli::command;

    /// The words of a command line, as a shell splits it, up to a redirection.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        for (position, part) in line.split('\'').enumerate() {
            if position % 2 == 1 {
                words.last_mut().unwrap().push_str(part);
                continue;
            }
            let mut pieces = part.split(' ');
            words.last_mut().unwrap().push_str(pieces.next().unwrap());
            words.extend(pieces.map(str::to_owned));
        }
        words.into_iter().filter(|word| !word.is_empty()).take_while(|word| word != ">").collect()
    }

    fn help(path: &[&str]) -> String {
        let mut command = command("directory");
        let command = path.iter().fold(&mut command, |command, name| command.find_subcommand_mut(name).unwrap());
        command.render_help().to_string()
    }

    fn leaves(command: &clap::Command, path: &[&str], found: &mut BTreeSet<Vec<String>>) {
        if !command.has_subcommands() {
            found.insert(path.iter().map(|name| (*name).to_owned()).collect());
        }
        // clap adds `help` by itself.
        for subcommand in command.get_subcommands().filter(|it| it.get_name() != "help") {
            leaves(subcommand, &[path, &[subcommand.get_name()]].concat(), found);
        }
    }

    #[test]
    fn every_example_is_a_valid_command_line_of_its_command() {
        for (names, examples) in EXAMPLES {
            for example in examples {
                let mut words = words(&line("directory", names, example));
                // In place of TABLE_NAME.
                words.splice(1..1, ["--table".to_owned(), "t".to_owned()]);
                if names == ["invite"] {
                    // In place of API_TOKEN.
                    words.extend(["--token".to_owned(), "t".to_owned()]);
                }
                let mut command = command("directory").mut_args(|argument| argument.required(false));
                let matches = command.try_get_matches_from_mut(&words).unwrap_or_else(|error| panic!("{error}"));
                let mut matches = &matches;
                for name in names {
                    matches = matches.subcommand_matches(name).unwrap_or_else(|| panic!("{words:?} is not {names:?}"));
                }
                assert!(matches.subcommand().is_none(), "{words:?}");
            }
        }
    }

    #[test]
    fn every_command_has_examples_in_its_own_help_and_in_its_parents() {
        let mut found = BTreeSet::new();
        leaves(&command("directory"), &[], &mut found);
        let named = EXAMPLES.iter().map(|(names, _)| names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(found, named.collect(), "the commands without subcommands, and those with examples");
        for (names, examples) in EXAMPLES {
            for example in examples {
                let line = line("directory", names, example);
                for path in [names, &names[..1]] {
                    assert!(help(path).contains(&line), "{path:?} lacks {line}");
                }
            }
        }
        assert!(help(&[]).contains("directory --tenant acme-prod member put acme ada --role admin"));
    }
}

//! The examples in the help of each subcommand.

/// The arguments after the options that all have: of each command that does something, by its name.
const EXAMPLES: [(&[&str], &[&str]); 24] = [
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
    (&["completions"], &["bash > ~/.local/share/bash-completion/completions/directory"]),
];

/// Adds its examples to the help of `command`, which is found at `path`, and to its subcommands. Those of the program
/// as a whole are one of each kind.
pub(super) fn add(command: clap::Command, path: &mut Vec<String>, program: &str) -> clap::Command {
    let of_path = EXAMPLES.iter().filter(|(names, _)| names.iter().zip(&*path).all(|(name, part)| name == part));
    let lines: Vec<String> = if path.is_empty() {
        let firsts = EXAMPLES.iter().filter(|(names, _)| !matches!(names, [_, "get" | "list" | "delete"]));
        firsts.map(|(names, examples)| line(program, names, examples[0])).collect()
    } else {
        of_path.flat_map(|(names, examples)| examples.iter().map(|example| line(program, names, example))).collect()
    };
    let subcommands: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    let command = command.after_help(format!("Examples, with TABLE_NAME set:\n{}", lines.join("\n")));
    subcommands.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name.clone(), |subcommand| {
            path.push(name);
            let subcommand = add(subcommand, path, program);
            path.pop();
            subcommand
        })
    })
}

fn line(program: &str, names: &[&str], example: &str) -> String {
    let tenant = if names == ["completions"] { "" } else { " --tenant acme-prod" };
    format!("  {program}{tenant} {} {example}", names.join(" ")).trim_end().to_owned()
}

//! The usage of each subcommand, with the options that all of them require.

/// The required arguments of each `put`. clap shows them as optional, because a JSON object replaces them.
const PUT: [(&[&str], &str); 5] = [
    (&["organization", "put"], "<ID> --name <NAME> [OPTIONS]"),
    (&["role", "put"], "<ID> --name <NAME>"),
    (&["user", "put"], "<ID> [OPTIONS]"),
    (&["member", "put"], "<ORGANIZATION> <USER> [OPTIONS]"),
    (&["connector", "put"], "<FILE>"),
];

/// Sets the usage of the command at `path`.
pub(super) fn add(command: clap::Command, path: &[String], program: &str) -> clap::Command {
    if path.is_empty() || path == ["completions"] || path == ["invite"] {
        return command;
    }
    let start = format!("{program} --tenant <TENANT> --table <TABLE> {}", path.join(" "));
    let usage = match PUT.iter().find(|(names, _)| *names == path) {
        Some((["connector", _], arguments)) => format!("{start} {arguments}\n       {start} --json <OBJECT>"),
        Some((_, arguments)) => {
            format!("{start} {arguments}\n       {start} --json <OBJECT>\n       {start} --file <FILE>")
        }
        None => {
            // A copy, because rendering adds the subcommand `help`.
            let usage = command.clone().render_usage().to_string();
            let arguments = usage.split_once(command.get_name()).map_or("", |(_, arguments)| arguments.trim());
            format!("{start} {arguments}").trim_end().to_owned()
        }
    };
    command.override_usage(usage)
}

//! Checks that tests named in documents and scripts exist.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A name with fewer underscores is a module or another path of the code.
const FEWEST_UNDERSCORES: usize = 3;

#[test]
fn documents_and_scripts_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: String =
        ["src", "tests"].iter().flat_map(|folder| files(&root.join(folder), "rs")).map(read).collect();
    let documents = files(&root.join("docs"), "md").into_iter().chain(files(&root.join("tests"), "md"));
    let scripts = [".ci/second-opinion", ".cargo/mutants.toml", "README.md"].map(|path| root.join(path));
    let mut found = 0;
    for path in documents.chain(scripts) {
        let text = read(path.clone());
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        let names = words.filter_map(|word| word.rsplit_once("::")).map(|(_, name)| name);
        for name in names.filter(|name| name.matches('_').count() >= FEWEST_UNDERSCORES) {
            // A prefix of a name is valid, because it selects the test as well.
            assert!(sources.contains(&format!("fn {name}")), "{}: there is no test {name}", path.display());
            found += 1;
        }
    }
    assert!(found > 20, "{found}");
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files with this extension in a folder and its subfolders.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let nested = entries.map(|path| {
        if path.is_dir() {
            files(&path, extension)
        } else {
            Vec::from_iter(path.extension().is_some_and(|found| found == extension).then_some(path))
        }
    });
    nested.flatten().collect()
}

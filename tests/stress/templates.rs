//! The memory that the largest templates take.

use std::process::Command;

use organization_invitations::mail::render::{MAX_TAGS, render};
use serde_json::json;

/// Runs in a separate process, since other tests would add to its memory.
#[test]
fn fifty_tenants_with_the_largest_templates_take_little_memory() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "templates::renders_the_templates_of_fifty_tenants", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let (shown, said) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && shown.contains("1 passed"), "{shown}{said}");
}

#[test]
#[ignore = "run by fifty_tenants_with_the_largest_templates_take_little_memory"]
fn renders_the_templates_of_fifty_tenants() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let render = |tenant: usize| {
        let part = |name: &str| {
            let begin = format!("{name} of {tenant} ");
            // The most bytes that a part with this many tags can have.
            let filling = "x".repeat((10_000_000 / MAX_TAGS - begin.len()) / MAX_TAGS - "{{a.b}}".len());
            begin + &format!("{{{{a.b}}}}{filling}").repeat(MAX_TAGS)
        };
        let variables = json!({ "a": { "b": "value" } });
        render(&part("subject"), &part("html"), &part("text"), &variables).unwrap();
        // Too many tags, but few enough bytes for the cache if it counted bytes only.
        assert!(render("s", "h", &format!("{tenant}{}", "{{a.b}} ".repeat(7_500)), &variables).is_err());
    };
    let before = resident();
    (0..12).for_each(render);
    let after_twelve = resident();
    (12..50).for_each(render);
    let after_fifty = resident();
    println!("{before} kB, after twelve {after_twelve} kB, after fifty {after_fifty} kB");
    assert!(after_twelve.max(after_fifty) < before + 24_000, "{before}, {after_twelve}, {after_fifty}");
}

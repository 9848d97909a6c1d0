//! `cargo xtask up --once`: every step really happens, and a step that does not is noticed.

use std::process::Command;

use clap::ValueEnum as _;
use lanyard_tests::{process::binary, up::Sabotage};

/// The lines of the report that begin with a step's number: its number and its mark.
fn report(output: &str) -> Vec<(usize, String)> {
    output
        .lines()
        .filter_map(|line| {
            let (number, rest) = line.trim_start().split_once(". [")?;
            Some((number.parse().ok()?, rest.split_once(']')?.0.to_owned()))
        })
        .collect()
}

fn up(sabotage: Option<Sabotage>) -> (bool, String) {
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary("lanyard-up"));
    command.arg("--once").arg("--data").arg(data.path());
    if let Some(sabotage) = sabotage {
        let name = sabotage.to_possible_value().unwrap();
        command.args(["--sabotage", name.get_name()]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn every_step_of_the_main_job_happens() {
    let (good, said) = up(None);
    let steps = report(&said);
    assert_eq!(steps.len(), Sabotage::ALL.len(), "{said}");
    assert!(steps.iter().all(|(_, mark)| mark == "ok"), "{said}");
    assert!(good, "{said}");
}

#[test]
fn a_broken_step_fails_its_own_line_and_the_exit_status() {
    for sabotage in Sabotage::ALL {
        let (good, said) = up(Some(sabotage));
        assert!(!good, "{sabotage:?}: {said}");
        let expected = (1..=Sabotage::ALL.len()).map(|step| {
            let mark = match step.cmp(&sabotage.step()) {
                std::cmp::Ordering::Less => "ok",
                std::cmp::Ordering::Equal => "FAILED",
                std::cmp::Ordering::Greater => "not reached",
            };
            (step, mark.to_owned())
        });
        assert_eq!(
            report(&said),
            expected.collect::<Vec<_>>(),
            "{sabotage:?}: {said}"
        );
    }
}

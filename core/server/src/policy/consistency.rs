//! What a policy must keep in itself, whatever its plugins are.

use std::collections::BTreeSet;

use lanyard_commands::Facts;
use lanyard_engine::{LocalUsers, Schedule};
use lanyard_policy::{Ceiling, FailureSide, HookPoint};

use super::{Document, PolicyRefused};

/// Names, grants for commands, and failure sides.
///
/// # Errors
/// [`PolicyRefused::Binding`], of the first binding that cannot be meant.
pub(super) fn check(document: &Document) -> Result<(), PolicyRefused> {
    check_names(document)?;
    check_commands(document)?;
    check_failure_sides(document)
}

/// A binding is known by its name: for a directory, persons belong to it; for events and commands, it is remembered what was told and
/// issued.
fn check_names(document: &Document) -> Result<(), PolicyRefused> {
    let mut names = BTreeSet::from([(HookPoint::Directory, LocalUsers::NAME)]);
    for binding in &document.bindings {
        let name = binding.name.as_str();
        // It is part of paths, where `..` is none.
        let is_name = (1..=64).contains(&name.len())
            && name.as_bytes()[0].is_ascii_alphanumeric()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        if !is_name {
            let problem = "a name begins with a letter or digit, and has 1 to 64 letters, digits, dots and hyphens";
            return Err(PolicyRefused::binding(binding, problem));
        }
        if !names.insert((binding.hook, name)) {
            let problem =
                "another binding of this hook has the name (local-users is the native directory)";
            return Err(PolicyRefused::binding(binding, problem));
        }
    }
    Ok(())
}

/// A grant for a command that is not there would be one for whatever gets the name; and what destroys something is granted as that.
fn check_commands(document: &Document) -> Result<(), PolicyRefused> {
    for binding in &document.bindings {
        let granted = &binding.commands;
        let issues = matches!(binding.hook, HookPoint::CommandSelection | HookPoint::Event);
        if !issues && *granted != Ceiling::default() {
            let problem = "only command-selection and event issue commands";
            return Err(PolicyRefused::binding(binding, problem));
        }
        for (names, as_destructive) in [(&granted.allow, false), (&granted.destructive, true)] {
            for name in names {
                let problem = match Facts::of(name) {
                    None => format!("{name} is no command that is known here"),
                    Some(facts) if facts.destructive && !as_destructive => format!(
                        "{name} is destructive: if it is to be granted, list it under `destructive`"
                    ),
                    Some(facts) if !facts.destructive && as_destructive => {
                        format!("{name} is not destructive: list it under `allow`")
                    }
                    Some(_) => continue,
                };
                return Err(PolicyRefused::binding(binding, &problem));
            }
        }
    }
    Ok(())
}

/// Authentication and the issuance of certificates fail closed, and an event is told again: there is no other side to choose.
fn check_failure_sides(document: &Document) -> Result<(), PolicyRefused> {
    let has_sides = [HookPoint::EnrollmentApproval, HookPoint::CommandSelection];
    let mut bindings = document.bindings.iter();
    match bindings.find(|binding| {
        binding.on_failure == FailureSide::Pass && !has_sides.contains(&binding.hook)
    }) {
        Some(binding) => Err(PolicyRefused::binding(
            binding,
            "only enrollment-approval and command-selection can pass over a binding that fails",
        )),
        None => Ok(()),
    }
}

/// The schedules of event bindings; nobody else hears of ticks.
pub(super) fn schedules(document: &Document) -> Result<Vec<(String, Schedule)>, PolicyRefused> {
    let mut schedules = Vec::new();
    for binding in &document.bindings {
        let Some(written) = &binding.schedule else {
            continue;
        };
        if binding.hook != HookPoint::Event {
            return Err(PolicyRefused::binding(
                binding,
                "only event hears of a schedule",
            ));
        }
        let schedule = Schedule::parse(written)
            .map_err(|error| PolicyRefused::binding(binding, &error.to_string()))?;
        schedules.push((binding.name.clone(), schedule));
    }
    Ok(schedules)
}

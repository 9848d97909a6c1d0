use lanyard_sdk::{
    Decision, Directory, Inquiry, Plugin, SignIn, Standing, Step,
    ldap::{BindOutcome, Entry, LdapError},
    test,
};

use crate::{LdapDirectory, Settings};

const STAFF: &str = "cn=staff,ou=groups,dc=example,dc=org";

fn directory(settings: &str) -> LdapDirectory {
    let settings: Settings = serde_json::from_str(settings).unwrap();
    LdapDirectory::new(settings).unwrap()
}

fn active_directory() -> LdapDirectory {
    directory(&format!(
        r#"{{"directory":"corp","schema":"active-directory","allowed_groups":["{STAFF}"]}}"#
    ))
}

/// A server of Microsoft's kind with one account.
fn serving(control: &'static str, group: &'static str, bind: BindOutcome) {
    test::answer_search(move |_, _| {
        Ok(vec![
            Entry::new("CN=Ada,DC=example,DC=org")
                .with("userPrincipalName", ["ada@example.org"])
                .with("displayName", ["Ada Lovelace"])
                .with("userAccountControl", [control])
                .with("memberOf", [group]),
        ])
    });
    test::answer_bind(move |_, _, _| Ok(bind));
}

fn sign_in(directory: &LdapDirectory) -> Step {
    let request = SignIn {
        decision: Decision::example(),
        user_name: "ada".into(),
        facts: Vec::new(),
    };
    directory
        .begin(request, &test::secret("correct horse"))
        .unwrap()
}

fn code(step: Step) -> String {
    match step {
        Step::Rejected(reason) => reason.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_person_of_active_directory_is_known_by_its_attributes() {
    serving(
        "512",
        "CN=Staff,OU=groups,DC=example,DC=org",
        BindOutcome::Accepted,
    );
    let Step::Authenticated(person) = sign_in(&active_directory()) else {
        panic!("not signed in");
    };
    assert_eq!(
        (person.id.as_str(), person.display_name.as_str()),
        ("ada@example.org", "Ada Lovelace")
    );
}

#[test]
fn accounts_that_may_not_be_used_are_told_apart() {
    for (control, group, bind, expected) in [
        ("512", STAFF, BindOutcome::Rejected, "wrong-password"),
        ("512", STAFF, BindOutcome::Locked, "account-locked"),
        ("512", STAFF, BindOutcome::Expired, "password-expired"),
        ("514", STAFF, BindOutcome::Accepted, "account-disabled"),
        (
            "512",
            "cn=guests,dc=example,dc=org",
            BindOutcome::Accepted,
            "not-in-group",
        ),
        // Who does not know the password learns nothing of the account.
        ("514", STAFF, BindOutcome::Rejected, "wrong-password"),
    ] {
        serving(control, group, bind);
        assert_eq!(code(sign_in(&active_directory())), expected);
    }
}

#[test]
fn who_left_the_group_is_disabled_and_who_is_gone_unknown() {
    let inquiry = || Inquiry {
        decision: Decision::example(),
        person_id: "ada@example.org".into(),
        facts: Vec::new(),
    };
    serving("512", "cn=guests,dc=example,dc=org", BindOutcome::Accepted);
    let standing = active_directory().lookup(inquiry()).unwrap();
    assert!(matches!(standing, Standing::Disabled(reason) if reason.code == "not-in-group"));
    test::answer_search(|_, _| Ok(Vec::new()));
    let standing = active_directory().lookup(inquiry()).unwrap();
    assert!(matches!(standing, Standing::Unknown));
}

#[test]
fn a_directory_that_is_away_is_no_wrong_password() {
    test::answer_search(|_, _| Err(LdapError::Unavailable("it is away".into())));
    let request = SignIn {
        decision: Decision::example(),
        user_name: "ada".into(),
        facts: Vec::new(),
    };
    let answer = active_directory().begin(request, &test::secret("correct horse"));
    assert!(answer.unwrap_err().0.contains("it is away"));
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    for (settings, part) in [
        (r#"{"directory":""}"#, "`directory` is empty"),
        (
            r#"{"directory":"corp","user_filter":"(uid=ada)"}"#,
            "{user}",
        ),
        (
            r#"{"directory":"corp","group_filter":"(member=x)"}"#,
            "{dn}",
        ),
        (
            r#"{"directory":"corp","disabled":{"attribute":"a","values":[]}}"#,
            "disabled.values",
        ),
    ] {
        let settings: Settings = serde_json::from_str(settings).unwrap();
        let Err(said) = LdapDirectory::new(settings) else {
            panic!("accepted");
        };
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn the_example_of_settings_is_one() {
    directory(include_str!("../settings.example.json"));
}

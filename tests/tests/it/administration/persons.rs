//! `lanyard user`.

use lanyard_tests::site::Site;

use super::{PASSWORD, refuses, running, says};

fn persons(site: &Site) -> Vec<(String, bool)> {
    let persons = site.lanyard_json(&["user", "list"]).unwrap();
    let persons = persons.as_array().unwrap().iter();
    persons
        .map(|user| {
            let name = user["name"].as_str().unwrap().to_owned();
            (name, user["disabled"] == true)
        })
        .collect()
}

#[test]
fn persons_come_change_and_go() {
    let site = running();
    let file = site.password_file(PASSWORD).unwrap();
    let file = file.to_str().unwrap();
    let add = [
        "user",
        "add",
        "ada",
        "--display-name",
        "Ada Lovelace",
        "--password-file",
        file,
    ];
    let change = ["user", "passwd", "ada", "--password-file", file];

    says(&site, &add, &["ada can sign in."]);
    refuses(&site, &add, &["there is a user of that name already"]);
    says(&site, &["user", "list"], &["ada", "Ada Lovelace", "active"]);
    for _ in 0..2 {
        says(
            &site,
            &["user", "disable", "ada"],
            &["ada cannot sign in any more"],
        );
        assert_eq!(persons(&site), [("ada".to_owned(), true)]);
    }
    says(&site, &["user", "enable", "ada"], &["ada can sign in."]);
    assert_eq!(persons(&site), [("ada".to_owned(), false)]);
    says(&site, &change, &["ada has another password."]);
    says(&site, &["user", "remove", "ada"], &["ada is gone."]);
    assert_eq!(persons(&site), []);

    let unknown = ["there is no user of that name"];
    refuses(&site, &change, &unknown);
    for action in ["disable", "enable", "remove"] {
        refuses(&site, &["user", action, "ada"], &unknown);
    }
}

#[test]
fn unfit_names_and_passwords_are_refused_with_what_would_be_right() {
    let site = running();
    let good = site.password_file(PASSWORD).unwrap();
    let good = good.to_str().unwrap().to_owned();
    let long = "x".repeat(129);
    for name in ["", "two words", "line\nbreak", "bell\u{7}", &long] {
        let add = ["user", "add", name, "--password-file", &good];
        refuses(&site, &add, &["a user name has 1 to 128 characters"]);
    }
    for password in ["", "short77", &"x".repeat(1025)] {
        let file = site.password_file(password).unwrap();
        let add = [
            "user",
            "add",
            "ada",
            "--password-file",
            file.to_str().unwrap(),
        ];
        refuses(
            &site,
            &add,
            &["a password has at least 8 characters and at most 1024 bytes"],
        );
    }
    let missing = ["user", "add", "ada", "--password-file", "/no/such/file"];
    refuses(&site, &missing, &["/no/such/file", "No such file"]);
    assert_eq!(persons(&site), []);
}

#[test]
fn names_of_every_script_and_with_every_separator_are_one_name() {
    let site = running();
    let file = site.password_file(PASSWORD).unwrap();
    let file = file.to_str().unwrap();
    let names = [
        "a/b",
        "100%25",
        "ada@example.com",
        "blåbär",
        "花子",
        "?after=x",
        "..",
        "';--",
    ];
    for name in names {
        says(
            &site,
            &["user", "add", name, "--password-file", file],
            &[name],
        );
        says(&site, &["user", "disable", name], &[name]);
    }
    let listed = persons(&site);
    assert_eq!(listed.len(), names.len());
    assert!(
        names
            .iter()
            .all(|name| listed.contains(&((*name).to_owned(), true))),
        "{listed:?}"
    );
    for name in names {
        says(&site, &["user", "remove", name], &[name]);
    }
    assert_eq!(persons(&site), []);
}

#[test]
fn a_list_longer_than_a_page_is_shown_whole() {
    let mut expected = Vec::new();
    let site = running();
    let file = site.password_file(PASSWORD).unwrap();
    for number in 0..105 {
        let name = format!("person-{number:03}");
        let add = [
            "user",
            "add",
            &name,
            "--password-file",
            file.to_str().unwrap(),
        ];
        site.lanyard(&add).unwrap();
        expected.push((name, false));
    }
    assert_eq!(persons(&site), expected);
}

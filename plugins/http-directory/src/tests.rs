use std::collections::BTreeMap;

use lanyard_sdk::{
    Decision, Directory, Input, Inquiry, Plugin, Resumption, SignIn, Standing, Step, Unavailable,
    http::{HttpError, Response, SecretPlace},
    test,
};
use serde_json::{Value, json};

use crate::{HttpDirectory, Settings};

const PASSWORD: &str = "correct horse";
const API: &str = "https://login.vendor.example/api";

fn example() -> Value {
    serde_json::from_str(include_str!("../settings.example.json")).unwrap()
}

fn made(settings: Value) -> Result<HttpDirectory, String> {
    let settings: Settings = serde_json::from_value(settings).map_err(|error| error.to_string())?;
    HttpDirectory::new(settings)
}

fn directory() -> HttpDirectory {
    made(example()).unwrap()
}

/// The API answers so, whatever it is asked.
fn answering(status: u16, body: Value) {
    test::answer_http(move |_, _| {
        Ok(Response {
            status,
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        })
    });
}

fn ada() -> Value {
    json!({"user": {"id": 7, "name": "Ada Lovelace", "groups": ["staff"], "email": "ada@example.org", "active": true}})
}

fn begin(directory: &HttpDirectory) -> Result<Step, Unavailable> {
    let request = SignIn {
        decision: Decision::example(),
        user_name: "ada".into(),
        facts: Vec::new(),
    };
    directory.begin(request, &test::secret(PASSWORD))
}

fn resume(directory: &HttpDirectory, state: &[u8]) -> Result<Step, Unavailable> {
    directory.resume(Resumption {
        decision: Decision::example(),
        state: state.to_vec(),
        input: vec![Input {
            name: "code".to_owned(),
            value: test::secret("123456"),
        }],
        facts: Vec::new(),
    })
}

fn lookup(directory: &HttpDirectory, id: &str) -> Result<Standing, Unavailable> {
    directory.lookup(Inquiry {
        decision: Decision::example(),
        person_id: id.to_owned(),
        facts: Vec::new(),
    })
}

fn code(step: Result<Step, Unavailable>) -> String {
    match step {
        Ok(Step::Rejected(reason)) => reason.code,
        other => panic!("{other:?}"),
    }
}

/// Notes what the API is asked, and answers with `answer`.
fn noting(answer: Value) -> std::rc::Rc<std::cell::RefCell<Vec<Value>>> {
    let asked = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let notes = std::rc::Rc::clone(&asked);
    test::answer_http(move |request, secrets| {
        let secrets = secrets.iter().map(|(place, text)| {
            let place = match place {
                SecretPlace::JsonPointer(at)
                | SecretPlace::FormField(at)
                | SecretPlace::Header(at) => at,
            };
            json!([place, text])
        });
        notes.borrow_mut().push(json!({
            "url": request.url,
            "method": request.method,
            "body": String::from_utf8(request.body.clone()).unwrap(),
            "credential": request.credential,
            "secrets": secrets.collect::<Vec<_>>(),
        }));
        Ok(Response {
            status: 200,
            headers: Vec::new(),
            body: answer.to_string().into_bytes(),
        })
    });
    asked
}

fn body(asked: &Value) -> Value {
    serde_json::from_str(asked["body"].as_str().unwrap()).unwrap()
}

#[test]
fn a_person_is_who_the_api_says() {
    let asked = noting(ada());
    let Ok(Step::Authenticated(person)) = begin(&directory()) else {
        panic!("not signed in")
    };
    assert_eq!(
        (person.id.as_str(), person.display_name.as_str()),
        ("7", "Ada Lovelace")
    );
    let attributes = person.attributes.into_iter();
    let attributes: BTreeMap<_, _> = attributes
        .map(|attribute| (attribute.name, attribute.values.join(" ")))
        .collect();
    assert_eq!(attributes["groups"], "staff");
    assert_eq!(attributes["mail"], "ada@example.org");
    let asked = asked.borrow();
    assert_eq!(asked[0]["url"], format!("{API}/session"));
    assert_eq!(asked[0]["credential"], "vendor");
    assert_eq!(asked[0]["secrets"], json!([["/password", PASSWORD]]));
    let expected = json!({"login": "ada", "password": "{password}", "tenant": "example"});
    assert_eq!(body(&asked[0]), expected, "the host puts the password in");
}

#[test]
fn a_name_that_looks_like_a_place_is_a_name() {
    let asked = noting(ada());
    let request = SignIn {
        decision: Decision::example(),
        user_name: "{password}".into(),
        facts: Vec::new(),
    };
    directory().begin(request, &test::secret(PASSWORD)).unwrap();
    assert_eq!(
        asked.borrow()[0]["secrets"],
        json!([["/password", PASSWORD]])
    );
}

#[test]
fn a_form_has_the_password_once() {
    let mut settings = example();
    settings["sign_in"]["format"] = "form".into();
    settings["sign_in"]["body"] = json!({"user": "{user}@example.org", "pass": "{password}"});
    let asked = noting(ada());
    begin(&made(settings).unwrap()).unwrap();
    let asked = asked.borrow();
    assert_eq!(asked[0]["body"], "user=ada%40example.org");
    assert_eq!(asked[0]["secrets"], json!([["pass", PASSWORD]]));
}

#[test]
fn answers_are_told_apart() {
    for (status, answer, expected) in [
        (401, Value::Null, "wrong-password"),
        (403, json!({"error": "locked"}), "wrong-password"),
        (
            200,
            json!({"user": {"id": "7", "groups": ["guests"]}}),
            "not-in-group",
        ),
    ] {
        answering(status, answer);
        assert_eq!(code(begin(&directory())), expected);
    }
    answering(404, Value::Null);
    assert!(matches!(begin(&directory()), Ok(Step::Abstain)));
    for (status, answer, part) in [
        (403, json!({"error": "maintenance"}), "403"),
        (500, json!({"error": "locked"}), "500"),
        (503, Value::Null, "503"),
        (302, Value::Null, "302"),
        (200, json!({"user": {}}), "/user/id"),
        (200, json!("ok"), "/user/id"),
        (202, json!({"next": "otp"}), "/transaction"),
    ] {
        answering(status, answer);
        let failure = begin(&directory()).unwrap_err();
        assert!(failure.0.contains(part), "{failure}");
    }
    test::answer_http(|_, _| Err(HttpError::Unavailable("it is away".to_owned())));
    assert!(begin(&directory()).unwrap_err().0.contains("it is away"));
}

#[test]
fn a_code_is_asked_for_and_taken() {
    answering(202, json!({"next": "otp", "transaction": "t-1"}));
    let Ok(Step::Ask(form)) = begin(&directory()) else {
        panic!("not asked for")
    };
    assert_eq!(form.fields[0].label, "The code that we sent to your phone");
    let asked = noting(ada());
    let step = resume(&directory(), &form.state);
    assert!(matches!(step, Ok(Step::Authenticated(person)) if person.id == "7"));
    let asked = asked.borrow();
    assert_eq!(asked[0]["url"], format!("{API}/session/otp"));
    assert_eq!(body(&asked[0])["transaction"], "t-1");
    assert_eq!(asked[0]["secrets"], json!([["/otp", "123456"]]));

    answering(401, Value::Null);
    assert_eq!(code(resume(&directory(), &form.state)), "wrong-code");
    // That nobody has that name is no answer to a code.
    answering(404, Value::Null);
    assert!(
        resume(&directory(), &form.state)
            .unwrap_err()
            .0
            .contains("404")
    );
}

#[test]
fn a_person_is_looked_up() {
    let asked = noting(ada());
    let standing = lookup(&directory(), "a b&c?");
    assert!(matches!(standing, Ok(Standing::Active(person)) if person.id == "7"));
    let asked = asked.borrow();
    assert_eq!(asked[0]["method"], "GET");
    assert_eq!(asked[0]["url"], format!("{API}/users/a%20b%26c%3F"));
    assert_eq!(asked[0]["credential"], "vendor");

    answering(404, Value::Null);
    assert!(matches!(lookup(&directory(), "7"), Ok(Standing::Unknown)));
    let disabled = |standing| match standing {
        Ok(Standing::Disabled(reason)) => reason.code,
        other => panic!("{other:?}"),
    };
    answering(
        200,
        json!({"user": {"id": 7, "groups": ["staff"], "active": false}}),
    );
    assert_eq!(disabled(lookup(&directory(), "7")), "account-disabled");
    answering(200, json!({"user": {"id": 7, "groups": []}}));
    assert_eq!(disabled(lookup(&directory(), "7")), "not-in-group");
    answering(401, Value::Null);
    assert!(lookup(&directory(), "7").unwrap_err().0.contains("401"));
}

#[test]
fn without_a_lookup_whoever_signed_in_stays_active() {
    let mut settings = example();
    settings.as_object_mut().unwrap().remove("lookup");
    let standing = lookup(&made(settings).unwrap(), "7");
    assert!(matches!(standing, Ok(Standing::Active(person)) if person.id == "7"));
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    for (at, value, part) in [
        ("/sign_in/body", json!({"login": "{user}"}), "{password}"),
        (
            "/sign_in/body",
            json!({"login": "{user}", "pw": "x{password}"}),
            "{password}",
        ),
        ("/sign_in/body", json!({"pw": "{password}"}), "{user}"),
        ("/code/call/body", json!({"otp": "{state}"}), "{code}"),
        ("/rejected", json!([{}]), "always hold"),
        (
            "/rejected",
            json!([{"is": 1, "status": 200}]),
            "without `at`",
        ),
        ("/rejected", json!([{"status": 503}]), "in trouble"),
        ("/person/id", json!("user.id"), "JSON Pointer"),
        ("/person/groups", Value::Null, "person.groups"),
        (
            "/lookup/url",
            json!("https://login.vendor.example/me"),
            "{id}",
        ),
        ("/sign_in/method", json!("PUT"), "unknown field"),
    ] {
        let mut settings = example();
        let (parent, name) = at.rsplit_once('/').unwrap();
        settings.pointer_mut(parent).unwrap()[name] = value;
        let Err(said) = made(settings) else {
            panic!("{at}: accepted")
        };
        assert!(said.contains(part), "{at}: {said}");
    }
}

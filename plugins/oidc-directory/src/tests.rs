use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lanyard_sdk::{
    Decision, Directory, Input, Inquiry, Plugin, Resumption, SignIn, Standing, Step, Unavailable,
    http::{HttpError, Response, SecretPlace},
    test,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{OidcDirectory, Settings};

const ISSUER: &str = "https://id.example.org";
const CODE: &str = "c0de";

fn settings(further: Value) -> Value {
    let mut settings = json!({
        "issuer": ISSUER,
        "client_id": "lanyard",
        "redirect_uri": "https://mdm.example.org/enroll/callback/oidc",
    });
    let further = further.as_object().unwrap().clone();
    settings.as_object_mut().unwrap().extend(further);
    settings
}

fn made(settings: Value) -> Result<OidcDirectory, String> {
    let settings: Settings = serde_json::from_value(settings).map_err(|error| error.to_string())?;
    OidcDirectory::new(settings)
}

fn response(status: u16, body: &Value) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}

fn description() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/authorize?tenant=1"),
        "token_endpoint": format!("{ISSUER}/token"),
        "userinfo_endpoint": format!("{ISSUER}/userinfo"),
    })
}

/// A person who was sent to the provider.
struct Away {
    directory: OidcDirectory,
    state: Vec<u8>,
    query: BTreeMap<String, String>,
}

impl Away {
    fn with(further: Value) -> Self {
        Self::by(description(), further)
    }

    /// Sent away by a provider of this description.
    fn by(description: Value, further: Value) -> Self {
        test::answer_http(move |request, secrets| {
            let known = format!("{ISSUER}/.well-known/openid-configuration");
            assert!(request.url == known && secrets.is_empty());
            Ok(response(200, &description))
        });
        let directory = made(settings(further)).unwrap();
        let Ok(Step::Redirect(redirection)) = begin(&directory, "ada@example.org") else {
            panic!("not sent away")
        };
        let (endpoint, query) = redirection.url.split_once('?').unwrap();
        assert_eq!(endpoint, format!("{ISSUER}/authorize"));
        let query = form_urlencoded::parse(query.as_bytes()).into_owned();
        Self {
            directory,
            state: redirection.state,
            query: query.collect(),
        }
    }

    /// What a right ID token says.
    fn claims(&self) -> Value {
        let now = Decision::example().at_ms / 1000;
        json!({
            "iss": ISSUER,
            "aud": "lanyard",
            "sub": "248289761001",
            "name": "Ada Lovelace",
            "email": "ada@example.org",
            "groups": ["staff", "engines"],
            "nonce": self.query["nonce"],
            "iat": now,
            "exp": now + 300,
        })
    }

    /// Comes back with a code, which is changed into an ID token that says this.
    fn back(&self, claims: &Value) -> Result<Step, Unavailable> {
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        let id_token = format!("e30.{claims}.c2ln");
        let tokens = json!({"id_token": id_token, "access_token": "t0ken", "token_type": "Bearer"});
        self.back_to(200, tokens)
    }

    /// Comes back with a code, which is answered so.
    fn back_to(&self, status: u16, answer: Value) -> Result<Step, Unavailable> {
        let challenge = self.query["code_challenge"].clone();
        test::answer_http(move |request, secrets| {
            if request.url == format!("{ISSUER}/userinfo") {
                let bearer = request
                    .headers
                    .iter()
                    .any(|header| header.value == "Bearer t0ken");
                assert!(bearer && secrets.is_empty());
                return Ok(response(
                    200,
                    &json!({"sub": "248289761001", "name": "X", "team": "engines"}),
                ));
            }
            assert_eq!(request.url, format!("{ISSUER}/token"));
            let [(SecretPlace::FormField(place), secret)] = secrets else {
                panic!("not the code alone")
            };
            assert_eq!((place.as_str(), secret.as_str()), ("code", CODE));
            let form: BTreeMap<String, String> =
                form_urlencoded::parse(&request.body).into_owned().collect();
            let digest = Sha256::digest(form["code_verifier"].as_bytes());
            assert_eq!(URL_SAFE_NO_PAD.encode(digest), challenge);
            assert_eq!(form["grant_type"], "authorization_code");
            assert_eq!(
                !form.contains_key("client_id"),
                request.credential.as_deref() == Some("oidc")
            );
            Ok(response(status, &answer))
        });
        self.resume(&[("state", &self.query["state"]), ("code", CODE)])
    }

    fn resume(&self, parameters: &[(&str, &str)]) -> Result<Step, Unavailable> {
        let parameters = parameters.iter();
        self.directory.resume(Resumption {
            decision: Decision::example(),
            state: self.state.clone(),
            input: parameters
                .map(|(name, value)| Input {
                    name: (*name).to_owned(),
                    value: test::secret(value),
                })
                .collect(),
            facts: Vec::new(),
        })
    }
}

fn begin(directory: &OidcDirectory, user_name: &str) -> Result<Step, Unavailable> {
    let request = SignIn {
        decision: Decision::example(),
        user_name: user_name.to_owned(),
        facts: Vec::new(),
    };
    directory.begin(request, &test::secret(""))
}

fn code(step: Result<Step, Unavailable>) -> String {
    match step {
        Ok(Step::Rejected(reason)) => reason.code,
        other => panic!("{other:?}"),
    }
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[test]
fn a_person_is_sent_away_and_comes_back() {
    let away = Away::with(json!({
        "credential": "oidc",
        "prompt": "login",
        "attributes": {"mail": "email", "phone": "phone_number"},
        "groups_claim": "groups",
        "allowed_groups": ["engines"],
    }));
    for (name, value) in [
        ("tenant", "1"),
        ("response_type", "code"),
        ("client_id", "lanyard"),
        (
            "redirect_uri",
            "https://mdm.example.org/enroll/callback/oidc",
        ),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
        ("login_hint", "ada@example.org"),
        ("prompt", "login"),
    ] {
        assert_eq!(away.query[name], value);
    }
    let Ok(Step::Authenticated(person)) = away.back(&away.claims()) else {
        panic!("not signed in")
    };
    assert_eq!(
        (person.id.as_str(), person.display_name.as_str()),
        ("248289761001", "Ada Lovelace")
    );
    let attributes = person.attributes.into_iter();
    let attributes: BTreeMap<_, _> = attributes
        .map(|attribute| (attribute.name, attribute.values.join(" ")))
        .collect();
    let expected = [("mail", "ada@example.org"), ("groups", "staff engines")];
    let expected = expected.map(|(name, values)| (name.to_owned(), values.to_owned()));
    assert_eq!(attributes, expected.into());
}

#[test]
fn each_sign_in_has_secrets_of_its_own() {
    let (one, two) = (Away::with(json!({})), Away::with(json!({})));
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(one.query[name], two.query[name], "{name}");
    }
    let Ok(Step::Authenticated(_)) = one.back(&one.claims()) else {
        panic!("not signed in")
    };
    assert_eq!(code(one.back(&two.claims())), "wrong-nonce");
}

#[test]
fn an_answer_of_another_sign_in_or_provider_is_refused_before_anybody_is_asked() {
    let away = Away::with(json!({}));
    test::answer_http(|request, _| panic!("asked {}", request.url));
    let state = away.query["state"].as_str();
    for (parameters, expected) in [
        (&[("code", CODE)][..], "wrong-state"),
        (&[("code", CODE), ("state", "guessed")], "wrong-state"),
        (&[("state", state)], "no-code"),
        (
            &[
                ("code", CODE),
                ("state", state),
                ("iss", "https://evil.example"),
            ],
            "wrong-issuer",
        ),
        (&[("state", state), ("error", "access_denied")], "denied"),
    ] {
        assert_eq!(code(away.resume(parameters)), expected, "{parameters:?}");
    }
    let failed = away.resume(&[("state", state), ("error", "server_error")]);
    assert!(failed.unwrap_err().0.contains("reports an error"));

    let says_who = with(
        description(),
        "authorization_response_iss_parameter_supported",
        json!(true),
    );
    let away = Away::by(says_who, json!({}));
    test::answer_http(|request, _| panic!("asked {}", request.url));
    let nameless = away.resume(&[("state", &away.query["state"]), ("code", CODE)]);
    assert_eq!(code(nameless), "wrong-issuer");
}

#[test]
fn an_id_token_that_is_not_for_us_and_for_now_tells_nothing_of_a_person() {
    let away = Away::with(json!({}));
    let now = Decision::example().at_ms / 1000;
    let claims = || away.claims();
    for (claims, part) in [
        (
            with(claims(), "iss", json!("https://evil.example")),
            "another issuer",
        ),
        (with(claims(), "aud", json!("another")), "another client"),
        (with(claims(), "aud", json!(["another"])), "another client"),
        (
            with(claims(), "aud", json!(["another", "lanyard"])),
            "another client",
        ),
        (with(claims(), "azp", json!("another")), "another client"),
        (with(claims(), "exp", json!(now - 60)), "expired"),
        (with(claims(), "exp", Value::Null), "`exp`"),
        (with(claims(), "iat", json!(now + 61)), "future"),
        (with(claims(), "sub", json!("")), "`sub`"),
    ] {
        let failure = away.back(&claims).unwrap_err();
        assert!(failure.0.contains(part), "{claims}: {failure}");
    }
    assert_eq!(
        code(away.back(&with(claims(), "nonce", Value::Null))),
        "wrong-nonce"
    );
    for claims in [
        with(claims(), "exp", json!(now - 59)),
        with(claims(), "iat", json!(now + 60)),
        with(
            with(claims(), "aud", json!(["another", "lanyard"])),
            "azp",
            json!("lanyard"),
        ),
    ] {
        assert!(
            matches!(away.back(&claims), Ok(Step::Authenticated(_))),
            "{claims}"
        );
    }
    let no_token = json!({"id_token": "e30.e30", "access_token": "t0ken"});
    assert!(
        away.back_to(200, no_token)
            .unwrap_err()
            .0
            .contains("no JWT")
    );
}

#[test]
fn a_code_that_is_not_taken_is_told_apart_from_a_provider_in_trouble() {
    let away = Away::with(json!({}));
    let refused = away.back_to(400, json!({"error": "invalid_grant"}));
    assert_eq!(code(refused), "code-refused");
    for (status, answer, part) in [
        (401, json!({"error": "invalid_client"}), "invalid_client"),
        (400, json!({"error": "invalid_request"}), "invalid_request"),
        (503, json!("down"), "503"),
        (200, json!({"access_token": "t0ken"}), "id_token"),
    ] {
        let failure = away.back_to(status, answer).unwrap_err();
        assert!(failure.0.contains(part), "{failure}");
    }
    test::answer_http(|_, _| Err(HttpError::Unavailable("it is away".to_owned())));
    assert!(
        begin(&away.directory, "ada")
            .unwrap_err()
            .0
            .contains("it is away")
    );
}

#[test]
fn a_description_of_another_issuer_is_not_believed() {
    let other = with(description(), "issuer", json!("https://evil.example"));
    test::answer_http(move |_, _| Ok(response(200, &other)));
    let directory = made(settings(json!({}))).unwrap();
    let failure = begin(&directory, "ada").unwrap_err();
    assert!(
        failure.0.contains("calls itself https://evil.example"),
        "{failure}"
    );
}

#[test]
fn claims_are_completed_by_userinfo_of_the_same_person() {
    let further = json!({"userinfo": true, "attributes": {"team": "team"}});
    let away = Away::with(further);
    let Ok(Step::Authenticated(person)) = away.back(&away.claims()) else {
        panic!("not signed in")
    };
    assert_eq!(
        person.display_name, "Ada Lovelace",
        "what the ID token says stays"
    );
    assert_eq!(person.attributes[0].values, ["engines"]);
    let other = away.back(&with(away.claims(), "sub", json!("another")));
    assert!(other.unwrap_err().0.contains("another person"));
}

#[test]
fn who_may_not_enroll_is_refused() {
    let away = Away::with(json!({"groups_claim": "groups", "allowed_groups": ["admins"]}));
    assert_eq!(code(away.back(&away.claims())), "not-in-group");
    let away = Away::with(json!({"id_claim": "email"}));
    assert_eq!(code(away.back(&away.claims())), "email-not-verified");
    let verified = with(away.claims(), "email_verified", json!(true));
    assert!(
        matches!(away.back(&verified), Ok(Step::Authenticated(person)) if person.id == "ada@example.org")
    );
}

#[test]
fn names_of_other_domains_are_left_to_others() {
    let directory = made(settings(json!({"domains": ["example.org"]}))).unwrap();
    test::answer_http(|_, _| Ok(response(200, &description())));
    for name in ["ada", "ada@example.com", "ada@sub.example.org", ""] {
        assert!(
            matches!(begin(&directory, name), Ok(Step::Abstain)),
            "{name}"
        );
    }
    assert!(matches!(
        begin(&directory, "ada@EXAMPLE.org"),
        Ok(Step::Redirect(_))
    ));
}

#[test]
fn whoever_signed_in_stays_active() {
    let directory = made(settings(json!({}))).unwrap();
    let inquiry = Inquiry {
        decision: Decision::example(),
        person_id: "248289761001".to_owned(),
        facts: Vec::new(),
    };
    let standing = directory.lookup(inquiry).unwrap();
    assert!(matches!(standing, Standing::Active(person) if person.id == "248289761001"));
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    for (further, part) in [
        (json!({"issuer": "http://id.example.org"}), "`issuer`"),
        (json!({"client_id": ""}), "`client_id`"),
        (
            json!({"redirect_uri": "https://mdm.example.org/"}),
            "/enroll/callback/NAME",
        ),
        (
            json!({"redirect_uri": "https://mdm.example.org/enroll/callback"}),
            "/enroll/callback/NAME",
        ),
        (
            json!({"redirect_uri": "https://mdm.example.org/enroll/callback/"}),
            "/enroll/callback/NAME",
        ),
        (
            json!({"redirect_uri": "https://mdm.example.org/enroll/callback/oidc?x=1"}),
            "/enroll/callback/NAME",
        ),
        (
            json!({"redirect_uri": "http://mdm.example.org/enroll/callback/oidc"}),
            "https",
        ),
        (json!({"scopes": ["email"]}), "openid"),
        (json!({"allowed_groups": ["staff"]}), "groups_claim"),
        (json!({"scope": "openid"}), "unknown field"),
    ] {
        let Err(said) = made(settings(further)) else {
            panic!("accepted")
        };
        assert!(said.contains(part), "{said}");
    }
    made(serde_json::from_str(include_str!("../settings.example.json")).unwrap()).unwrap();
}

//! `oidc-directory` on a real server: a person signs in at a stand-in provider, and their device enrolls.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use lanyard_device::{
    enroll::Phase,
    http::{Answer, Call, Client},
};
use lanyard_mdm::profile::CONTENT_TYPE;
use lanyard_tests::site::Site;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::browser::{
    Browser, OVER, TRY_AGAIN, WRONG, attribute, cookie_of, header_of, is_page, text,
};
use crate::enrollment::stage::{Journey, Stage};
use crate::web::Web;

const CLIENT_SECRET: &str = "the client's secret";

type Parameters = BTreeMap<String, String>;

/// The provider's memory.
#[derive(Default)]
struct Book {
    issuer: String,
    /// What was asked for, by the code that it was answered with.
    codes: BTreeMap<String, Parameters>,
    /// What ID tokens say other than what is right.
    altered: Option<(&'static str, Value)>,
    /// Whether the person gives up.
    refuses: bool,
}

#[derive(Clone, Default)]
struct Provider(Arc<Mutex<Book>>);

impl Provider {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    async fn serve(&self) -> Web {
        let provider = self.clone();
        Web::serve(|origin| {
            origin.clone_into(&mut provider.book().issuer);
            Router::new()
                .route("/.well-known/openid-configuration", get(description))
                .route("/authorize", get(authorize))
                .route("/token", post(token))
                .with_state(provider.clone())
        })
        .await
    }
}

async fn description(State(provider): State<Provider>) -> Json<Value> {
    let issuer = provider.book().issuer.clone();
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "authorization_response_iss_parameter_supported": true,
    }))
}

/// The person's page; whoever opens it signs in, or gives up, at once.
async fn authorize(State(provider): State<Provider>, Query(asked): Query<Parameters>) -> Redirect {
    let mut book = provider.book();
    assert_eq!(asked["client_id"], "lanyard");
    assert_eq!(asked["response_type"], "code");
    let mut back = Url::parse(&asked["redirect_uri"]).unwrap();
    let mut query = back.query_pairs_mut();
    query
        .append_pair("state", &asked["state"])
        .append_pair("iss", &book.issuer);
    if book.refuses {
        query.append_pair("error", "access_denied");
    } else {
        let code = format!("{:032x}", rand::random::<u128>());
        query.append_pair("code", &code);
        book.codes.insert(code, asked);
    }
    drop(query);
    Redirect::to(back.as_str())
}

/// A code is good once, for the client that proves itself and has the verifier.
async fn token(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(sent): Form<Parameters>,
) -> Response {
    let mut book = provider.book();
    let client = format!(
        "Basic {}",
        STANDARD.encode(format!("lanyard:{CLIENT_SECRET}"))
    );
    if headers[header::AUTHORIZATION] != client {
        let refused = json!({"error": "invalid_client"});
        return (StatusCode::UNAUTHORIZED, Json(refused)).into_response();
    }
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&sent["code_verifier"]));
    let asked = book.codes.remove(&sent["code"]).filter(|asked| {
        asked["code_challenge"] == challenge && asked["redirect_uri"] == sent["redirect_uri"]
    });
    let Some(asked) = asked else {
        let refused = json!({"error": "invalid_grant"});
        return (StatusCode::BAD_REQUEST, Json(refused)).into_response();
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut claims = json!({
        "iss": book.issuer,
        "aud": "lanyard",
        "sub": "248289761001",
        "name": "Ada Lovelace",
        "groups": ["staff"],
        "nonce": asked["nonce"],
        "iat": now.as_secs(),
        "exp": now.as_secs() + 300,
    });
    if let Some((name, value)) = &book.altered {
        claims[name] = value.clone();
    }
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let (head, claims) = (encoded(&json!({"alg": "RS256"})), encoded(&claims));
    Json(json!({
        "id_token": format!("{head}.{claims}.c2lnbmF0dXJl"),
        "access_token": "t0ken",
        "token_type": "Bearer",
    }))
    .into_response()
}

/// A server that sends persons to a provider.
struct Setting {
    site: Site,
    provider: Provider,
    web: Web,
    /// The browser's other half: it trusts the provider.
    away: Client,
    /// How much of the server's log was looked at, octets.
    read: Cell<usize>,
}

impl Setting {
    async fn start() -> Self {
        let provider = Provider::default();
        let web = provider.serve().await;
        let mut site = Site::temporary(&[]).unwrap();
        site.secret_file("oidc.secret", CLIENT_SECRET).unwrap();
        let credential = format!(
            "[credentials.oidc]\nscheme = \"basic\"\nuser = \"lanyard\"\nsecret_file = \"oidc.secret\"\nurls = [\"{}/token\"]\n",
            web.origin
        );
        site.configure(&credential).unwrap();
        let policy = format!(
            "[[binding]]\nhook = \"directory\"\nname = \"oidc\"\nplugin = \"oidc-directory.wasm\"\n\
             grants = [\"log\", \"secrets\", \"http\"]\n\
             [binding.settings]\nissuer = \"{}\"\nclient_id = \"lanyard\"\ncredential = \"oidc\"\n\
             redirect_uri = \"{}\"\ndomains = [\"example.org\"]\n\
             groups_claim = \"groups\"\nallowed_groups = [\"staff\"]\n\
             [binding.redirect]\nallow = [\"{}/authorize\"]\n{}",
            web.origin,
            site.url("/enroll/callback/oidc"),
            web.origin,
            web.grants(&["oidc"], "/token"),
        );
        site.start_apns().unwrap();
        site.start_server().unwrap();
        site.apply(&policy, &["oidc-directory"]).unwrap();
        Self {
            away: Client::new(web.anchors()).unwrap(),
            site,
            provider,
            web,
            read: Cell::default(),
        }
    }

    /// Types a name, and is sent to the provider.
    async fn send_away(&self) -> Trip {
        let browser = Browser::open(&self.site).await;
        let page = browser.sign_in("ada@example.org", "").await;
        assert_eq!(page.status, 200, "{}", text(&page));
        let cookie = cookie_of(&page).to_owned();
        let url = attribute(&page, "content=\"0; url=").replace("&#38;", "&");
        assert!(url.starts_with(&format!("{}/authorize?", self.web.origin)));
        Trip {
            browser,
            cookie,
            url,
        }
    }

    /// Signs in at the provider; where the browser is sent back to.
    async fn sign_in(&self, trip: &Trip) -> String {
        let answer = self.away.send(&Call::get(&trip.url)).await.unwrap();
        assert_eq!(answer.status, 303);
        header_of(&answer, header::LOCATION).to_owned()
    }

    /// All the way there and back.
    async fn round_trip(&self) -> Answer {
        let trip = self.send_away().await;
        let back = self.sign_in(&trip).await;
        trip.back(&back).await
    }

    /// The server's log says this, since it was last looked at.
    fn log_says(&self, part: &str) {
        let log = self.site.server_log();
        let new = &log[self.read.replace(log.len())..];
        assert!(new.contains(part), "{part:?} is not in {new}");
    }
}

/// A person on the way.
struct Trip {
    browser: Browser,
    cookie: String,
    url: String,
}

impl Trip {
    async fn back(&self, url: &str) -> Answer {
        self.back_with(url, Some(&self.cookie)).await
    }

    async fn back_with(&self, url: &str, cookie: Option<&str>) -> Answer {
        let mut call = Call::get(url);
        if let Some(cookie) = cookie {
            call = call.header(header::COOKIE, cookie);
        }
        self.browser.client.send(&call).await.unwrap()
    }
}

/// The code that the provider sent back.
fn code_of(back: &str) -> String {
    let back = Url::parse(back).unwrap();
    let mut pairs = back.query_pairs();
    let (_, code) = pairs.find(|(name, _)| name == "code").unwrap();
    code.into_owned()
}

/// The same address with another value of one parameter.
fn with(url: &str, name: &str, value: &str) -> String {
    let mut url = Url::parse(url).unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    assert!(pairs.iter().any(|(known, _)| known == name), "{url}");
    let pairs = pairs.iter().map(|(known, old)| {
        let value = if known == name { value } else { old };
        (known.as_str(), value)
    });
    let pairs: Vec<_> = pairs.collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url.into()
}

#[tokio::test]
async fn a_person_signs_in_at_the_provider_and_the_device_enrolls() {
    let setting = Setting::start().await;
    let trip = setting.send_away().await;
    let back = setting.sign_in(&trip).await;
    let code = code_of(&back);
    let answer = trip.back(&back).await;
    assert_eq!(answer.content_type, CONTENT_TYPE, "{}", text(&answer));

    let stage = Stage::of(setting.site);
    let mut journey = Journey::signed_in(stage.site.new_device().unwrap(), &answer.body);
    journey.reach(&stage, Phase::TokenUpdate).await;
    let device = stage.site.device(journey.device.udid()).unwrap();
    assert_eq!(device["state"], "enrolled");
    let ada = json!({"directory": "oidc", "id": "248289761001", "name": "Ada Lovelace"});
    assert_eq!(device["person"], ada);

    // What stays between the steps, and the way to the provider, are nowhere in the clear.
    let way = Url::parse(&trip.url).unwrap();
    let nonce = way.query_pairs().find(|(name, _)| name == "nonce").unwrap();
    let state = json!(br#"{"state":""#).to_string();
    let state = state.trim_matches(['[', ']']);
    let rows: Vec<_> = stage.records().await.into_values().flatten().collect();
    let sees = |part: &str| rows.iter().any(|row| row.contains(part));
    assert!(sees("248289761001"), "the look sees who enrolled");
    for part in [&*nonce.1, state] {
        assert!(!sees(part), "{part} lies open");
    }

    // What was decided is made again without the provider, and neither code nor secret is anywhere.
    drop(setting.web);
    let list = ["decisions", "list", "--hook", "directory"];
    let decisions = stage.site.lanyard_json(&list).unwrap();
    let decisions = decisions.as_array().unwrap();
    assert_eq!(decisions.len(), 2, "away and back: {decisions:?}");
    for decision in decisions {
        let id = decision["id"].as_str().unwrap();
        let said = stage.site.lanyard(&["decisions", "replay", id]).unwrap();
        assert!(said.contains("oidc: the same verdict"), "{said}");
        let exported = stage.site.lanyard(&["decisions", "export", id]).unwrap();
        for secret in [&code, CLIENT_SECRET] {
            assert!(!exported.contains(secret), "{secret} is in {exported}");
        }
    }
    let log = stage.site.server_log();
    for secret in [&code, CLIENT_SECRET] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_this_browsers_and_this_sign_ins_leads_nowhere() {
    let setting = Setting::start().await;
    let (trip, other) = (setting.send_away().await, setting.send_away().await);
    let (back, others) = (setting.sign_in(&trip).await, setting.sign_in(&other).await);

    // Whoever has only the link gets nowhere, and takes nothing from whom it belongs to.
    is_page(&trip.back_with(&back, None).await, 403, OVER);
    let made_up = Some("__Host-enroll-ticket=made-up");
    is_page(&trip.back_with(&back, made_up).await, 403, OVER);
    // Another browser, which is on its way as well, is on a way of its own, and that is over now.
    is_page(&other.back(&back).await, 403, WRONG);
    setting.log_says("code=\"wrong-state\"");
    is_page(&other.back(&others).await, 403, OVER);

    let answer = trip.back(&back).await;
    assert_eq!(answer.content_type, CONTENT_TYPE, "{}", text(&answer));
    is_page(&trip.back(&back).await, 403, OVER);
}

/// RFC 9700, 4.4: the provider of one binding has the browser bring its answer to another's address.
#[tokio::test]
async fn an_answer_that_comes_back_to_another_binding_is_refused() {
    let setting = Setting::start().await;
    for to in ["other?", "OIDC?", "oidc%2Foidc?"] {
        let trip = setting.send_away().await;
        let back = setting.sign_in(&trip).await;
        let moved = back.replace("oidc?", to);
        assert_ne!(moved, back);
        is_page(&trip.back(&moved).await, 403, WRONG);
        setting.log_says("code=\"wrong-callback\"");
        // The ticket is spent, and the code is not: nobody was asked anything.
        is_page(&trip.back(&back).await, 403, OVER);
        let unspent = setting.provider.book().codes.contains_key(&code_of(&back));
        assert!(unspent, "the code went to the provider");
    }
    let trip = setting.send_away().await;
    let back = setting.sign_in(&trip).await;
    let nameless = back.replace("/enroll/callback/oidc?", "/enroll/callback?");
    assert_eq!(trip.back(&nameless).await.status, 404);
    assert_eq!(trip.back(&back).await.content_type, CONTENT_TYPE);
}

#[tokio::test]
async fn what_comes_back_altered_is_refused() {
    let setting = Setting::start().await;
    for (name, value, code) in [
        ("state", "guessed", "wrong-state"),
        ("iss", "https://evil.example", "wrong-issuer"),
        ("code", "guessed", "code-refused"),
    ] {
        let trip = setting.send_away().await;
        let back = setting.sign_in(&trip).await;
        let altered = with(&back, name, value);
        is_page(&trip.back(&altered).await, 403, WRONG);
        setting.log_says(&format!("code=\"{code}\""));
    }
    // A code of another sign-in, with this one's state: the provider knows another challenge of it.
    let (trip, other) = (setting.send_away().await, setting.send_away().await);
    let (back, others) = (setting.sign_in(&trip).await, setting.sign_in(&other).await);
    let injected = with(&back, "code", &code_of(&others));
    is_page(&trip.back(&injected).await, 403, WRONG);
    setting.log_says("code=\"code-refused\"");

    setting.provider.book().refuses = true;
    is_page(&setting.round_trip().await, 403, WRONG);
    setting.log_says("code=\"denied\"");
}

#[tokio::test]
async fn what_the_provider_says_of_somebody_else_or_another_time_is_not_taken() {
    let setting = Setting::start().await;
    for (name, value, status, said, log) in [
        ("nonce", json!("another"), 403, WRONG, "wrong-nonce"),
        ("groups", json!(["guests"]), 403, WRONG, "not-in-group"),
        ("aud", json!("another"), 503, TRY_AGAIN, "another client"),
        (
            "iss",
            json!("https://evil.example"),
            503,
            TRY_AGAIN,
            "another issuer",
        ),
        ("exp", json!(1_750_000_000), 503, TRY_AGAIN, "has expired"),
    ] {
        setting.provider.book().altered = Some((name, value));
        is_page(&setting.round_trip().await, status, said);
        setting.log_says(log);
    }
    setting.provider.book().altered = None;
    assert_eq!(setting.round_trip().await.content_type, CONTENT_TYPE);
}

#[tokio::test]
async fn a_provider_that_is_down_is_no_wrong_password() {
    let mut setting = Setting::start().await;
    let trip = setting.send_away().await;
    let back = setting.sign_in(&trip).await;
    setting.web.stop().await;
    is_page(&trip.back(&back).await, 503, TRY_AGAIN);
    let browser = Browser::open(&setting.site).await;
    let answer = browser.sign_in("ada@example.org", "").await;
    is_page(&answer, 503, TRY_AGAIN);
    // Names of other domains are none of the provider's.
    is_page(&browser.sign_in("ada", "").await, 403, WRONG);
}

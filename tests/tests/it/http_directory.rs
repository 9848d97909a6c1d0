//! `http-directory` on a real server: a person signs in at a stand-in vendor's API, which asks for a one-time code.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use lanyard_device::{enroll::Phase, http::Answer};
use lanyard_mdm::profile::CONTENT_TYPE;
use lanyard_tests::site::Site;
use serde_json::{Value, json};

use crate::browser::{Browser, OVER, TRY_AGAIN, WRONG, attribute, cookie_of, is_page, text};
use crate::enrollment::stage::{Journey, Stage};
use crate::web::Web;

const TOKEN: &str = "the vendor's token";
const PASSWORD: &str = "correct horse battery";
/// Too long to stand in a log by accident, as six digits do.
const CODE: &str = "31415-92653";

/// The vendor's memory.
#[derive(Clone, Default)]
struct Vendor {
    /// Sign-ins that wait for their code.
    waiting: Arc<Mutex<Vec<String>>>,
    /// Whether the API answers that it is overloaded.
    overloaded: Arc<Mutex<bool>>,
}

impl Vendor {
    fn serve(self) -> impl Future<Output = Web> {
        Web::serve(|_| {
            Router::new()
                .route("/api/session", post(session))
                .route("/api/session/otp", post(otp))
                .route("/api/users/{id}", get(user))
                .with_state(self)
        })
    }

    /// Why a request is not looked at.
    fn turned_away(&self, headers: &HeaderMap) -> Option<Response> {
        if *self.overloaded.lock().unwrap() {
            return Some(StatusCode::SERVICE_UNAVAILABLE.into_response());
        }
        let right = headers[header::AUTHORIZATION] == format!("Bearer {TOKEN}");
        (!right).then(|| StatusCode::FORBIDDEN.into_response())
    }
}

fn ada() -> Response {
    Json(json!({"user": {"id": "u-7", "name": "Ada Lovelace", "groups": ["staff"]}}))
        .into_response()
}

async fn session(
    State(vendor): State<Vendor>,
    headers: HeaderMap,
    Json(sent): Json<Value>,
) -> Response {
    if let Some(response) = vendor.turned_away(&headers) {
        return response;
    }
    if sent["login"] != "ada" {
        return StatusCode::NOT_FOUND.into_response();
    }
    if sent["password"] != PASSWORD {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let transaction = format!("{:032x}", rand::random::<u128>());
    vendor.waiting.lock().unwrap().push(transaction.clone());
    let asks = json!({"transaction": transaction});
    (StatusCode::ACCEPTED, Json(asks)).into_response()
}

/// A transaction is good for one try.
async fn otp(
    State(vendor): State<Vendor>,
    headers: HeaderMap,
    Json(sent): Json<Value>,
) -> Response {
    if let Some(response) = vendor.turned_away(&headers) {
        return response;
    }
    let mut waiting = vendor.waiting.lock().unwrap();
    let known = waiting
        .iter()
        .position(|known| sent["transaction"] == *known);
    let known = known.map(|at| waiting.remove(at));
    if known.is_none() || sent["otp"] != CODE {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    ada()
}

async fn user(
    State(vendor): State<Vendor>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    match vendor.turned_away(&headers) {
        Some(response) => response,
        None if id == "u-7" => ada(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn running(web: &Web) -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    site.secret_file("vendor.token", TOKEN).unwrap();
    let origin = &web.origin;
    let credential = format!(
        "[credentials.vendor]\nscheme = \"bearer\"\nsecret_file = \"vendor.token\"\nurls = [\"{origin}/api/\"]\n"
    );
    site.configure(&credential).unwrap();
    let policy = format!(
        r#"
[[binding]]
hook = "directory"
name = "vendor"
plugin = "http-directory.wasm"
grants = ["log", "secrets", "http"]
[binding.settings]
sign_in = {{ url = "{origin}/api/session", body = {{ login = "{{user}}", password = "{{password}}" }}, credential = "vendor" }}
unknown = [{{ status = 404 }}]
person = {{ id = "/user/id", name = "/user/name", groups = "/user/groups" }}
allowed_groups = ["staff"]
[binding.settings.code]
when = {{ status = 202 }}
state = "/transaction"
label = "The code that we sent to your phone"
call = {{ url = "{origin}/api/session/otp", body = {{ transaction = "{{state}}", otp = "{{code}}" }}, credential = "vendor" }}
[binding.settings.lookup]
url = "{origin}/api/users/{{id}}"
credential = "vendor"
{}"#,
        web.grants(&["vendor"], "/api/session"),
    );
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site.apply(&policy, &["http-directory"]).unwrap();
    site
}

/// Types the password; the page that asks for the code.
async fn asked(browser: &Browser) -> Answer {
    let page = browser.sign_in("ada", PASSWORD).await;
    assert_eq!(page.status, 200, "{}", text(&page));
    assert!(
        text(&page).contains("The code that we sent to your phone"),
        "{}",
        text(&page)
    );
    page
}

/// Types a code into that page.
async fn typed(browser: &Browser, page: &Answer, code: &str) -> Answer {
    let csrf = attribute(page, "name=\"csrf\" value=\"");
    let ticket = attribute(page, "name=\"ticket\" value=\"");
    let fields = [
        ("csrf", csrf.as_str()),
        ("ticket", &ticket),
        ("field.code", code),
    ];
    let step = browser.link.clone() + "/step";
    let call = browser.form_to(&step, &fields, Some(cookie_of(page)));
    browser.client.send(&call).await.unwrap()
}

#[tokio::test]
async fn a_person_signs_in_with_password_and_code_and_the_device_enrolls() {
    let web = Vendor::default().serve().await;
    let site = running(&web).await;
    let browser = Browser::open(&site).await;
    let page = asked(&browser).await;
    let answer = typed(&browser, &page, CODE).await;
    assert_eq!(answer.content_type, CONTENT_TYPE, "{}", text(&answer));
    is_page(&typed(&browser, &page, CODE).await, 403, OVER);

    let stage = Stage::of(site);
    let mut journey = Journey::signed_in(stage.site.new_device().unwrap(), &answer.body);
    journey.reach(&stage, Phase::TokenUpdate).await;
    let device = stage.site.device(journey.device.udid()).unwrap();
    assert_eq!(device["state"], "enrolled");
    let ada = json!({"directory": "vendor", "id": "u-7", "name": "Ada Lovelace"});
    assert_eq!(device["person"], ada);

    let list = ["decisions", "list", "--hook", "directory"];
    let decisions = stage.site.lanyard_json(&list).unwrap();
    let decisions = decisions.as_array().unwrap();
    assert_eq!(decisions.len(), 2, "password and code: {decisions:?}");
    for decision in decisions {
        let id = decision["id"].as_str().unwrap();
        let exported = stage.site.lanyard(&["decisions", "export", id]).unwrap();
        for secret in [PASSWORD, CODE, TOKEN] {
            assert!(!exported.contains(secret), "{secret} is in {exported}");
        }
    }
    let log = stage.site.server_log();
    for secret in [PASSWORD, CODE, TOKEN] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}

#[tokio::test]
async fn a_wrong_password_a_wrong_code_and_an_unknown_name_are_wrong() {
    let web = Vendor::default().serve().await;
    let site = running(&web).await;
    let browser = Browser::open(&site).await;
    is_page(&browser.sign_in("ada", "wrong horse").await, 403, WRONG);
    assert!(site.server_log().contains("code=\"wrong-password\""));
    is_page(&browser.sign_in("nobody", PASSWORD).await, 403, WRONG);
    let page = asked(&browser).await;
    is_page(&typed(&browser, &page, "27182-81828").await, 403, WRONG);
    assert!(site.server_log().contains("code=\"wrong-code\""));
    // A wrong code ends the sign-in, and the next one is another.
    is_page(&typed(&browser, &page, CODE).await, 403, OVER);
    let page = asked(&browser).await;
    let answer = typed(&browser, &page, CODE).await;
    assert_eq!(answer.content_type, CONTENT_TYPE);
}

#[tokio::test]
async fn an_api_that_is_down_or_overloaded_is_no_wrong_password() {
    let vendor = Vendor::default();
    let overloaded = Arc::clone(&vendor.overloaded);
    let mut web = vendor.serve().await;
    let site = running(&web).await;
    let browser = Browser::open(&site).await;
    let (one, two) = (asked(&browser).await, asked(&browser).await);

    *overloaded.lock().unwrap() = true;
    is_page(&typed(&browser, &one, CODE).await, 503, TRY_AGAIN);
    is_page(&browser.sign_in("ada", "wrong horse").await, 503, TRY_AGAIN);
    *overloaded.lock().unwrap() = false;

    web.stop().await;
    is_page(&typed(&browser, &two, CODE).await, 503, TRY_AGAIN);
    is_page(&browser.sign_in("ada", "wrong horse").await, 503, TRY_AGAIN);
}

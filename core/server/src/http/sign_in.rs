//! The page where a person signs in (phase 1).

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Extension, Form,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use lanyard_engine::{NextStep, SignInAttempt, SignInRefused, SignedIn, Ticket};
use lanyard_mdm::profile;
use lanyard_policy::{FieldKind, Secret};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Remote, Shared, binary};

/// The cookie that a form's token belongs to. `__Host-` keeps other hosts of the same domain from setting it.
const COOKIE: &str = "__Host-enroll";
/// The cookie that brings a person back to their sign-in from another page. `Lax`, because they come from there.
const TICKET_COOKIE: &str = "__Host-enroll-ticket";
/// Before the names of a directory's fields, so that none of them is taken for one of ours.
const FIELD: &str = "field.";

const OVER: &str = "This page was open for too long. Please sign in again.";

#[derive(Template)]
#[template(path = "enroll.html")]
struct Page<'a> {
    organization: &'a str,
    user_name: &'a str,
    form_token: &'a str,
    error: Option<&'a str>,
    anchor: bool,
    step: Option<StepForm<'a>>,
}

/// What a directory asks for.
struct StepForm<'a> {
    ticket: &'a str,
    fields: Vec<StepField>,
}

struct StepField {
    name: String,
    label: String,
    is_password: bool,
    is_code: bool,
}

/// The way to another page. It is a page of its own, because browsers hold a form's redirections against our `form-action`.
#[derive(Template)]
#[template(path = "redirect.html")]
struct RedirectPage<'a> {
    organization: &'a str,
    url: &'a str,
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct SignInForm {
    user_name: String,
    password: Zeroizing<String>,
    #[serde(default)]
    csrf: String,
}

/// The page; or, for a client that comes with HTTP Basic, its answer at once.
pub(super) async fn page(
    State(shared): State<Shared>,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
) -> Response {
    // A link on another site may carry a stranger's name and password, whose session the phone would enroll into.
    let sent_by_a_link = headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "none" && site != "same-origin");
    let authorization = headers
        .get(header::AUTHORIZATION)
        .filter(|_| !sent_by_a_link);
    match authorization.map(basic_credentials) {
        None => form(&shared, StatusCode::OK, "", None),
        Some(None) => ask_basic("the Authorization header is not HTTP Basic\n"),
        Some(Some((user_name, password))) => {
            match shared
                .engine
                .sign_in(attempt(user_name, password, remote, &headers))
                .await
            {
                Ok(SignedIn::Document(document)) => download(document),
                Ok(SignedIn::Ask { .. } | SignedIn::Redirect { .. }) => {
                    let text = "signing in takes further steps: use a browser\n";
                    (StatusCode::FORBIDDEN, text).into_response()
                }
                Err(SignInRefused::Rejected { code }) => {
                    tracing::info!(code, remote = %remote.0, "sign-in rejected");
                    ask_basic("user name or password is wrong\n")
                }
                Err(refused) => {
                    let (status, text) = explain(&refused, remote);
                    (status, retry_after(&refused), format!("{text}\n")).into_response()
                }
            }
        }
    }
}

/// The form comes back.
pub(super) async fn sign_in(
    State(shared): State<Shared>,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
    Form(sent): Form<SignInForm>,
) -> Response {
    if !is_our_form(&shared, &headers, &sent.csrf) {
        return form(&shared, StatusCode::FORBIDDEN, &sent.user_name, Some(OVER));
    }
    let attempt = attempt(sent.user_name.clone(), sent.password, remote, &headers);
    let outcome = shared.engine.sign_in(attempt).await;
    after_step(&shared, &sent.user_name, remote, outcome)
}

/// What a directory asked for comes back.
pub(super) async fn step(
    State(shared): State<Shared>,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
    Form(sent): Form<Vec<(String, String)>>,
) -> Response {
    let mut input = BTreeMap::new();
    let (mut csrf, mut ticket) = (String::new(), String::new());
    for (name, value) in sent {
        match (name.as_str(), name.strip_prefix(FIELD)) {
            (_, Some(field)) => {
                input.insert(field.to_owned(), Secret::new(value));
            }
            ("csrf", None) => csrf = value,
            ("ticket", None) => ticket = value,
            _ => {}
        }
    }
    if !is_our_form(&shared, &headers, &csrf) {
        return form(&shared, StatusCode::FORBIDDEN, "", Some(OVER));
    }
    let step = NextStep {
        ticket: Ticket::new(ticket),
        came_back_to: None,
        input,
        remote: remote.0,
        user_agent: user_agent(&headers),
    };
    go_on(&shared, step).await
}

/// The person comes back from where a directory sent them. The ticket is in a cookie: whoever has only the link gets nowhere.
pub(super) async fn callback(
    State(shared): State<Shared>,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
    Path(binding): Path<String>,
    Query(sent): Query<Vec<(String, String)>>,
) -> Response {
    let ticket = cookie(&headers, TICKET_COOKIE).unwrap_or_default();
    let sent = sent.into_iter();
    let step = NextStep {
        ticket: Ticket::new(ticket),
        came_back_to: Some(binding),
        input: sent
            .map(|(name, value)| (name, Secret::new(value)))
            .collect(),
        remote: remote.0,
        user_agent: user_agent(&headers),
    };
    go_on(&shared, step).await
}

async fn go_on(shared: &Shared, step: NextStep) -> Response {
    let remote = Remote(step.remote);
    let outcome = shared.engine.continue_sign_in(step).await;
    after_step(shared, "", remote, outcome)
}

/// What the person sees next.
fn after_step(
    shared: &Shared,
    user_name: &str,
    remote: Remote,
    outcome: Result<SignedIn, SignInRefused>,
) -> Response {
    match outcome {
        Ok(SignedIn::Document(document)) => download(document),
        Ok(SignedIn::Ask { fields, ticket }) => {
            let fields = fields.into_iter().map(|field| StepField {
                is_password: field.kind == FieldKind::Password,
                is_code: field.kind == FieldKind::OneTimeCode,
                name: field.name,
                label: field.label,
            });
            let step = StepForm {
                ticket: ticket.expose(),
                fields: fields.collect(),
            };
            page_with(shared, StatusCode::OK, "", None, Some(step))
        }
        Ok(SignedIn::Redirect { url, ticket }) => redirect(shared, &url, &ticket),
        Err(refused) => {
            let (status, text) = explain(&refused, remote);
            let mut response = form(shared, status, user_name, Some(text));
            response.headers_mut().extend(retry_after(&refused));
            response
        }
    }
}

fn redirect(shared: &Shared, url: &str, ticket: &Ticket) -> Response {
    let page = RedirectPage {
        organization: &shared.organization,
        url,
    };
    let cookie = format!(
        "{TICKET_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600",
        ticket.expose()
    );
    html(StatusCode::OK, &cookie, &page)
}

pub(super) async fn style() -> Response {
    (
        [
            (header::CONTENT_TYPE, "text/css"),
            (header::CACHE_CONTROL, "max-age=3600"),
        ],
        include_str!("../../templates/enroll.css"),
    )
        .into_response()
}

/// The root that a phone has to trust before anything else, in the form that it installs.
pub(super) async fn anchor(State(shared): State<Shared>) -> Response {
    match &shared.anchor {
        Some(der) => binary("application/x-x509-ca-cert", der.to_vec()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn attempt(
    user_name: String,
    mut password: Zeroizing<String>,
    Remote(remote): Remote,
    headers: &HeaderMap,
) -> SignInAttempt {
    SignInAttempt {
        user_name: user_name.trim().to_owned(),
        password: Secret::new(std::mem::take(&mut *password)),
        remote,
        user_agent: user_agent(headers),
    }
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let agent = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(agent.chars().take(256).collect())
}

/// What the person is told. Why is in the log.
fn explain(refused: &SignInRefused, Remote(remote): Remote) -> (StatusCode, &'static str) {
    match refused {
        SignInRefused::Rejected { code } => {
            tracing::info!(code, %remote, "sign-in rejected");
            (StatusCode::FORBIDDEN, "User name or password is wrong.")
        }
        SignInRefused::TooMany { .. } => {
            tracing::debug!(%remote, "sign-in throttled");
            (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many attempts. Please wait a minute and try again.",
            )
        }
        SignInRefused::Over => (StatusCode::FORBIDDEN, OVER),
        SignInRefused::Unavailable { reason } => {
            tracing::error!(reason, %remote, "sign-in unavailable");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "Signing in is not possible right now. Please try again later.",
            )
        }
    }
}

fn retry_after(refused: &SignInRefused) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let SignInRefused::TooMany { wait } = refused {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    headers
}

/// The Profile Service document. Safari offers to install it by its content type.
fn download(document: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, profile::CONTENT_TYPE),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"enroll.mobileconfig\"",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, document).into_response()
}

fn ask_basic(text: &'static str) -> Response {
    (
        StatusCode::UNAUTHORIZED,
        [(
            header::WWW_AUTHENTICATE,
            "Basic realm=\"enrollment\", charset=\"UTF-8\"",
        )],
        text,
    )
        .into_response()
}

fn basic_credentials(value: &HeaderValue) -> Option<(String, Zeroizing<String>)> {
    let text = value.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let (user_name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user_name.to_owned(), Zeroizing::new(password.to_owned())))
}

/// The page with the form to sign in.
fn form(shared: &Shared, status: StatusCode, user_name: &str, error: Option<&str>) -> Response {
    page_with(shared, status, user_name, error, None)
}

/// The page with a token for its form. The token is a MAC over the cookie: another site can make a browser send neither.
fn page_with(
    shared: &Shared,
    status: StatusCode,
    user_name: &str,
    error: Option<&str>,
    step: Option<StepForm<'_>>,
) -> Response {
    let nonce = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>());
    let form_token = URL_SAFE_NO_PAD.encode(shared.forms.tag(nonce.as_bytes()));
    let page = Page {
        organization: &shared.organization,
        user_name,
        form_token: &form_token,
        error,
        anchor: shared.anchor.is_some(),
        step,
    };
    let cookie = format!("{COOKIE}={nonce}; Path=/; Secure; HttpOnly; SameSite=Strict");
    html(status, &cookie, &page)
}

/// A page that keeps other sites out.
fn html(status: StatusCode, cookie: &str, page: &impl Template) -> Response {
    let Ok(html) = page.render() else {
        let text = "the page cannot be shown\n";
        return (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
    };
    let headers = [
        (header::SET_COOKIE, cookie),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, Html(html)).into_response()
}

/// The value of a cookie.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|cookie| cookie.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='))
}

fn is_our_form(shared: &Shared, headers: &HeaderMap, token: &str) -> bool {
    let nonce = cookie(headers, COOKIE);
    match (nonce, URL_SAFE_NO_PAD.decode(token)) {
        (Some(nonce), Ok(token)) => shared.forms.verify(nonce.as_bytes(), &token),
        _ => false,
    }
}

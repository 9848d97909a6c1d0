//! The page where a person signs in (phase 1).

use askama::Template;
use axum::{
    Extension, Form,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use lanyard_engine::{SignInAttempt, SignInRefused};
use lanyard_mdm::profile;
use lanyard_policy::Secret;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Remote, Shared, binary};

/// The cookie that a form's token belongs to. `__Host-` keeps other hosts of the same domain from setting it.
const COOKIE: &str = "__Host-enroll";

#[derive(Template)]
#[template(path = "enroll.html")]
struct Page<'a> {
    organization: &'a str,
    user_name: &'a str,
    form_token: &'a str,
    error: Option<&'a str>,
    anchor: bool,
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
                Ok(document) => download(document),
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
        let text = "This page was open for too long. Please sign in again.";
        return form(&shared, StatusCode::FORBIDDEN, &sent.user_name, Some(text));
    }
    let attempt = attempt(sent.user_name.clone(), sent.password, remote, &headers);
    match shared.engine.sign_in(attempt).await {
        Ok(document) => download(document),
        Err(refused) => {
            let (status, text) = explain(&refused, remote);
            let mut response = form(&shared, status, &sent.user_name, Some(text));
            response.headers_mut().extend(retry_after(&refused));
            response
        }
    }
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
    let user_agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    SignInAttempt {
        user_name: user_name.trim().to_owned(),
        password: Secret::new(std::mem::take(&mut *password)),
        remote,
        user_agent: user_agent.map(|agent| agent.chars().take(256).collect()),
    }
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

/// The page with a token for its form. The token is a MAC over the cookie: another site can make a browser send neither.
fn form(shared: &Shared, status: StatusCode, user_name: &str, error: Option<&str>) -> Response {
    let nonce = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>());
    let form_token = URL_SAFE_NO_PAD.encode(shared.forms.tag(nonce.as_bytes()));
    let page = Page {
        organization: &shared.organization,
        user_name,
        form_token: &form_token,
        error,
        anchor: shared.anchor.is_some(),
    };
    let Ok(html) = page.render() else {
        return (
            StatusCode::INTERNAL_SERVER_ERROR,
            "the page cannot be shown\n",
        )
            .into_response();
    };
    let cookie = format!("{COOKIE}={nonce}; Path=/; Secure; HttpOnly; SameSite=Strict");
    let headers = [
        (header::SET_COOKIE, cookie.as_str()),
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

fn is_our_form(shared: &Shared, headers: &HeaderMap, token: &str) -> bool {
    let cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|cookie| cookie.to_str().ok());
    let nonce = cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    match (nonce, URL_SAFE_NO_PAD.decode(token)) {
        (Some(nonce), Ok(token)) => shared.forms.verify(nonce.as_bytes(), &token),
        _ => false,
    }
}

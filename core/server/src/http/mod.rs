//! HTTP towards devices and persons: reads requests, proves nothing, decides nothing; that is the engine's.

mod admin;
mod approvals;
mod backup;
mod batches;
mod commands;
mod decisions;
mod enrollment;
mod failure;
mod keys;
mod limits;
mod log_budget;
mod mdm;
mod metrics;
pub mod paths;
mod policy;
mod push;
mod scep;
mod sign_in;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{StatusCode, header},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use lanyard_engine::{Engine, Refusal, RefusalKind};
use lanyard_pki::seal::MacRing;

pub(crate) use admin::router as admin_router;
pub(crate) use limits::BodyBudget;
pub(crate) use limits::FIELDS;
use limits::{within_budget, within_time};
use log_budget::LogBudget;
pub use metrics::Metrics;
pub(crate) use policy::Application;

use crate::configuration::Limits;

/// What handlers share.
#[derive(Clone)]
pub struct Shared {
    /// The use cases.
    pub engine: Engine,
    /// Shown on the enrollment page.
    pub organization: Arc<str>,
    /// Proves that a sign-in form is ours.
    pub forms: MacRing,
    /// The root of our TLS certificate in DER, if devices have to be made to trust it.
    pub anchor: Option<Arc<[u8]>>,
}

/// Where a request comes from, put into its extensions by whoever accepted the connection.
#[derive(Clone, Copy, Debug)]
pub struct Remote(pub IpAddr);

/// Everything that devices and persons may ask of us.
pub(crate) fn device_router(
    shared: Shared,
    limits: &Limits,
    budget: &BodyBudget,
    metrics: Metrics,
) -> Router {
    let small = DefaultBodyLimit::max(limits.scep_bytes);
    let scep_routes = Router::new()
        .route(paths::SCEP, get(scep::get).post(scep::post))
        .route(
            &format!("{}/", paths::SCEP),
            get(scep::get).post(scep::post),
        )
        .route(
            &format!("{}/pkiclient.exe", paths::SCEP),
            get(scep::get).post(scep::post),
        )
        .route(
            &format!("{}/cgi-bin/pkiclient.exe", paths::SCEP),
            get(scep::get).post(scep::post),
        )
        .layer(small);
    let enrollment_routes = Router::new()
        .route(paths::ENROLL, get(sign_in::page).post(sign_in::sign_in))
        .route(paths::STEP, post(sign_in::step))
        .route(paths::CALLBACK, get(sign_in::callback))
        .route(paths::STYLE, get(sign_in::style))
        .route(paths::ANCHOR, get(sign_in::anchor))
        .route(paths::PROFILE_SERVICE, post(enrollment::message))
        .layer(small);
    let router = Router::new()
        .route(
            "/",
            get(|| async { axum::response::Redirect::temporary(paths::ENROLL) }),
        )
        .merge(scep_routes)
        .merge(enrollment_routes)
        .merge(management_routes(limits));
    within_limits(router, budget, metrics, shared)
}

/// What managed devices may ask of us where they show their certificate: nothing else is there.
pub(crate) fn management_router(
    shared: Shared,
    limits: &Limits,
    budget: &BodyBudget,
    metrics: Metrics,
) -> Router {
    within_limits(management_routes(limits), budget, metrics, shared)
}

fn management_routes(limits: &Limits) -> Router<Shared> {
    Router::new()
        .route(paths::CHECK_IN, put(mdm::check_in))
        .route(paths::CONNECT, put(mdm::connect))
        .layer(DefaultBodyLimit::max(limits.mdm_bytes))
}

fn within_limits(
    router: Router<Shared>,
    budget: &BodyBudget,
    metrics: Metrics,
    shared: Shared,
) -> Router {
    router
        .layer(from_fn_with_state(budget.clone(), within_budget))
        .layer(from_fn(within_time))
        .layer(from_fn_with_state(metrics, metrics::observed))
        .with_state(shared)
}

/// Refusals that are logged: strangers can make any number of them.
static REFUSALS: LogBudget = LogBudget::new();

/// A refusal as a device sees it: a status and one short line, the same for every reason. Never 401.
fn refused(what: &'static str, refusal: &Refusal) -> Response {
    let (status, text) = match refusal.kind() {
        RefusalKind::BadRequest => (StatusCode::BAD_REQUEST, "the request was not accepted\n"),
        RefusalKind::Forbidden => (StatusCode::FORBIDDEN, "this device may not be enrolled\n"),
        RefusalKind::Unavailable | RefusalKind::TooMany | RefusalKind::Failing => {
            (StatusCode::SERVICE_UNAVAILABLE, "try again later\n")
        }
        RefusalKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "the server failed\n"),
    };
    match refusal.kind() {
        RefusalKind::Failing | RefusalKind::Internal => {
            tracing::error!(what, reason = %refusal, "failed")
        }
        RefusalKind::TooMany => tracing::debug!(what, reason = %refusal, "refused"),
        RefusalKind::BadRequest | RefusalKind::Forbidden | RefusalKind::Unavailable => {
            if let Some(left_out) = REFUSALS.admit() {
                let status = status.as_u16();
                tracing::warn!(what, reason = %refusal, status, left_out, "refused");
            }
        }
    }
    (status, [(header::CONTENT_TYPE, "text/plain")], text).into_response()
}

/// A binary answer with its content type, kept by nobody on the way.
fn binary(content_type: &'static str, body: Vec<u8>) -> Response {
    (
        [
            (header::CONTENT_TYPE, content_type),
            (header::CACHE_CONTROL, "no-store"),
        ],
        body,
    )
        .into_response()
}

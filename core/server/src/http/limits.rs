//! What requests may cost together: time for each, memory for all that are being read.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::{sync::Semaphore, time::timeout};

/// A request and its answer together. Devices are on mobile networks, and hooks may take their time.
const EXCHANGE: Duration = Duration::from_secs(60);
/// How long a request waits for memory that others hold.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bodies that are read at the same time, in KiB: 256 MiB, which is 128 of the largest or 80,000 ordinary check-ins.
const BUDGET: usize = 256 * 1024;

/// The memory that bodies share.
#[derive(Clone)]
pub(super) struct BodyBudget {
    kibibytes: Arc<Semaphore>,
    /// The largest body, in bytes.
    largest: usize,
}

impl BodyBudget {
    pub(super) fn new(largest: usize) -> Self {
        Self {
            kibibytes: Arc::new(Semaphore::new(BUDGET)),
            largest,
        }
    }
}

/// Lets a request in once there is memory for the body that it announces, or for the largest where it announces none.
pub(super) async fn within_budget(
    State(budget): State<BodyBudget>,
    request: Request,
    next: Next,
) -> Response {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    let octets = announced.map_or(budget.largest, |length: usize| length.min(budget.largest));
    let kibibytes = u32::try_from(octets.div_ceil(1024).min(BUDGET)).unwrap_or(u32::MAX);
    match timeout(PATIENCE, budget.kibibytes.acquire_many(kibibytes)).await {
        Ok(Ok(_held)) => next.run(request).await,
        _ => {
            tracing::warn!("more bodies at once than there is memory for");
            let headers = [(header::RETRY_AFTER, "30")];
            (
                StatusCode::SERVICE_UNAVAILABLE,
                headers,
                "try again later\n",
            )
                .into_response()
        }
    }
}

/// Ends a request that takes too long, its body included.
pub(super) async fn within_time(request: Request, next: Next) -> Response {
    match timeout(EXCHANGE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request took too long\n").into_response(),
    }
}

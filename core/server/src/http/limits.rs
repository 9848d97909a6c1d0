//! What requests may cost together: time for each, memory for all whose bodies are being read.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::Remote;
use crate::{
    configuration::Limits,
    shares::{Share, Shares},
};

/// A request and its answer together. Devices are on mobile networks, and hooks may take their time.
const EXCHANGE: Duration = Duration::from_secs(60);
/// How long a body may take to arrive: the largest over a slow mobile network.
const ARRIVAL: Duration = Duration::from_secs(30);
/// Bodies that are held at the same time, in KiB: 256 MiB, which is 128 of the largest or 80,000 ordinary check-ins.
const BUDGET: usize = 256 * 1024;

/// What one network may have of it, in KiB.
const SHARE: usize = BUDGET / 8;
/// Fields of a head: browsers send some twenty. Each costs memory far beyond its own bytes; in HTTP/2, a thousand fit into a few.
pub(crate) const FIELDS: usize = 64;

/// The memory that bodies share.
#[derive(Clone)]
pub(crate) struct BodyBudget {
    kibibytes: Arc<Semaphore>,
    shares: Shares,
    /// The largest body, in bytes.
    largest: usize,
}

impl BodyBudget {
    /// A budget for bodies as large as these limits let them be.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            kibibytes: Arc::new(Semaphore::new(BUDGET)),
            shares: Shares::of(SHARE),
            largest: limits.mdm_bytes.max(limits.scep_bytes),
        }
    }

    /// Reads a body, and takes memory from the budget for what has arrived: an announcement alone holds nothing.
    async fn read(&self, mut body: Body, from: IpAddr) -> Result<(Vec<u8>, Vec<Held>), Stopped> {
        let mut octets = Vec::new();
        let mut held = Vec::new();
        let mut paid = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Stopped::Broken)?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if octets.len() + data.len() > self.largest {
                return Err(Stopped::TooLarge);
            }
            let needed = (octets.len() + data.len()).div_ceil(1024);
            if needed > paid {
                let more = u32::try_from(needed - paid).map_err(|_| Stopped::TooLarge)?;
                let share = self.shares.take(from, needed - paid);
                let permit = Arc::clone(&self.kibibytes).try_acquire_many_owned(more);
                match (share, permit) {
                    (Some(share), Ok(permit)) => held.push((share, permit)),
                    _ => return Err(Stopped::NoMemory),
                }
                paid = needed;
            }
            octets.extend_from_slice(&data);
        }
        Ok((octets, held))
    }
}

/// Memory for part of a body: the network's, and everybody's.
type Held = (Share, OwnedSemaphorePermit);

/// Why a body is not read.
enum Stopped {
    TooLarge,
    NoMemory,
    Broken,
}

/// Reads a request's body within the budget before anything else is done with it.
pub(super) async fn within_budget(
    State(budget): State<BodyBudget>,
    request: Request,
    next: Next,
) -> Response {
    let text = |status: StatusCode, text: &'static str| (status, text).into_response();
    // Before anything is waited for: while a body is on its way, the head is held.
    if request.headers().len() > FIELDS {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return text(status, "the request has too many header fields\n");
    }
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let Some(&Remote(from)) = head.extensions.get::<Remote>() else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "the server failed\n");
    };
    match timeout(ARRIVAL, budget.read(body, from)).await {
        Ok(Ok((octets, _held))) => next.run(Request::from_parts(head, octets.into())).await,
        Ok(Err(Stopped::TooLarge)) => {
            text(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large\n")
        }
        Ok(Err(Stopped::Broken)) => text(StatusCode::BAD_REQUEST, "the request broke off\n"),
        Ok(Err(Stopped::NoMemory)) => {
            tracing::debug!(%from, "more bodies at once than there is memory for");
            let headers = [(header::RETRY_AFTER, "30")];
            (
                StatusCode::SERVICE_UNAVAILABLE,
                headers,
                "try again later\n",
            )
                .into_response()
        }
        Err(_) => text(StatusCode::REQUEST_TIMEOUT, "the request took too long\n"),
    }
}

/// Ends an exchange that takes too long.
pub(super) async fn within_time(request: Request, next: Next) -> Response {
    match timeout(EXCHANGE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request took too long\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_is_held_for_what_arrived_and_no_longer_than_it_is_needed() {
        let budget = BodyBudget {
            kibibytes: Arc::new(Semaphore::new(4)),
            shares: Shares::of(4),
            largest: 3 * 1024,
        };
        let from = IpAddr::from([192, 0, 2, 1]);
        let read = |octets: usize| budget.read(Body::from(vec![b'x'; octets]), from);
        let Ok((octets, held)) = read(2 * 1024 + 1).await else {
            panic!("there is room");
        };
        assert_eq!(
            (octets.len(), budget.kibibytes.available_permits()),
            (2049, 1)
        );
        assert!(matches!(read(1025).await, Err(Stopped::NoMemory)));
        assert!(read(1024).await.is_ok(), "what fits goes on");
        drop(held);
        assert_eq!(budget.kibibytes.available_permits(), 4);
        assert!(matches!(read(3 * 1024 + 1).await, Err(Stopped::TooLarge)));
        assert_eq!(budget.kibibytes.available_permits(), 4);
    }
}

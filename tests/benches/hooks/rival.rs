//! Others who answer the question: natively, and behind HTTP.

use std::net::{Ipv4Addr, SocketAddr};

use async_trait::async_trait;
use axum::{Json, Router, routing::post};
use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use lanyard_policy::{
    Allowance, EnrollmentApproval, EnrollmentQuestion, EnrollmentVerdict, HookFailure, Reason,
};
use tokio::net::TcpListener;

/// What `examples/enrollment-approval` decides.
fn decide(question: &EnrollmentQuestion) -> EnrollmentVerdict {
    let product = question.device.product.as_deref().unwrap_or_default();
    let because = |code: &str, message: &str| Reason {
        code: code.to_owned(),
        message: message.to_owned(),
        relied_on: [("product".to_owned(), product.into())].into(),
    };
    if product.starts_with("iPhone") {
        EnrollmentVerdict::Allow(Allowance::default())
    } else if product.starts_with("iPad") {
        EnrollmentVerdict::Pending(because("tablet", "Somebody will look at your request."))
    } else {
        EnrollmentVerdict::Deny(because("not-a-phone", "Only iPhones are enrolled here."))
    }
}

/// In this process.
pub(crate) struct Native;

#[async_trait]
impl EnrollmentApproval for Native {
    async fn decide(&self, question: EnrollmentQuestion) -> Result<EnrollmentVerdict, HookFailure> {
        Ok(decide(&question))
    }
}

/// Behind HTTP/1.1 without TLS, question and verdict in JSON.
pub(crate) struct Webhook {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
}

impl Webhook {
    /// Serves on a free port, and asks there: over one connection, or a new one each time.
    pub(crate) async fn start(keep_alive: bool) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let routes = Router::new().route(
            "/",
            post(async |Json(question): Json<EnrollmentQuestion>| Json(decide(&question))),
        );
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(if keep_alive { 16 } else { 0 })
            .build(connector);
        Ok(Self { client, address })
    }

    async fn ask(
        &self,
        question: &EnrollmentQuestion,
    ) -> Result<EnrollmentVerdict, Box<dyn std::error::Error + Send + Sync>> {
        let request = Request::post(format!("http://{}/", self.address))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(serde_json::to_vec(question)?))?;
        let answer = self.client.request(request).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }
}

#[async_trait]
impl EnrollmentApproval for Webhook {
    async fn decide(&self, question: EnrollmentQuestion) -> Result<EnrollmentVerdict, HookFailure> {
        self.ask(&question)
            .await
            .map_err(|error| HookFailure::Unavailable {
                detail: error.to_string(),
            })
    }
}

//! A [`Wake`] as a2 models it, and that as an HTTP request.

use std::fmt;

use a2::request::notification::{NotificationOptions, Priority, PushType};
use a2::request::payload::PayloadLike;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use serde::Serialize;

use crate::wake::{Urgency, Wake};

/// The body `{"mdm": magic}` with nothing beside it; a2's own payload always carries `aps`.
#[derive(Serialize)]
struct MdmPayload<'a> {
    mdm: &'a str,
    #[serde(skip)]
    token: &'a str,
    #[serde(skip)]
    options: NotificationOptions<'a>,
}

impl PayloadLike for MdmPayload<'_> {
    fn get_device_token(&self) -> &str {
        self.token
    }

    fn get_options(&self) -> &NotificationOptions<'_> {
        &self.options
    }
}

// `PayloadLike` demands `Debug`; a derived one would print the magic.
impl fmt::Debug for MdmPayload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MdmPayload")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The request for one wake-up (Apple, "Sending notification requests to APNs").
pub(crate) fn request(
    authority: &str,
    topic: &str,
    wake: &Wake,
) -> Result<Request<Full<Bytes>>, a2::Error> {
    let payload = MdmPayload {
        mdm: wake.magic(),
        token: wake.token(),
        options: NotificationOptions {
            apns_push_type: Some(PushType::Mdm),
            apns_topic: Some(topic),
            apns_expiration: Some(wake.expiration()),
            apns_priority: Some(match wake.urgency() {
                Urgency::Now => Priority::High,
                Urgency::SparePower => Priority::Normal,
            }),
            ..NotificationOptions::default()
        },
    };
    render(authority, &payload)
}

/// a2 keeps its own rendering to itself, so the headers that an MDM push has are written here.
fn render(authority: &str, payload: &impl PayloadLike) -> Result<Request<Full<Bytes>>, a2::Error> {
    let options = payload.get_options();
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!(
            "https://{authority}/3/device/{}",
            payload.get_device_token()
        ))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(topic) = options.apns_topic {
        request = request.header("apns-topic", topic);
    }
    if let Some(push_type) = options.apns_push_type {
        request = request.header("apns-push-type", push_type.to_string());
    }
    if let Some(expiration) = options.apns_expiration {
        request = request.header("apns-expiration", expiration);
    }
    if let Some(priority) = &options.apns_priority {
        request = request.header("apns-priority", priority.to_string());
    }
    let body = Bytes::from(payload.to_json_string()?);
    request
        .body(Full::new(body))
        .map_err(a2::Error::BuildRequestError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use lanyard_mdm::{DeviceToken, PushMagic};
    use std::time::{Duration, UNIX_EPOCH};

    fn wake(token: &[u8], magic: &str) -> Wake {
        Wake::new(&DeviceToken::new(token), PushMagic::new(magic)).unwrap()
    }

    #[tokio::test]
    async fn a_wake_up_is_the_request_that_apple_documents() {
        let wake = wake(&[0xC0, 0xFF, 0xEE], "A\"B")
            .kept_until(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let request = request("localhost:2197", "com.apple.mgmt.External.1", &wake).unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "https://localhost:2197/3/device/c0ffee");
        for (name, value) in [
            ("apns-topic", "com.apple.mgmt.External.1"),
            ("apns-push-type", "mdm"),
            ("apns-priority", "10"),
            ("apns-expiration", "1800000000"),
        ] {
            assert_eq!(request.headers()[name], value, "{name}");
        }
        let body = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"mdm":"A\"B"}"#);
    }

    #[test]
    fn sparing_power_is_priority_5() {
        let wake = wake(&[1], "m").with_urgency(Urgency::SparePower);
        let request = request("h", "com.apple.mgmt.x", &wake).unwrap();
        assert_eq!(request.headers()["apns-priority"], "5");
        assert_eq!(request.headers()["apns-expiration"], "0");
    }
}

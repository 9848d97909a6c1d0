//! What a provider's request must look like (Apple, "Sending notification requests to APNs"). A pure function of the request.

use http::{HeaderMap, Method};
use serde_json::Value;

const LONGEST_PAYLOAD: usize = 4096;

const TOPIC_PREFIX: &str = "com.apple.mgmt.";

/// A request that is in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Push {
    /// Lower-case hexadecimal.
    pub(super) token: String,
    pub(super) magic: String,
    /// Seconds since the Unix epoch; 0: not to be stored.
    pub(super) expiration: u64,
    pub(super) apns_id: Option<String>,
}

/// An answer that is no 200 (Apple, "Handling notification responses from APNs").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// `reason` in the body.
    pub reason: &'static str,
    /// `timestamp` in the body, in milliseconds since the Unix epoch; with 410 only.
    pub timestamp: Option<u64>,
}

impl Refusal {
    /// A refusal without a timestamp.
    pub const fn new(status: u16, reason: &'static str) -> Refusal {
        Refusal {
            status,
            reason,
            timestamp: None,
        }
    }
}

/// Checks a request that came over a connection whose certificate stands for `topic`. Stricter than Apple: the topic has to
/// be named although the certificate has only one, and so do push type, priority and expiration.
pub(super) fn check(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
    topic: &str,
) -> Result<Push, Refusal> {
    let token = token(path)?;
    if method != Method::POST {
        return Err(Refusal::new(405, "MethodNotAllowed"));
    }
    for name in [
        "apns-topic",
        "apns-push-type",
        "apns-priority",
        "apns-expiration",
        "apns-id",
    ] {
        if headers.get_all(name).iter().count() > 1 {
            return Err(Refusal::new(400, "DuplicateHeaders"));
        }
    }
    check_topic(header(headers, "apns-topic"), topic)?;
    if header(headers, "apns-push-type") != Some("mdm") {
        return Err(Refusal::new(400, "InvalidPushType"));
    }
    if !matches!(header(headers, "apns-priority"), Some("10" | "5")) {
        return Err(Refusal::new(400, "BadPriority"));
    }
    let expiration = header(headers, "apns-expiration")
        .and_then(|text| text.parse().ok())
        .ok_or(Refusal::new(400, "BadExpirationDate"))?;
    let apns_id = match headers.get("apns-id") {
        None => None,
        Some(id) => Some(
            id.to_str()
                .ok()
                .filter(|id| uuid::Uuid::try_parse(id).is_ok())
                .ok_or(Refusal::new(400, "BadMessageId"))?
                .to_owned(),
        ),
    };
    Ok(Push {
        token: token.to_owned(),
        magic: magic(body)?,
        expiration,
        apns_id,
    })
}

fn token(path: &str) -> Result<&str, Refusal> {
    let Some(token) = path.strip_prefix("/3/device/") else {
        return Err(Refusal::new(404, "BadPath"));
    };
    if token.is_empty() {
        return Err(Refusal::new(400, "MissingDeviceToken"));
    }
    let lower_hex = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
    if token.bytes().all(lower_hex) && token.len().is_multiple_of(2) {
        Ok(token)
    } else {
        Err(Refusal::new(400, "BadDeviceToken"))
    }
}

fn check_topic(named: Option<&str>, own: &str) -> Result<(), Refusal> {
    match named {
        None | Some("") => Err(Refusal::new(400, "MissingTopic")),
        Some(named) if !named.starts_with(TOPIC_PREFIX) => Err(Refusal::new(400, "BadTopic")),
        Some(named) if named != own => Err(Refusal::new(400, "TopicDisallowed")),
        Some(_) => Ok(()),
    }
}

/// The body must be `{"mdm": text}` and nothing else. What is no such object has no reason of its own at Apple's; it is
/// answered as an empty payload.
fn magic(body: &[u8]) -> Result<String, Refusal> {
    if body.len() > LONGEST_PAYLOAD {
        return Err(Refusal::new(413, "PayloadTooLarge"));
    }
    let empty = Refusal::new(400, "PayloadEmpty");
    let Ok(Value::Object(mut payload)) = serde_json::from_slice(body) else {
        return Err(empty);
    };
    match payload.remove("mdm") {
        Some(Value::String(magic)) if !magic.is_empty() && payload.is_empty() => Ok(magic),
        _ => Err(empty),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const TOPIC: &str = "com.apple.mgmt.External.1";

    struct Request {
        method: Method,
        path: String,
        headers: HeaderMap,
        body: Vec<u8>,
    }

    impl Request {
        fn good() -> Request {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                ("apns-topic", TOPIC),
                ("apns-push-type", "mdm"),
                ("apns-priority", "10"),
                ("apns-expiration", "1800000000"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            Request {
                method: Method::POST,
                path: "/3/device/c0ffee".to_owned(),
                headers,
                body: br#"{"mdm":"MAGIC"}"#.to_vec(),
            }
        }

        fn check(&self) -> Result<Push, Refusal> {
            check(&self.method, &self.path, &self.headers, &self.body, TOPIC)
        }
    }

    #[test]
    fn a_good_request_is_taken() {
        let push = Request::good().check().unwrap();
        assert_eq!(
            (push.token.as_str(), push.magic.as_str()),
            ("c0ffee", "MAGIC")
        );
        assert_eq!(push.expiration, 1_800_000_000);
    }

    #[test]
    fn each_fault_has_its_reason() {
        type Fault = fn(&mut Request);
        fn set(request: &mut Request, name: &'static str, value: &'static str) {
            request
                .headers
                .insert(name, HeaderValue::from_static(value));
        }
        let table: &[(&str, u16, Fault)] = &[
            ("BadPath", 404, |r| r.path = "/4/device/c0ffee".to_owned()),
            ("MissingDeviceToken", 400, |r| {
                r.path = "/3/device/".to_owned()
            }),
            ("BadDeviceToken", 400, |r| {
                r.path = "/3/device/C0FFEE".to_owned()
            }),
            ("BadDeviceToken", 400, |r| {
                r.path = "/3/device/c0f".to_owned()
            }),
            ("MethodNotAllowed", 405, |r| r.method = Method::GET),
            ("MissingTopic", 400, |r| {
                drop(r.headers.remove("apns-topic"))
            }),
            ("BadTopic", 400, |r| set(r, "apns-topic", "org.example.app")),
            ("TopicDisallowed", 400, |r| {
                set(r, "apns-topic", "com.apple.mgmt.External.2")
            }),
            ("InvalidPushType", 400, |r| {
                drop(r.headers.remove("apns-push-type"))
            }),
            ("InvalidPushType", 400, |r| {
                set(r, "apns-push-type", "alert")
            }),
            ("BadPriority", 400, |r| set(r, "apns-priority", "11")),
            ("BadExpirationDate", 400, |r| {
                set(r, "apns-expiration", "soon")
            }),
            ("BadMessageId", 400, |r| set(r, "apns-id", "1")),
            ("DuplicateHeaders", 400, |r| {
                r.headers
                    .append("apns-priority", HeaderValue::from_static("5"));
            }),
            ("PayloadEmpty", 400, |r| r.body.clear()),
            ("PayloadEmpty", 400, |r| {
                r.body = br#"{"mdm":"m","aps":{}}"#.to_vec()
            }),
            ("PayloadEmpty", 400, |r| r.body = br#"{"mdm":7}"#.to_vec()),
            ("PayloadTooLarge", 413, |r| r.body = vec![b' '; 4097]),
        ];
        for (reason, status, fault) in table {
            let mut request = Request::good();
            fault(&mut request);
            let refusal = request.check().unwrap_err();
            assert_eq!((refusal.reason, refusal.status), (*reason, *status));
        }
    }

    proptest! {
        #[test]
        fn no_request_panics(path in ".{0,80}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let request = Request { path, body, ..Request::good() };
            let _ = request.check();
        }
    }
}

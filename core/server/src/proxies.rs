//! Proxies in front of the server, and what is believed of what they say.

use std::{net::IpAddr, sync::Arc};

use axum::http::{HeaderMap, HeaderName};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error as _};

/// RFC 9440, 2.2: the certificate that the client showed to the proxy.
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
/// Longest `Client-Cert` that is looked at, in bytes; identities have some 1,000.
const LONGEST_CERTIFICATE: usize = 8 * 1024;
/// Not standardised, and written by every proxy: who asked whom, the nearest last.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Networks that proxies are in: `["10.0.0.7", "192.0.2.0/24"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Arc<[IpNet]>);

/// Whose word counts for what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    /// `server.proxies`: they say who sent a request.
    pub(crate) forwarding: Networks,
    /// `identity.proxies`: they say which certificate a device showed.
    pub(crate) authenticating: Networks,
}

/// The certificate, in DER, that a client showed: to us, or to a proxy that is believed. Put into a request's extensions by whoever accepted
/// the connection.
#[derive(Clone, Debug)]
pub(crate) struct Shown(pub(crate) Result<Option<Arc<[u8]>>, ClientCertError>);

/// A `Client-Cert` header that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClientCertError {
    /// Twice: which one counts would be the sender's choice.
    #[error(
        "the request has several Client-Cert headers: the proxy must replace what a client sends"
    )]
    Several,
    /// Not a byte sequence (RFC 9651, 3.3.5).
    #[error(
        "the Client-Cert header is not a certificate in base64 between two colons (RFC 9440, 2.1)"
    )]
    Form,
}

impl Proxies {
    /// What a connection's own certificate comes to: that of a proxy is not the client's, whom only its header can name.
    pub(crate) fn shown(
        &self,
        own: Option<&Arc<[u8]>>,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Shown {
        if self.authenticating.contain(peer) {
            let named = client_certificate(headers);
            Shown(named.map(|certificate| certificate.map(Arc::from)))
        } else {
            Shown(Ok(own.cloned()))
        }
    }
}

impl Networks {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this address is in one of them.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        // On a socket for both, a client of IPv4 has an address of IPv6.
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Who sent a request that came from `peer`: if that is one of these proxies, the address that the last of them saw.
    pub(crate) fn sender(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        if !self.contain(peer) {
            return peer;
        }
        let listed = headers.get_all(FORWARDED_FOR).into_iter();
        let listed: Vec<_> = listed.filter_map(|value| value.to_str().ok()).collect();
        let mut sender = peer;
        // From the nearest on: what stands before an address that is no proxy of ours, anybody may have written.
        for address in listed.iter().rev().flat_map(|list| list.rsplit(',')) {
            let Ok(address) = address.trim().parse() else {
                break;
            };
            sender = address;
            if !self.contain(address) {
                break;
            }
        }
        sender
    }
}

/// The certificate in the header; `None` if there is no header.
fn client_certificate(headers: &HeaderMap) -> Result<Option<Vec<u8>>, ClientCertError> {
    let mut values = headers.get_all(CLIENT_CERT).into_iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ClientCertError::Several);
    }
    let encoded = (value.as_bytes().trim_ascii())
        .strip_prefix(b":")
        .and_then(|rest| rest.strip_suffix(b":"))
        .filter(|encoded| (1..=LONGEST_CERTIFICATE).contains(&encoded.len()));
    let decoded = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
    decoded.map(Some).ok_or(ClientCertError::Form)
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Vec::<String>::deserialize(deserializer)?;
        let networks = written.iter().map(|text| {
            let address = text.parse::<IpAddr>().map(IpNet::from);
            address.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
                D::Error::custom(format!(
                    "{text:?} is no address and no network: expected one such as 192.0.2.7 or 10.0.0.0/8"
                ))
            })
        });
        networks
            .collect::<Result<Vec<_>, _>>()
            .map(|networks| Self(networks.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        serde_json::from_value(texts.into()).unwrap()
    }

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_proxies_say_who_sent_a_request_and_only_the_nearest_is_believed() {
        let proxies = networks(&["10.0.0.0/8", "2001:db8::1"]);
        for (peer, forwarded, sender) in [
            ("192.0.2.1", &["198.51.100.1"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("2001:db8::1", &["2001:db8::2"], "2001:db8::2"),
            // What the client wrote itself stands before what the proxy saw.
            ("10.0.0.1", &["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["127.0.0.1", "198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["nobody"], "10.0.0.1"),
        ] {
            let headers = headers(FORWARDED_FOR, forwarded);
            let found = proxies.sender(&headers, peer.parse().unwrap());
            assert_eq!(found.to_string(), sender, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_certificate_is_taken_from_listed_proxies_alone_and_once() {
        let proxies = Proxies {
            authenticating: networks(&["10.0.0.7"]),
            ..Proxies::default()
        };
        let own: Arc<[u8]> = Arc::from([9]);
        let of = |peer: &str, values: &[&str]| {
            let headers = headers(CLIENT_CERT, values);
            let Shown(shown) = proxies.shown(Some(&own), &headers, peer.parse().unwrap());
            shown.map(|certificate| certificate.map(|octets| octets.to_vec()))
        };
        assert_eq!(of("10.0.0.7", &[":AQID:"]), Ok(Some(vec![1, 2, 3])));
        // A proxy's own certificate is nobody's identity; that of whoever comes without one is theirs.
        assert_eq!(of("10.0.0.7", &[]), Ok(None));
        assert_eq!(of("10.0.0.8", &[":AQID:"]), Ok(Some(vec![9])));
        let several = of("10.0.0.7", &[":AQID:", ":AQID:"]);
        assert_eq!(several, Err(ClientCertError::Several));
        for wrong in [
            "AQID",
            ":AQID",
            "::",
            ":",
            ":A!ID:",
            ":AQID:, :AQID:",
            "-----BEGIN",
        ] {
            assert_eq!(
                of("10.0.0.7", &[wrong]),
                Err(ClientCertError::Form),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        let error = serde_json::from_value::<Networks>(["10.0.0.0/33"].as_slice().into());
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("10.0.0.0/33") && error.contains("192.0.2.7"),
            "{error}"
        );
    }
}

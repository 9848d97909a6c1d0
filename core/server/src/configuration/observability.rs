//! `[observability]`: what operators see of a running server.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::socket_address;

/// `[observability]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Observability {
    /// How the log is written.
    pub log: LogFormat,
    /// Where counters are read without the administration's socket: an address of this machine.
    #[serde(deserialize_with = "written_address")]
    pub metrics_listen: Option<SocketAddr>,
    /// The collector of traces (OTLP over HTTP); without it there are none.
    pub otlp: Option<String>,
    /// How many of all traces are sent, from 0 to 1.
    pub trace_ratio: f64,
}

/// `observability.log`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Observability {
    fn default() -> Self {
        Self {
            log: LogFormat::default(),
            metrics_listen: None,
            otlp: None,
            trace_ratio: 1.0,
        }
    }
}

impl Observability {
    /// The key that cannot be meant, what it says, and what would be right.
    pub(super) fn check(&self) -> Result<(), (&'static str, String, &'static str)> {
        if let Some(address) = self.metrics_listen
            && !address.ip().is_loopback()
        {
            let right = "an address of this machine alone, such as 127.0.0.1:9464";
            return Err(("observability.metrics_listen", address.to_string(), right));
        }
        if let Some(otlp) = &self.otlp
            && otlp.strip_prefix("http://").is_none_or(str::is_empty)
        {
            let right = "http:// and a collector, such as http://127.0.0.1:4318: one beside this server, which sends on over TLS";
            return Err(("observability.otlp", otlp.clone(), right));
        }
        if !(0.0..=1.0).contains(&self.trace_ratio) {
            let ratio = self.trace_ratio.to_string();
            return Err(("observability.trace_ratio", ratio, "a number from 0 to 1"));
        }
        Ok(())
    }
}

fn written_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    socket_address(&String::deserialize(deserializer)?)
        .map(Some)
        .map_err(D::Error::custom)
}

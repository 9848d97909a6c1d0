//! Commands for many devices. A request puts a command into as many queues as one transaction does; the command line goes on from there.

use axum::{Json, extract::State, http::StatusCode};
use lanyard_engine::{BatchSent, Engine, ErrorChain, Recipients};
use lanyard_mdm::document::{self, Limits};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{admin::BODY_LIMIT, failure::Failure};

#[derive(Deserialize)]
pub(super) struct Batch {
    /// The same name again sends the command to nobody twice.
    batch: String,
    /// The property list under `Command`: `RequestType` and its keys.
    request: String,
    /// Whether a command of the catalogue goes as it is, with keys that the catalogue does not know.
    #[serde(default)]
    unchecked: bool,
    #[serde(flatten)]
    to: To,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum To {
    /// Those with these ids.
    Devices(Vec<String>),
    /// All, from the one after this: that of the answer before.
    AllAfter(Option<String>),
}

pub(super) async fn send(
    State(engine): State<Engine>,
    Json(batch): Json<Batch>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let request = document::read(batch.request.as_bytes(), Limits::bytes(BODY_LIMIT))
        .map_err(|error| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
    let to = match batch.to {
        To::Devices(devices) => Recipients::Devices(devices.into_iter().collect()),
        To::AllAfter(after) => Recipients::AllAfter(after),
    };
    let sent = engine
        .send_batch(&batch.batch, to, &request, batch.unchecked)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(shown(&sent))))
}

fn shown(sent: &BatchSent) -> Value {
    let queued = sent.queued.iter();
    let queued = queued.map(|(device, uuid)| json!({ "device": device, "uuid": uuid }));
    let refused = sent
        .refused
        .iter()
        .map(|(device, error)| json!({ "device": device, "error": ErrorChain(error).to_string() }));
    json!({
        "queued": queued.collect::<Vec<_>>(),
        "before": sent.before,
        "refused": refused.collect::<Vec<_>>(),
        "next": sent.next,
        "checked": sent.checked,
        "wakes": sent.wakes,
    })
}

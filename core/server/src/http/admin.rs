//! The administration's API: JSON under `/api/v1`, on a Unix socket that only the server's user can open.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::StatusCode,
    routing::{delete, get, post, put},
};
use lanyard_engine::{CommandRefused, Engine, Obstacle};
use lanyard_mdm::document::{self, Limits};
use lanyard_policy::Secret;
use lanyard_store::{CommandSummary, Enrollment, StoreError, User};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{failure::Failure, metrics::Metrics};
use crate::{backup::Backups, keys::Keys, policy::Policies, push::PushFiles};

/// A profile to install is the largest thing that an operator sends.
pub(super) const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// What a list shows at once, unless it is asked for more or less.
pub(super) const PAGE: u64 = 100;

/// Everything that an operator may ask of us.
pub(crate) fn router(
    engine: Engine,
    policies: Policies,
    push_files: PushFiles,
    keys: Keys,
    backups: Backups,
    metrics: Metrics,
) -> Router {
    let api = Router::new()
        .route("/users", get(users).post(add_user))
        .route("/users/{name}", delete(remove_user))
        .route("/users/{name}/password", put(set_password))
        .route("/users/{name}/disabled", put(set_disabled))
        .route("/devices", get(devices))
        .route("/devices/{id}", get(device).delete(release_device))
        .route("/devices/{id}/commands", get(commands).post(send_command))
        .route("/devices/{id}/push", post(push))
        .route(
            "/commands",
            get(super::commands::list).post(super::batches::send),
        )
        .route("/commands/{uuid}", get(command).delete(cancel_command));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .nest("/api/v1", api)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(engine.clone())
        .nest(
            "/api/v1/approvals",
            super::approvals::router(engine.clone()),
        )
        .nest(
            "/api/v1/decisions",
            super::decisions::router(engine.clone(), policies.clone()),
        )
        .nest(
            "/api/v1/apns",
            super::push::router(engine.clone(), push_files),
        )
        .nest("/api/v1/backup", super::backup::router(backups))
        .nest("/api/v1/keys", super::keys::router(keys))
        .nest("/api/v1/policies", super::policy::router(engine, policies))
        .merge(metrics.router())
}

#[derive(Deserialize)]
struct Paging {
    after: Option<String>,
    limit: Option<u64>,
}

#[derive(Deserialize)]
struct Ending {
    /// Only devices whose identity ends within so many days, or has ended.
    ending_within_days: Option<u32>,
}

#[derive(Deserialize)]
struct Check {
    /// Whether a command of the catalogue goes as it is, with keys that the catalogue does not know.
    #[serde(default)]
    unchecked: bool,
}

#[derive(Deserialize)]
struct NewUser {
    name: String,
    display_name: Option<String>,
    password: Zeroizing<String>,
}

#[derive(Deserialize)]
struct Password {
    password: Zeroizing<String>,
}

#[derive(Deserialize)]
struct Disabled {
    disabled: bool,
}

fn secret(mut password: Zeroizing<String>) -> Secret {
    Secret::new(std::mem::take(&mut *password))
}

async fn users(
    State(engine): State<Engine>,
    Query(page): Query<Paging>,
) -> Result<Json<Value>, Failure> {
    let users = engine
        .users(page.after.as_deref(), page.limit.unwrap_or(PAGE))
        .await?;
    Ok(Json(
        json!({ "users": users.iter().map(user_json).collect::<Vec<_>>() }),
    ))
}

async fn add_user(
    State(engine): State<Engine>,
    Json(new): Json<NewUser>,
) -> Result<StatusCode, Failure> {
    let display_name = new.display_name.as_deref().unwrap_or(&new.name);
    engine
        .add_user(&new.name, display_name, secret(new.password))
        .await?;
    Ok(StatusCode::CREATED)
}

async fn remove_user(
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<StatusCode, Failure> {
    engine.remove_user(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set_password(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Json(new): Json<Password>,
) -> Result<StatusCode, Failure> {
    engine.set_password(&name, secret(new.password)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set_disabled(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Json(new): Json<Disabled>,
) -> Result<StatusCode, Failure> {
    engine.set_disabled(&name, new.disabled).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn devices(
    State(engine): State<Engine>,
    Query(page): Query<Paging>,
    Query(Ending { ending_within_days }): Query<Ending>,
) -> Result<Json<Value>, Failure> {
    let (after, limit) = (page.after.as_deref(), page.limit.unwrap_or(PAGE));
    let devices = match ending_within_days {
        Some(days) => {
            let within = Duration::from_hours(24 * u64::from(days));
            engine.devices_ending(within, after, limit).await?
        }
        None => engine.devices(after, limit).await?,
    };
    let ends = engine.identity_ends(&devices).await?;
    let shown = devices.iter().map(|device| device_json(device, &ends));
    Ok(Json(json!({ "devices": shown.collect::<Vec<_>>() })))
}

async fn device(
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let Some(device) = engine.device(&id).await? else {
        return Err(unknown_device(&engine, id).await?);
    };
    let commands = engine.commands(&id, PAGE).await?;
    let ends = engine.identity_ends(std::slice::from_ref(&device)).await?;
    let mut shown = device_json(&device, &ends);
    let attestation = engine.attestation(&device).await?;
    shown["attested"] = attestation.map(|by| by.to_string()).into();
    shown["commands"] = commands.iter().map(command_json).collect();
    let situation = engine.situation(&device).await?;
    shown["why"] = situation.obstacles.iter().map(obstacle_json).collect();
    shown["last_answer"] = situation.last_answer.as_ref().map(command_json).into();
    shown["next_push_at"] = json!(situation.next_push.map(seconds));
    shown["waiting"] = json!({
        "ready": situation.waiting.ready,
        "not_now": situation.waiting.not_now,
    });
    Ok(Json(shown))
}

/// One that is not enrolled may be known all the same: somebody has to answer before it is.
async fn unknown_device(engine: &Engine, id: String) -> Result<Failure, StoreError> {
    let pending = engine.pending_approvals(&id).await?;
    Ok(match pending.first() {
        Some(approval) => Failure::unknown(&format!(
            "there is no enrolled device {id}: its enrollment waits for a person's answer, see `lanyard approvals show {}`",
            approval.asked.id
        )),
        None => CommandRefused::UnknownDevice(id).into(),
    })
}

fn obstacle_json(obstacle: &Obstacle) -> Value {
    json!({
        "code": obstacle.code(),
        "text": obstacle.to_string(),
        "since": obstacle.since().map(seconds),
    })
}

/// The device is nobody's any more; its history stays.
async fn release_device(
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    engine.release_device(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn commands(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(page): Query<Paging>,
) -> Result<Json<Value>, Failure> {
    let commands = engine.commands(&id, page.limit.unwrap_or(PAGE)).await?;
    Ok(Json(
        json!({ "commands": commands.iter().map(command_json).collect::<Vec<_>>() }),
    ))
}

/// The body is the property list under `Command`: `RequestType` and its keys.
async fn send_command(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(Check { unchecked }): Query<Check>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let request = document::read(&body, Limits::bytes(BODY_LIMIT))
        .map_err(|error| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
    let sent = engine.send_command(&id, &request, unchecked).await?;
    Ok((
        StatusCode::ACCEPTED,
        Json(
            json!({ "uuid": sent.uuid.to_string(), "checked": sent.checked, "wakes": sent.wakes }),
        ),
    ))
}

async fn command(
    State(engine): State<Engine>,
    Path(uuid): Path<String>,
) -> Result<Json<Value>, Failure> {
    let commands = engine.command(&uuid).await?;
    if commands.is_empty() {
        return Err(CommandRefused::UnknownCommand(uuid).into());
    }
    let shown = commands.iter().map(|command| {
        let mut shown = command_json(&command.summary);
        // What was sent may hold an unlock token or a PIN, and is not shown. What came back is what the operator asked for.
        shown["result"] = command
            .result
            .as_ref()
            .map(|result| String::from_utf8_lossy(result.expose()).into_owned())
            .into();
        shown
    });
    Ok(Json(json!({ "commands": shown.collect::<Vec<_>>() })))
}

async fn cancel_command(
    State(engine): State<Engine>,
    Path(uuid): Path<String>,
) -> Result<StatusCode, Failure> {
    engine.cancel_command(&uuid).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn push(State(engine): State<Engine>, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    engine.push(&id).await?;
    Ok(StatusCode::ACCEPTED)
}

fn user_json(user: &User) -> Value {
    json!({
        "name": user.name,
        "display_name": user.display_name,
        "disabled": user.disabled,
        "created_at": seconds(user.created_at),
        "changed_at": seconds(user.changed_at),
    })
}

fn device_json(device: &Enrollment, identity_ends: &HashMap<String, SystemTime>) -> Value {
    let facts = &device.facts;
    let identity = device.certificate.as_ref();
    let identity_end = identity.and_then(|certificate| identity_ends.get(certificate));
    json!({
        "id": device.id,
        "state": device.state.as_str(),
        "person": { "directory": device.directory, "id": device.person_id, "name": device.person_name },
        "serial": facts.serial,
        "product": facts.product,
        "model": facts.model,
        "model_name": facts.model_name,
        "device_name": facts.device_name,
        "os_version": facts.os_version,
        "build_version": facts.build_version,
        "imei": facts.imei,
        "meid": facts.meid,
        "topic": device.topic,
        "certificate_sha256": device.certificate,
        "certificate_ends_at": identity_end.copied().map(seconds),
        "session": device.session_id.map(|id| id.to_string()),
        "has_push_tokens": device.has_push_tokens,
        "push_tokens_at": device.token_updated_at.map(seconds),
        "push_token_dead_at": device.token_dead_at.map(seconds),
        "has_unlock_token": device.has_unlock_token,
        "token_updates": device.token_updates,
        "created_at": seconds(device.created_at),
        "enrolled_at": device.enrolled_at.map(seconds),
        "last_seen_at": device.last_seen_at.map(seconds),
        "checked_out_at": device.checked_out_at.map(seconds),
        "last_push_at": device.last_push_at.map(seconds),
        "last_push_result": device.last_push_result,
    })
}

pub(super) fn command_json(command: &CommandSummary) -> Value {
    json!({
        "uuid": command.uuid,
        "device": command.enrollment_id,
        "request_type": command.request_type,
        "state": command.state.as_str(),
        "origin": command.origin,
        "decision": command.decision,
        "created_at": seconds(command.created_at),
        "sent_at": command.sent_at.map(seconds),
        "not_now_count": command.not_now_count,
        "completed_at": command.completed_at.map(seconds),
        "error": command.error,
    })
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> impl Serialize {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

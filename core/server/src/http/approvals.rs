//! What waits for a person's answer, over the administration's API.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::{get, put},
};
use lanyard_engine::Engine;
use lanyard_policy::HookPoint;
use lanyard_store::{Approval, ApprovalAnswer, ApprovalState};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{admin::seconds, failure::Failure};

/// Approvals that a list shows.
const PAGE: u64 = 100;

pub(super) fn router(engine: Engine) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/{id}", get(show))
        .route("/{id}/answer", put(answer))
        .with_state(engine)
}

#[derive(Deserialize)]
struct Which {
    state: Option<String>,
    limit: Option<u64>,
}

/// A person's answer.
#[derive(Deserialize)]
struct Answered {
    approved: bool,
    by: String,
    /// A note; of a denial, the reason.
    note: Option<String>,
}

async fn list(
    State(engine): State<Engine>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Failure> {
    let state = which.state.as_deref().map(approval_state).transpose()?;
    let limit = which.limit.unwrap_or(PAGE);
    let approvals = engine.approvals(state, limit).await?;
    let shown: Vec<Value> = approvals.iter().map(approval_json).collect();
    Ok(Json(json!({ "approvals": shown })))
}

async fn show(
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(approval_json(&engine.approval(&id).await?)))
}

async fn answer(
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Json(answered): Json<Answered>,
) -> Result<Json<Value>, Failure> {
    let answer = ApprovalAnswer {
        approved: answered.approved,
        by: &answered.by,
        note: answered.note.as_deref(),
    };
    let approval = engine.answer_approval(&id, answer).await?;
    Ok(Json(approval_json(&approval)))
}

fn approval_state(word: &str) -> Result<ApprovalState, Failure> {
    let all = [
        ApprovalState::Pending,
        ApprovalState::Approved,
        ApprovalState::Denied,
        ApprovalState::Expired,
    ];
    let known = all.into_iter().find(|state| state.as_str() == word);
    known.ok_or_else(|| {
        Failure::unknown("approvals are pending, approved, denied or expired; write one of these")
    })
}

fn approval_json(approval: &Approval) -> Value {
    let Approval { asked, subject, .. } = approval;
    let request = subject.request.as_ref();
    let hook = match request {
        Some(_) => HookPoint::RaApproval,
        None => HookPoint::EnrollmentApproval,
    };
    json!({
        "id": asked.id.to_string(),
        "hook": hook.as_str(),
        "binding": asked.binding,
        "state": approval.state.as_str(),
        "code": asked.code,
        "message": asked.message,
        "person": { "directory": subject.directory, "id": subject.person_id },
        "device": subject.udid,
        "endpoint": request.map(|request| &request.transaction.endpoint),
        "transaction": request.map(|request| &request.transaction.transaction_id),
        "decision": asked.decision_id,
        "facts": asked.shown.facts,
        "created_at": seconds(approval.created_at),
        "expires_at": seconds(approval.expires_at),
        "decided_at": approval.decided_at.map(seconds),
        "decided_by": approval.decided_by,
        "note": approval.note,
        "used_at": approval.used_at.map(seconds),
    })
}

//! What operators are told when something is not done.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lanyard_engine::{ApprovalRefused, CommandRefused, ErrorChain, UserRefused};
use lanyard_store::StoreError;
use serde_json::json;

use crate::{backup::BackupRefused, keys::KeysRefused, policy::PolicyRefused};

/// What is asked for is not done: a status and `{"error": "…"}`.
pub(super) struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl Failure {
    pub(super) fn unknown(what: &str) -> Self {
        Self(StatusCode::NOT_FOUND, what.to_owned())
    }

    pub(super) fn new(status: StatusCode, error: &(dyn std::error::Error + 'static)) -> Self {
        let text = ErrorChain(error).to_string();
        if status.is_server_error() {
            tracing::error!(error = text, "the administration failed");
        }
        Self(status, text)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, &error)
    }
}

impl From<UserRefused> for Failure {
    fn from(error: UserRefused) -> Self {
        let status = match error {
            UserRefused::NameTaken | UserRefused::HasDevices | UserRefused::IsEnrolling => {
                StatusCode::CONFLICT
            }
            UserRefused::Unknown => StatusCode::NOT_FOUND,
            UserRefused::Name | UserRefused::Password(_) => StatusCode::UNPROCESSABLE_ENTITY,
            UserRefused::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, &error)
    }
}

impl From<CommandRefused> for Failure {
    fn from(error: CommandRefused) -> Self {
        let status = match error {
            CommandRefused::Invalid(_)
            | CommandRefused::Unsendable(_)
            | CommandRefused::NotToAll
            | CommandRefused::TooMany(_)
            | CommandRefused::Ceiling(_) => StatusCode::UNPROCESSABLE_ENTITY,
            CommandRefused::UnknownDevice(_) | CommandRefused::UnknownCommand(_) => {
                StatusCode::NOT_FOUND
            }
            CommandRefused::CheckedOut(_)
            | CommandRefused::NoPush
            | CommandRefused::NotReachable(_)
            | CommandRefused::NoUnlockToken(_)
            | CommandRefused::TooLate { .. } => StatusCode::CONFLICT,
            CommandRefused::Store(_) | CommandRefused::Failed(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, &error)
    }
}

impl From<ApprovalRefused> for Failure {
    fn from(error: ApprovalRefused) -> Self {
        let status = match error {
            ApprovalRefused::Unknown(_) => StatusCode::NOT_FOUND,
            ApprovalRefused::Over { .. } => StatusCode::CONFLICT,
            ApprovalRefused::NoReason => StatusCode::UNPROCESSABLE_ENTITY,
            ApprovalRefused::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, &error)
    }
}

impl From<PolicyRefused> for Failure {
    fn from(error: PolicyRefused) -> Self {
        let status = match error {
            PolicyRefused::Binding { .. }
            | PolicyRefused::Plugin { .. }
            | PolicyRefused::Untrusted { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            PolicyRefused::Unknown(_) => StatusCode::NOT_FOUND,
            PolicyRefused::Damaged(_) | PolicyRefused::Store(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, &error)
    }
}

impl From<KeysRefused> for Failure {
    fn from(error: KeysRefused) -> Self {
        let status = match error {
            KeysRefused::Unknown(_) => StatusCode::NOT_FOUND,
            KeysRefused::NoSpare(_)
            | KeysRefused::Lost(..)
            | KeysRefused::Current(_)
            | KeysRefused::TooSoon(..)
            | KeysRefused::Waited(_)
            | KeysRefused::Used(..) => StatusCode::CONFLICT,
            KeysRefused::File(_) | KeysRefused::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, &error)
    }
}

impl From<BackupRefused> for Failure {
    fn from(error: BackupRefused) -> Self {
        let status = match error {
            BackupRefused::Keys(error) => return error.into(),
            BackupRefused::Postgres | BackupRefused::InMemory => StatusCode::CONFLICT,
            BackupRefused::File(_) | BackupRefused::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, &error)
    }
}

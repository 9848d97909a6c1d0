//! Why a device is where it is: what keeps it from doing what waits for it, from what is on record.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use lanyard_store::{
    Approval, CommandState, CommandSummary, Enrollment, EnrollmentState, IdentityRow, PendingWork,
    StoreError,
};
use uuid::Uuid;

use crate::Engine;

/// How far two notes of one moment may lie apart: when a device spoke is noted in its request, and what became of a push once all that
/// were sent with it are answered.
const SAME_MOMENT: Duration = Duration::from_secs(10);
/// Commands that are looked at, done or not.
const LOOKED_AT: u64 = 100;

/// Where a device stands.
#[derive(Clone, Debug)]
pub struct Situation {
    /// What keeps it; none if nothing waits, or it only has to come and fetch.
    pub obstacles: Vec<Obstacle>,
    /// The command that it answered last, NotNow left out.
    pub last_answer: Option<CommandSummary>,
    /// When it is woken next, if it is to be.
    pub next_push: Option<SystemTime>,
    /// What waits for it.
    pub waiting: PendingWork,
}

/// Something that keeps a device. [`Display`](fmt::Display) says what it is, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It left management.
    CheckedOut {
        /// When.
        since: Option<SystemTime>,
    },
    /// It has no way to prove who it is.
    CertificateExpired {
        /// Since when.
        since: SystemTime,
    },
    /// The same, because somebody revoked its certificate.
    CertificateRevoked {
        /// When.
        since: SystemTime,
    },
    /// A person has to answer first.
    WaitsForApproval {
        /// The approval.
        id: Uuid,
        /// The binding that asks.
        binding: String,
        /// Since when.
        since: SystemTime,
    },
    /// It cannot be woken: its TokenUpdate never came.
    NoTokens {
        /// When its Authenticate came.
        since: SystemTime,
    },
    /// It cannot be woken: APNs called its token dead.
    TokenDead {
        /// When.
        since: SystemTime,
    },
    /// It cannot be woken: no push certificate is configured.
    NoPushCertificate,
    /// The last push to it failed.
    PushFailed {
        /// What APNs answered, or why it was not asked.
        result: String,
        /// When.
        since: Option<SystemTime>,
        /// When it is tried again, if it is.
        again: Option<SystemTime>,
    },
    /// APNs took a push, and nothing came of it.
    NoContactSincePush {
        /// When APNs took it.
        since: SystemTime,
    },
    /// It was given a command, and has not answered.
    NotAnswered {
        /// CommandUUID.
        uuid: String,
        /// RequestType.
        request_type: String,
        /// When it was last given it.
        since: Option<SystemTime>,
    },
    /// It put a command off.
    PutOff {
        /// CommandUUID.
        uuid: String,
        /// RequestType.
        request_type: String,
        /// How often.
        times: i32,
        /// When it first did so.
        since: Option<SystemTime>,
    },
    /// It came, and was not given what waits.
    HeldBack {
        /// CommandUUID.
        uuid: String,
        /// RequestType.
        request_type: String,
        /// When it was queued.
        since: SystemTime,
    },
}

impl Obstacle {
    /// Stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::CheckedOut { .. } => "checked-out",
            Self::CertificateExpired { .. } => "certificate-expired",
            Self::CertificateRevoked { .. } => "certificate-revoked",
            Self::WaitsForApproval { .. } => "waits-for-approval",
            Self::NoTokens { .. } => "no-tokens",
            Self::TokenDead { .. } => "token-dead",
            Self::NoPushCertificate => "no-push-certificate",
            Self::PushFailed { .. } => "push-failed",
            Self::NoContactSincePush { .. } => "no-contact-since-push",
            Self::NotAnswered { .. } => "not-answered",
            Self::PutOff { .. } => "put-off",
            Self::HeldBack { .. } => "held-back",
        }
    }

    /// Since when, where that is on record.
    #[must_use]
    pub fn since(&self) -> Option<SystemTime> {
        match self {
            Self::NoPushCertificate => None,
            Self::CheckedOut { since }
            | Self::PushFailed { since, .. }
            | Self::NotAnswered { since, .. }
            | Self::PutOff { since, .. } => *since,
            Self::CertificateExpired { since }
            | Self::CertificateRevoked { since }
            | Self::WaitsForApproval { since, .. }
            | Self::NoTokens { since }
            | Self::TokenDead { since }
            | Self::NoContactSincePush { since }
            | Self::HeldBack { since, .. } => Some(*since),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CheckedOut { .. } => {
                f.write_str("it has checked out: only a new enrollment brings it back")
            }
            Self::CertificateExpired { .. } => f.write_str(
                "its identity certificate has expired, so nothing that it says is accepted: enroll it again",
            ),
            Self::CertificateRevoked { .. } => f.write_str(
                "its identity certificate is revoked, so nothing that it says is accepted: enroll it again",
            ),
            Self::WaitsForApproval { id, binding, .. } => write!(
                f,
                "`{binding}` wants a person's answer: `lanyard approvals show {id}`"
            ),
            Self::NoTokens { .. } => f.write_str(
                "it never sent push tokens (TokenUpdate), so it cannot be woken: the installation of its profile did not end",
            ),
            Self::TokenDead { .. } => f.write_str(
                "APNs calls its push token dead: it is woken again once it has sent another, or by `lanyard push`",
            ),
            Self::NoPushCertificate => f.write_str(
                "it is not woken: [push] in lanyard.toml names no push certificate",
            ),
            Self::PushFailed { result, again, .. } => {
                let then = if again.is_some() {
                    "it is tried again"
                } else {
                    "it is not tried again before the next command, or `lanyard push`"
                };
                write!(f, "the last push to it failed ({result}); {then}")
            }
            Self::NoContactSincePush { .. } => f.write_str(
                "APNs took a push, and the device has not come since: it is off, offline, or cannot reach this server",
            ),
            Self::NotAnswered {
                uuid, request_type, ..
            } => write!(
                f,
                "it was given {request_type} {uuid} and has not answered; it is given it again when it comes"
            ),
            Self::PutOff {
                uuid,
                request_type,
                times,
                ..
            } => write!(
                f,
                "it put {request_type} {uuid} off (NotNow, {times} times): most often because it is locked"
            ),
            Self::HeldBack {
                uuid, request_type, ..
            } => write!(
                f,
                "it has come since {request_type} {uuid} was queued and was not given it: a command-selection holds it back, see `lanyard decisions list`"
            ),
        }
    }
}

impl Engine {
    /// What is on record of where a device stands, and why.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn situation(&self, device: &Enrollment) -> Result<Situation, StoreError> {
        self.write_sent().await?;
        let store = self.store();
        let identity = match &device.certificate {
            Some(fingerprint) => store.identity(fingerprint).await?,
            None => None,
        };
        let commands = store.list_commands(&device.id, None, LOOKED_AT).await?;
        let next_push = store.push_due(&device.id).await?;
        let evidence = Evidence {
            device,
            identity,
            approvals: store.pending_approvals(&device.device_id).await?,
            queue: store.queue_head(&device.id, LOOKED_AT).await?.head,
            next_push,
            can_push: !self.topics().is_empty(),
            now: self.now(),
        };
        Ok(Situation {
            obstacles: evidence.obstacles(),
            last_answer: last_answer(commands),
            next_push,
            waiting: store.pending_work(&device.id).await?,
        })
    }

    /// What a device's enrollment or certificate waits for a person to answer.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn pending_approvals(&self, udid: &str) -> Result<Vec<Approval>, StoreError> {
        self.store().pending_approvals(udid).await
    }
}

/// What the obstacles are read from.
struct Evidence<'a> {
    device: &'a Enrollment,
    identity: Option<IdentityRow>,
    approvals: Vec<Approval>,
    /// What is yet to be done, in order.
    queue: Vec<CommandSummary>,
    next_push: Option<SystemTime>,
    can_push: bool,
    now: SystemTime,
}

impl Evidence<'_> {
    /// In the order in which they would have to go.
    fn obstacles(&self) -> Vec<Obstacle> {
        let approvals = self
            .approvals
            .iter()
            .map(|approval| Obstacle::WaitsForApproval {
                id: approval.asked.id,
                binding: approval.asked.binding.clone(),
                since: approval.created_at,
            });
        if self.device.state == EnrollmentState::CheckedOut {
            let since = self.device.checked_out_at;
            let gone = [Obstacle::CheckedOut { since }];
            return gone.into_iter().chain(approvals).collect();
        }
        let first = |state: CommandState| self.queue.iter().find(|each| each.state == state);
        (self.of_identity().into_iter())
            .chain(approvals)
            .chain(self.of_push())
            .chain(first(CommandState::Sent).map(not_answered))
            .chain(first(CommandState::NotNow).map(put_off))
            .chain(self.held_back())
            .collect()
    }

    fn of_identity(&self) -> Option<Obstacle> {
        let identity = self.identity.as_ref()?;
        if let Some(since) = identity.revoked_at {
            return Some(Obstacle::CertificateRevoked { since });
        }
        let since = identity.not_after;
        (since <= self.now).then_some(Obstacle::CertificateExpired { since })
    }

    fn of_push(&self) -> Option<Obstacle> {
        let device = self.device;
        if !device.has_push_tokens {
            let since = device.created_at;
            return Some(Obstacle::NoTokens { since });
        }
        if !self.can_push {
            return Some(Obstacle::NoPushCertificate);
        }
        if let Some(since) = device.token_dead_at {
            return Some(Obstacle::TokenDead { since });
        }
        let result = device.last_push_result.as_deref()?;
        if result != "accepted" {
            return Some(Obstacle::PushFailed {
                result: result.to_owned(),
                since: device.last_push_at,
                again: self.next_push,
            });
        }
        let since = device.last_push_at?;
        let came = device
            .last_seen_at
            .is_some_and(|seen| seen + SAME_MOMENT >= since);
        (!came).then_some(Obstacle::NoContactSincePush { since })
    }

    /// Only of the first command: those behind it wait for it.
    fn held_back(&self) -> Option<Obstacle> {
        let first = self.queue.first()?;
        let seen = self.device.last_seen_at?;
        let passed_over =
            first.state == CommandState::Queued && seen > first.created_at + SAME_MOMENT;
        passed_over.then(|| Obstacle::HeldBack {
            uuid: first.uuid.clone(),
            request_type: first.request_type.clone(),
            since: first.created_at,
        })
    }
}

fn not_answered(command: &CommandSummary) -> Obstacle {
    Obstacle::NotAnswered {
        uuid: command.uuid.clone(),
        request_type: command.request_type.clone(),
        since: command.sent_at,
    }
}

fn put_off(command: &CommandSummary) -> Obstacle {
    Obstacle::PutOff {
        uuid: command.uuid.clone(),
        request_type: command.request_type.clone(),
        times: command.not_now_count,
        since: command.not_now_at,
    }
}

fn last_answer(commands: Vec<CommandSummary>) -> Option<CommandSummary> {
    let answered = commands.into_iter().filter(|command| {
        matches!(
            command.state,
            CommandState::Acknowledged | CommandState::Error | CommandState::FormatError
        )
    });
    answered.max_by_key(|command| command.completed_at)
}

//! A managed device: it sleeps until the simulated APNs wakes it, then does what the server says until that has nothing more.

mod renewal;

use std::path::Path;
use std::time::{Duration, SystemTime};

use lanyard_mdm::PushMagic;
use lanyard_mdm::connect::{self, Outcome, Report, Status as Said, read_answer};
use lanyard_mdm::document::Limits;
use tokio::time::sleep;

use crate::apns::{Courier, Subscription};
use crate::device::Device;
use crate::enroll::{
    self, EnrollError, Invitation, Management, Membership, Phase, StepError, chain,
};
use crate::factory::Identity;
use crate::http::{Answer, Client};
use crate::journal::{Journal, JournalError, State, Status};
use crate::mischief::{Mischief, Told};
use crate::model::{Consequence, Reaction};

/// A device whose last word was NotNow asks again by itself; Apple does not say when.
const AFTER_NOT_NOW: Duration = Duration::from_secs(2);

/// The pause after a first failure to reach the server; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A device under management.
pub struct Managed {
    device: Device,
    membership: Membership,
    journal: Journal,
    told: Told,
    /// A result that the server has not taken yet: it is sent before anything else.
    unsent: Option<Pending>,
    /// Commands whose results the server has taken, NotNow aside.
    settled: u64,
    lost_a_command: bool,
}

/// How an exchange with the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The server has nothing more.
    Done,
    /// The server has nothing more, and the device's last word was NotNow: it asks again by itself.
    NotNow,
    /// The device was told to say nothing.
    Silent,
    /// The server was not reached, or refused: the device tries again by itself.
    Broken,
    /// The server did not take TokenUpdate: the device tries again by itself.
    Stale,
    /// The device is managed no longer; [`Managed::leave`] is next.
    Left(Status),
}

/// How long a device stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// As long as it is managed.
    TheEnd,
    /// Until the server has taken the results of so many commands.
    Settled(u64),
}

struct Pending {
    report: Report,
    then: Consequence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Connect,
    UpdateTokens,
}

impl Managed {
    /// Enrolls a device. Each phase is in the journal before the next one begins; so is the reason if one fails.
    ///
    /// # Errors
    /// The phase that failed, and why.
    pub async fn enroll(
        mut device: Device,
        invitation: &Invitation<'_>,
        mut journal: Journal,
    ) -> Result<Managed, EnrollError> {
        match enroll::go_through(&mut device, invitation, &mut journal).await {
            Ok(membership) => Ok(Managed::new(
                device,
                membership,
                journal,
                invitation.told.clone(),
            )),
            Err(source) => {
                let phase = Phase::after(journal.state.reached);
                journal.state.status = Status::Failed;
                journal.state.failure = Some(chain(&source));
                if let Err(error) = journal.save(&device.model) {
                    tracing::warn!(%error, "the failure cannot be kept");
                }
                Err(EnrollError { phase, source })
            }
        }
    }

    /// Goes on after a restart, with what the device has in its directory.
    ///
    /// # Errors
    /// The directory is not one of a managed device, or the simulated APNs cannot be reached.
    pub async fn resume(
        folder: &Path,
        courier: &Courier,
        told: Told,
        echo: fn(&str),
    ) -> Result<Managed, StepError> {
        let journal = Journal::open(folder, echo)?;
        let State {
            status: Status::Enrolled,
            management: Some(management),
            push_magic: Some(magic),
            model,
            ..
        } = &journal.state
        else {
            return Err(JournalError::NotEnrolled.into());
        };
        let identity = journal.read_managed()?;
        let device = Device {
            model: model.clone(),
            factory: journal.read_factory()?,
            client: Client::new(journal.read_anchors()?)?.showing(&identity)?,
        };
        let topic = &management.topic;
        let membership = Membership {
            identity,
            subscription: Subscription::connect(courier, device.udid(), topic).await?,
            management: management.clone(),
            magic: PushMagic::new(magic.as_str()),
        };
        Ok(Managed::new(device, membership, journal, told))
    }

    fn new(device: Device, membership: Membership, journal: Journal, told: Told) -> Managed {
        Managed {
            device,
            membership,
            journal,
            told,
            unsent: None,
            settled: 0,
            lost_a_command: false,
        }
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The device, to change what it does.
    pub fn device_mut(&mut self) -> &mut Device {
        &mut self.device
    }

    /// The identity that it is managed under.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.membership.identity
    }

    /// How it is managed.
    #[must_use]
    pub fn management(&self) -> &Management {
        &self.membership.management
    }

    /// What it has written down.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.journal.state
    }

    /// Its directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.journal.folder()
    }

    /// Sleeps and works until the end, or until it has done enough.
    ///
    /// # Errors
    /// The device cannot keep its state.
    pub async fn run(mut self, until: Until) -> Result<Status, StepError> {
        let mut due: Option<(Work, Duration)> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            if until == Until::Settled(self.settled) {
                return Ok(Status::Enrolled);
            }
            let ended = match self.sleep(due).await? {
                Work::Connect => self.connect().await?,
                Work::UpdateTokens => self.update_tokens().await?,
            };
            due = match ended {
                Ended::Done | Ended::Silent => None,
                Ended::NotNow => Some((Work::Connect, AFTER_NOT_NOW)),
                Ended::Broken => Some((Work::Connect, pause)),
                Ended::Stale => Some((Work::UpdateTokens, pause)),
                Ended::Left(status) => return self.leave(status).await,
            };
            pause = match ended {
                Ended::Broken | Ended::Stale => (pause * 2).min(LONGEST_PAUSE),
                _ => FIRST_PAUSE,
            };
        }
    }

    /// Waits for a wake-up that says the push magic; others are written down and slept through.
    ///
    /// # Errors
    /// The device cannot keep its state.
    pub async fn woken(&mut self) -> Result<(), StepError> {
        loop {
            let Some(magic) = self.membership.subscription.next_wake().await else {
                // Unregistered, so nothing comes any more.
                return std::future::pending().await;
            };
            let believed = magic == self.membership.magic;
            self.journal.woken(believed, SystemTime::now());
            self.journal.save(&self.device.model)?;
            match (believed, self.told.to(Mischief::IgnorePush)) {
                (true, false) => {
                    self.journal.tell("woken");
                    return Ok(());
                }
                (true, true) => self.journal.tell("woken, and sleeps on as it was told"),
                (false, _) => self.journal.tell("woken without its push magic: sleeps on"),
            }
        }
    }

    /// Until there is something to do, at the latest when `due` is.
    async fn sleep(&mut self, due: Option<(Work, Duration)>) -> Result<Work, StepError> {
        let mut tokens = self.membership.subscription.tokens();
        let is_known = self.journal.is_known(&tokens.borrow_and_update());
        if due.is_none() && !is_known {
            return Ok(Work::UpdateTokens);
        }
        let alarm = async {
            match due {
                Some((work, after)) => {
                    sleep(after).await;
                    work
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            woken = self.woken() => woken.map(|()| Work::Connect),
            Ok(()) = tokens.changed() => Ok(Work::UpdateTokens),
            work = alarm => Ok(work),
        }
    }

    async fn update_tokens(&mut self) -> Result<Ended, StepError> {
        let sent = enroll::send_tokens(&self.device, &self.membership, &mut self.journal).await;
        match sent {
            Ok(()) => Ok(Ended::Done),
            Err(error) if error.is_dismissal() => Ok(Ended::Left(Status::Dismissed)),
            Err(error @ StepError::Journal(_)) => Err(error),
            Err(error) => {
                self.journal
                    .tell(&format!("TokenUpdate: {}", chain(&error)));
                Ok(Ended::Stale)
            }
        }
    }

    /// One exchange: what is unsent or Idle, then commands until there are no more.
    ///
    /// # Errors
    /// The device cannot keep its state, or not write its answers.
    pub async fn connect(&mut self) -> Result<Ended, StepError> {
        let mut pending = match self.unsent.take() {
            Some(unsent) => unsent,
            None => self.pending(Outcome::Idle, Consequence::None)?,
        };
        loop {
            let answer = match self.send(&pending.report).await {
                Ok(answer) => answer,
                Err(error) if error.is_dismissal() => return Ok(Ended::Left(Status::Dismissed)),
                Err(error) => {
                    self.journal.tell(&format!("connect: {}", chain(&error)));
                    self.unsent = (pending.report.outcome != Outcome::Idle).then_some(pending);
                    return Ok(Ended::Broken);
                }
            };
            let last = pending.report.outcome.clone();
            if let Some(left) = self.taken(pending).await? {
                return Ok(Ended::Left(left));
            }
            let command = match read_answer(&answer.body, Limits::default()) {
                Ok(Some(command)) => command,
                Ok(None) if said(&last) == Some(Said::NotNow) => return Ok(Ended::NotNow),
                Ok(None) => return Ok(Ended::Done),
                Err(error) => {
                    self.journal.tell(&format!("connect: {}", chain(&error)));
                    return Ok(Ended::Done);
                }
            };
            let name = command.request_type();
            if self.told.to(Mischief::LoseCommand) && !self.lost_a_command {
                self.lost_a_command = true;
                self.journal.tell(&format!("{name}: lost as it was told"));
                return Ok(Ended::Broken);
            }
            let reaction = self.device.model.answer(command.uuid(), command.request());
            self.journal.save(&self.device.model)?;
            let Reaction::Report {
                outcome,
                after,
                then,
            } = reaction
            else {
                self.journal.tell(&format!("{name}: silence"));
                return Ok(Ended::Silent);
            };
            let status = said(&outcome).map(Said::as_str).unwrap_or_default();
            self.journal.tell(&format!("{name}: {status}"));
            sleep(after).await;
            pending = self.pending(outcome, then)?;
        }
    }

    fn pending(&self, outcome: Outcome, then: Consequence) -> Result<Pending, StepError> {
        let report = Report::new(self.device.sender()?, outcome)?;
        Ok(Pending { report, then })
    }

    async fn send(&self, report: &Report) -> Result<Answer, StepError> {
        let Membership {
            management,
            identity,
            ..
        } = &self.membership;
        let url = &management.connect_url;
        let call = management.call(url, connect::CONTENT_TYPE, &report.to_xml(), identity)?;
        let is_result = report.outcome != Outcome::Idle;
        if is_result && self.told.to(Mischief::DuplicateResults) {
            self.device.client.send(&call).await?.ok()?;
        }
        Ok(self.device.client.send(&call).await?.ok()?)
    }

    /// The server has taken a report: now it has its consequence.
    async fn taken(&mut self, pending: Pending) -> Result<Option<Status>, StepError> {
        if said(&pending.report.outcome).is_some_and(|said| said != Said::NotNow) {
            self.settled += 1;
        }
        match pending.then {
            Consequence::None => Ok(None),
            Consequence::Erased => Ok(Some(Status::Erased)),
            Consequence::Unenrolled => Ok(Some(Status::Unenrolled)),
            Consequence::Reenroll(profile) => {
                if let Err(error) = self.reenroll(&profile).await {
                    // As on a device: what there was before stays.
                    self.journal.tell(&format!("renewal: {}", chain(&error)));
                    let identity = &self.membership.identity;
                    self.journal.write_managed(identity)?;
                    self.device.client = self.device.client.showing(identity)?;
                    self.journal.save(&self.device.model)?;
                }
                Ok(None)
            }
        }
    }

    /// Ends management: says CheckOut if the profile wants it, forgets keys, gives the push token up.
    ///
    /// # Errors
    /// The device cannot keep its state.
    pub async fn leave(mut self, status: Status) -> Result<Status, StepError> {
        let Membership {
            identity,
            management,
            subscription,
            ..
        } = self.membership;
        if status == Status::Unenrolled && management.check_out_when_removed {
            let message = management.check_out(self.device.sender()?)?;
            let sent = self.device.check_in(&management, &identity, &message).await;
            let line = match sent {
                Ok(_) => "CheckOut".to_owned(),
                Err(error) => format!("CheckOut: {}", chain(&error)),
            };
            self.journal.tell(&line);
        }
        subscription.unregister().await;
        self.journal.forget_keys()?;
        self.journal.state.status = status;
        self.journal.save(&self.device.model)?;
        self.journal.tell(&format!("{status:?}").to_lowercase());
        Ok(status)
    }
}

fn said(outcome: &Outcome) -> Option<Said> {
    match outcome {
        Outcome::Idle => None,
        Outcome::Result { status, .. } => Some(*status),
    }
}

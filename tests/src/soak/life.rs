//! Managed devices: each sleeps until it is woken, then does what the server says until that has nothing more.

use std::{future::pending, sync::Arc, time::Duration};

use lanyard_device::{
    apns::Subscription,
    enroll::{Management, StepError},
    factory::Identity,
    model::{Model, Reaction},
};
use lanyard_engine::ErrorChain;
use lanyard_mdm::{
    PushMagic, Sender,
    connect::{self, Command, Outcome, Report, Status, read_answer},
    document::Limits,
};
use rand::{RngExt as _, rngs::StdRng};
use tokio::time::sleep;

use super::{
    World,
    oracle::Complaint,
    recruit::signed,
    wire::{Interrupted, Kind, increment},
};

/// When a device asks again that put something off. Apple does not say when; here nobody waits for long.
const AFTER_NOT_NOW: Duration = Duration::from_millis(500);

/// When a device tries again that did not reach the server, in milliseconds.
const AFTER_A_FAILURE: std::ops::Range<u64> = 50..300;

/// A managed device.
pub(super) struct Managed {
    pub(super) model: Model,
    pub(super) identity: Identity,
    pub(super) management: Management,
    pub(super) subscription: Subscription,
    pub(super) magic: PushMagic,
    /// A result that the server has not taken yet, as far as the device knows: it is sent before anything else.
    pub(super) unsent: Option<Outcome>,
    /// Whether it has put something off since it last said Idle and was told that there is nothing.
    pub(super) put_off: bool,
}

/// How an exchange ended.
enum Ended {
    /// There is nothing more.
    Done,
    /// There is nothing more but what was put off.
    PutOff,
    /// The server was not heard.
    Interrupted,
}

impl Managed {
    /// Lives for as long as somebody polls this.
    pub(super) async fn live(mut self, world: Arc<World>, mut chance: StdRng) {
        let mut due: Option<Duration> = None;
        loop {
            tokio::select! {
                woken = self.subscription.next_wake() => if woken.as_ref() != Some(&self.magic) {
                    continue;
                },
                () = alarm(due) => {}
            }
            let place = world.exchanges.acquire().await;
            let ended = self.exchange(&world, &mut chance).await;
            drop(place);
            due = match ended {
                Ok(Ended::Done) => None,
                Ok(Ended::PutOff) => Some(AFTER_NOT_NOW),
                Ok(Ended::Interrupted) => Some(failure(&mut chance)),
                Err(error) => {
                    world.oracle.complain(Complaint::Broken {
                        said: ErrorChain(&error).to_string(),
                    });
                    Some(failure(&mut chance))
                }
            };
        }
    }

    async fn exchange(&mut self, world: &World, chance: &mut StdRng) -> Result<Ended, StepError> {
        let mut outcome = self.unsent.take().unwrap_or(Outcome::Idle);
        loop {
            self.put_off |= is_put_off(&outcome);
            let answered = self.report(world, &outcome, chance).await?;
            let Ok(command) = answered else {
                self.unsent = (outcome != Outcome::Idle).then_some(outcome);
                return Ok(Ended::Interrupted);
            };
            let Some(command) = command else {
                // To a device that has something else to say, what it put off is not offered.
                self.put_off &= outcome != Outcome::Idle;
                return Ok(if self.put_off {
                    Ended::PutOff
                } else {
                    Ended::Done
                });
            };
            outcome = self.answer(world, &command, chance);
        }
    }

    /// Sends a report: the command that it is answered with, if there is one.
    async fn report(
        &self,
        world: &World,
        outcome: &Outcome,
        chance: &mut StdRng,
    ) -> Result<Result<Option<Command>, Interrupted>, StepError> {
        let device = &self.model.facts.udid;
        let report = Report::new(Sender::device(device.as_str())?, outcome.clone())?;
        let url = &self.management.connect_url;
        let call = signed(url, connect::CONTENT_TYPE, &report.to_xml(), &self.identity)?;
        let Outcome::Result {
            command_uuid,
            status,
            ..
        } = outcome
        else {
            let answered = world.send(Kind::Idle, &call, chance).await;
            return Ok(answered.map(|answer| self.command(world, &answer.body)));
        };
        if chance.random_ratio(world.options.duplicates, 100) {
            increment(&world.traffic.duplicates);
            // The device goes on with the second answer.
            let _ = world.send(Kind::Result, &call, chance).await;
        }
        let answered = world.send(Kind::Result, &call, chance).await;
        if let (Ok(_), Some(said)) = (&answered, final_state(*status)) {
            world.oracle.settled(device, command_uuid, said);
        }
        Ok(answered.map(|answer| self.command(world, &answer.body)))
    }

    fn command(&self, world: &World, body: &[u8]) -> Option<Command> {
        match read_answer(body, Limits::default()) {
            Ok(command) => command,
            Err(error) => {
                world.oracle.complain(Complaint::Broken {
                    said: ErrorChain(&error).to_string(),
                });
                None
            }
        }
    }

    fn answer(&mut self, world: &World, command: &Command, chance: &mut StdRng) -> Outcome {
        world.oracle.delivered(command.uuid());
        let put_off = Outcome::Result {
            command_uuid: command.uuid().to_owned(),
            status: Status::NotNow,
            errors: Vec::new(),
            response: plist::Dictionary::new(),
        };
        if chance.random_ratio(world.options.not_now, 100) {
            increment(&world.traffic.put_off);
            return put_off;
        }
        match self.model.answer(command.uuid(), command.request()) {
            Reaction::Report { outcome, .. } => outcome,
            Reaction::Silence => put_off,
        }
    }
}

async fn alarm(due: Option<Duration>) {
    match due {
        Some(after) => sleep(after).await,
        None => pending().await,
    }
}

fn failure(chance: &mut StdRng) -> Duration {
    Duration::from_millis(chance.random_range(AFTER_A_FAILURE))
}

fn is_put_off(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Result {
            status: Status::NotNow,
            ..
        }
    )
}

/// The state that the server says a command is in after such a result; none if it is not over.
fn final_state(status: Status) -> Option<&'static str> {
    match status {
        Status::NotNow => None,
        Status::Acknowledged => Some("acknowledged"),
        Status::Error => Some("error"),
        Status::CommandFormatError => Some("format_error"),
    }
}

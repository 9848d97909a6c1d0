//! The command loop: a device reports, and gets its next command or nothing.

use std::time::{Duration, SystemTime};

use lanyard_commands::Facts;
use lanyard_mdm::{
    EnrollmentId, Sender,
    connect::{ErrorItem, Outcome, Report, Status, Unreadable},
    document::Limits,
};
use lanyard_policy::{
    CommandResult, HookPoint, Occurrence, PersonRef, QueuedCommand, ResultStatus,
    SHOWN_QUEUE_LENGTH, SelectionQuestion, SelectionVerdict,
};
use lanyard_store::{
    Command, CommandAnswer, CommandState, CommandStatus, CommandSummary, EnrollmentState, Settled,
    Unsealed,
};

use crate::{
    Engine, Proof, Refusal, administration::Issued, decision, identity::Speaker, records::Asked,
    refusal::chain,
};

/// When a device that put something off, and was then answered with nothing, is woken again: it polls by itself only if
/// NotNow was the last that it said.
const NOT_NOW_PUSH: Duration = Duration::from_secs(300);

/// What a device said that matters for what it gets next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Idle,
    NotNow,
    Answered,
}

impl Said {
    fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::NotNow => "not_now",
            Self::Answered => "answered",
        }
    }
}

/// What command-selection comes to.
enum Selected {
    QueueOrder,
    This(String),
    Nothing,
}

impl Engine {
    /// Answers a report: with the property list of the next command, or with nothing. `body` as it came.
    ///
    /// A result is stored before the next command goes out; one that repeats itself, names an unknown command or cannot be
    /// decoded is accepted as well, because a device repeats it until it is.
    ///
    /// # Errors
    /// [`Refusal`]
    #[tracing::instrument(name = "connect", level = "debug", skip_all)]
    pub async fn connect(
        &self,
        body: &[u8],
        proof: Proof<'_>,
    ) -> Result<Option<Unsealed<Vec<u8>>>, Refusal> {
        let speaker = self.speaker(body, proof).await?;
        let now = self.now();
        let (id, said, result) = match Report::parse(body, Limits::default()) {
            Ok(report) => {
                let (said, result) = self.take_report(&report, &speaker, now).await?;
                (report.sender.id().clone(), said, result)
            }
            Err(unreadable) => (
                self.take_unreadable(&unreadable, body, &speaker, now)
                    .await?,
                Said::Answered,
                None,
            ),
        };
        let channel = id.to_string();
        self.0.notes.seen(&channel, now);
        self.metrics().connect(said.word());
        let is_as_it_was = said == Said::Idle && id.user().is_none();
        let mut command = if is_as_it_was && self.hooks().selection.is_empty() {
            // It came with the question who speaks.
            speaker.into_next()
        } else {
            self.choose(&channel, said != Said::Idle, result, now)
                .await?
        };
        while let Some(chosen) = &command
            && !self.may_go_out(&channel, &chosen.summary, now).await?
        {
            // It was cancelled after it was chosen, so there is one less each time.
            command = self.choose(&channel, said != Said::Idle, None, now).await?;
        }
        let Some(command) = command else {
            self.come_back(&channel, said, now).await?;
            return Ok(None);
        };
        Ok(Some(self.send(&channel, command, now)))
    }

    async fn take_report(
        &self,
        report: &Report,
        speaker: &Speaker,
        now: SystemTime,
    ) -> Result<(Said, Option<CommandResult>), Refusal> {
        managed(&report.sender, speaker)?;
        let id = report.sender.id().to_string();
        let Outcome::Result {
            command_uuid,
            status,
            errors,
            ..
        } = &report.outcome
        else {
            self.0.exchanges.begin(&id);
            return Ok((Said::Idle, None));
        };
        let result = CommandResult {
            uuid: command_uuid.clone(),
            request_type: None,
            status: policy_status(*status),
            at_ms: decision::millis(now),
            error: errors.first().map(describe),
        };
        let result = self
            .settle(&report.sender, result, report.raw().expose(), now)
            .await?;
        let said = if *status == Status::NotNow {
            Said::NotNow
        } else {
            Said::Answered
        };
        Ok((said, Some(result)))
    }

    /// Stores what a device answered, and lets those hear of it who asked to.
    async fn settle(
        &self,
        sender: &Sender,
        mut result: CommandResult,
        raw: &[u8],
        now: SystemTime,
    ) -> Result<CommandResult, Refusal> {
        let id = &*sender.id().to_string();
        let mut device = None;
        if self.asks_about_results() {
            let sent = self.store().find_command(id, &result.uuid).await?;
            result.request_type = sent.map(|command| command.summary.request_type);
            let enrollment = self.enrollment(sender.id().device()).await?;
            device = Some(self.known_of(&enrollment).await?.0);
        }
        let (command, status) = (&result.uuid, result.status);
        let finished = Occurrence::CommandFinished {
            enrollment: id.to_owned(),
            result: result.clone(),
            device,
        };
        let answer = CommandAnswer {
            uuid: command,
            status: stored_status(status),
            result: raw,
            error: result.error.as_deref(),
            sent_at: self.0.notes.answered(id, command),
        };
        let settled = self.noting(finished, now)?.settle(id, answer, now).await?;
        match settled {
            Settled::Unknown => {
                tracing::warn!(
                    enrollment = id,
                    command,
                    ?status,
                    "an answer to a command that is not ours"
                );
            }
            Settled::Recorded | Settled::Duplicate => {
                if settled == Settled::Recorded {
                    self.metrics().answered(status);
                }
                tracing::info!(
                    enrollment = id,
                    command,
                    ?status,
                    ?settled,
                    "command answered"
                );
            }
        }
        Ok(result)
    }

    /// Whether anybody hears of results: nothing is read for nobody.
    fn asks_about_results(&self) -> bool {
        let hooks = self.hooks();
        !(hooks.events.is_empty() && hooks.selection.is_empty())
    }

    /// A result that cannot be read settles its command as failed, if it says whose it is: else it would come again for ever.
    async fn take_unreadable(
        &self,
        unreadable: &Unreadable,
        body: &[u8],
        speaker: &Speaker,
        now: SystemTime,
    ) -> Result<EnrollmentId, Refusal> {
        let Some(id) = &unreadable.enrollment else {
            return Err(self.unreadable(unreadable));
        };
        let sender =
            Sender::device(id.device()).map_err(|error| Refusal::bad_request(chain(&error)))?;
        managed(&sender, speaker)?;
        let Some(command_uuid) = &unreadable.command_uuid else {
            return Err(Refusal::bad_request(format!("{id}: {}", chain(unreadable))));
        };
        let result = CommandResult {
            uuid: command_uuid.clone(),
            request_type: None,
            status: ResultStatus::Error,
            at_ms: decision::millis(now),
            error: Some(format!(
                "the answer could not be read: {}",
                chain(&unreadable.source)
            )),
        };
        self.settle(&sender, result, body, now).await?;
        Ok(id.clone())
    }

    /// Whether a command may be sent that was chosen a moment ago. Taking one is a read; but whoever is told that an EraseDevice is
    /// cancelled must be able to rely on it, so what destroys something, or is not known to do no such thing, is claimed first.
    async fn may_go_out(
        &self,
        channel: &str,
        command: &CommandSummary,
        now: SystemTime,
    ) -> Result<bool, Refusal> {
        if Facts::of(&command.request_type).is_some_and(|facts| !facts.destructive) {
            return Ok(true);
        }
        let claimed = self.store().claim_command(channel, &command.uuid, now);
        Ok(claimed.await?)
    }

    /// The command's property list; that it was sent is noted later, so that taking a command is a read.
    fn send(&self, channel: &str, command: Command, now: SystemTime) -> Unsealed<Vec<u8>> {
        let CommandSummary {
            uuid, request_type, ..
        } = command.summary;
        tracing::info!(
            enrollment = channel,
            command = uuid,
            request_type,
            "command sent"
        );
        self.metrics().sent.inc();
        self.0.notes.sent(channel, &uuid, now);
        command.payload
    }

    /// Which command is next: asks command-selection, except for what an operator queued past it.
    async fn choose(
        &self,
        id: &str,
        skip_not_now: bool,
        result: Option<CommandResult>,
        now: SystemTime,
    ) -> Result<Option<Command>, Refusal> {
        if self.hooks().selection.is_empty() {
            return Ok(self.store().next_command(id, skip_not_now).await?);
        }
        let queue = self
            .store()
            .queue_head(id, SHOWN_QUEUE_LENGTH as u64)
            .await?;
        let is_ready =
            |command: &CommandSummary| !(skip_not_now && command.state == CommandState::NotNow);
        let urgent = |command: &&CommandSummary| command.bypass && is_ready(command);
        if let Some(urgent) = queue.head.iter().find(urgent) {
            return Ok(self.store().find_command(id, &urgent.uuid).await?);
        }
        let question = self
            .selection_question(id, &queue.head, queue.open, result.clone(), now)
            .await?;
        match self.select(id, question, now).await? {
            Selected::Nothing => Ok(None),
            Selected::This(uuid) => match self.store().find_command(id, &uuid).await? {
                Some(command) if !command.summary.state.is_open() => {
                    // It was cancelled after it was chosen, so there is one less each time.
                    Box::pin(self.choose(id, skip_not_now, result, now)).await
                }
                Some(command) if is_ready(&command.summary) => Ok(Some(command)),
                _ => {
                    tracing::warn!(
                        enrollment = id,
                        command = uuid,
                        "command-selection chose what is not there, or was just put off; queue order goes on"
                    );
                    Ok(self.store().next_command(id, skip_not_now).await?)
                }
            },
            Selected::QueueOrder => Ok(self.store().next_command(id, skip_not_now).await?),
        }
    }

    /// Asks command-selection. A failing one never stands between an operator and a device: queue order goes on.
    async fn select(
        &self,
        id: &str,
        question: SelectionQuestion,
        now: SystemTime,
    ) -> Result<Selected, Refusal> {
        let decision = question.decision.id.clone();
        let hooks = self.hooks();
        let asked = Asked::new(
            &hooks,
            HookPoint::CommandSelection,
            &question.decision,
            &question,
            Some(id.to_owned()),
            now,
        );
        let answer = hooks.selection.select(question).await;
        let record = self.record(asked, &answer);
        let decided = match answer {
            Ok(decided) => decided,
            Err(failure) => {
                tracing::warn!(
                    enrollment = id,
                    decision,
                    error = chain(&failure),
                    "command-selection failed; queue order goes on"
                );
                self.keep_some(record).await?;
                return Ok(Selected::QueueOrder);
            }
        };
        let binding = decided.settled_by().unwrap_or_default().to_owned();
        match decided.verdict {
            SelectionVerdict::Abstain => Ok(Selected::QueueOrder),
            SelectionVerdict::Deliver(uuid) => Ok(Selected::This(uuid)),
            SelectionVerdict::Wait { seconds } => {
                let due = now + Duration::from_secs(u64::from(seconds));
                self.store().schedule_push(id, due).await?;
                Ok(Selected::Nothing)
            }
            SelectionVerdict::Issue(request) => {
                let by = (HookPoint::CommandSelection, binding.as_str());
                match self
                    .issue_command(id, by, &decision, record.clone(), &request)
                    .await
                {
                    Ok(Issued::Queued(uuid)) => Ok(Selected::This(uuid)),
                    Ok(Issued::Before) => Ok(Selected::QueueOrder),
                    Err(error) => {
                        tracing::warn!(
                            enrollment = id,
                            decision,
                            binding,
                            error = chain(&error),
                            "command-selection issued what cannot be sent; queue order goes on"
                        );
                        self.keep_some(record).await?;
                        Ok(Selected::QueueOrder)
                    }
                }
            }
        }
    }

    async fn selection_question(
        &self,
        id: &str,
        head: &[CommandSummary],
        open: u64,
        last_result: Option<CommandResult>,
        now: SystemTime,
    ) -> Result<SelectionQuestion, Refusal> {
        let enrollment = self.enrollment(id).await?;
        Ok(SelectionQuestion {
            decision: decision::new(now),
            enrollment: id.to_owned(),
            person: Some(PersonRef {
                directory: enrollment.directory.clone(),
                id: enrollment.person_id.clone(),
            }),
            device: self.known_of(&enrollment).await?.0,
            queue: head.iter().map(queued).collect(),
            queue_length: open,
            last_result,
        })
    }

    /// Something was put off and nothing else is left: see to it that the device connects again.
    async fn come_back(&self, id: &str, said: Said, now: SystemTime) -> Result<(), Refusal> {
        if said == Said::Answered && self.store().pending_work(id).await?.not_now > 0 {
            self.store().schedule_push(id, now + NOT_NOW_PUSH).await?;
        }
        Ok(())
    }
}

/// The sender is a device that checked in, under the certificate that it checked in with.
fn managed(sender: &Sender, speaker: &Speaker) -> Result<(), Refusal> {
    speaker.must_be(sender)?;
    if speaker.device_state(sender.id().device())? == EnrollmentState::CheckedOut {
        return Err(Refusal::bad_request(format!(
            "{} has checked out",
            sender.id()
        )));
    }
    Ok(())
}

fn describe(item: &ErrorItem) -> String {
    let text = item.us_english.as_deref().unwrap_or(&item.localized);
    let text: String = text
        .chars()
        .filter(|character| !character.is_control())
        .take(200)
        .collect();
    let domain: String = item
        .domain
        .chars()
        .filter(|character| !character.is_control())
        .take(64)
        .collect();
    format!("{domain} {}: {text}", item.code)
}

fn stored_status(status: ResultStatus) -> CommandStatus {
    match status {
        ResultStatus::Acknowledged => CommandStatus::Acknowledged,
        ResultStatus::Error => CommandStatus::Error,
        ResultStatus::CommandFormatError => CommandStatus::CommandFormatError,
        ResultStatus::NotNow => CommandStatus::NotNow,
    }
}

fn policy_status(status: Status) -> ResultStatus {
    match status {
        Status::Acknowledged => ResultStatus::Acknowledged,
        Status::Error => ResultStatus::Error,
        Status::CommandFormatError => ResultStatus::CommandFormatError,
        Status::NotNow => ResultStatus::NotNow,
    }
}

fn queued(command: &CommandSummary) -> QueuedCommand {
    QueuedCommand {
        uuid: command.uuid.clone(),
        request_type: command.request_type.clone(),
        queued_at_ms: decision::millis(command.created_at),
        not_now: command.state == CommandState::NotNow,
    }
}

//! A component that answers for the hook point *command-selection*.

use async_trait::async_trait;
use lanyard_policy::{
    CommandSelection, HookFailure, QueuedCommand, SelectionQuestion, SelectionVerdict,
};

use super::SelectionHook;
use crate::bindings::selection::exports::lanyard::policy::command_selection as wit;
use crate::call::Callable;
use crate::contract::{self, CODE_BYTES, line};

/// A plugin bound as a command selection. A call must be made within a Tokio runtime.
pub struct WasmCommandSelection {
    callable: Callable<SelectionHook>,
}

impl WasmCommandSelection {
    pub(crate) fn new(callable: Callable<SelectionHook>) -> Self {
        Self { callable }
    }
}

#[async_trait]
impl CommandSelection for WasmCommandSelection {
    async fn select(&self, question: SelectionQuestion) -> Result<SelectionVerdict, HookFailure> {
        let decision = question.decision.clone();
        let question = wit::Question {
            decision: contract::decision(&question.decision),
            enrollment: question.enrollment,
            person: question.person.map(contract::person_ref),
            device: contract::device(question.device),
            queue: question.queue.into_iter().map(queued).collect(),
            queue_length: question.queue_length,
            last_result: question.last_result.map(contract::command_result),
            facts: Vec::new(),
        };
        let verdict = self
            .callable
            .call(&decision, async |store, plugin| {
                let hook = plugin.lanyard_policy_command_selection();
                hook.call_select(store, &question).await
            })
            .await?;
        Ok(match verdict {
            wit::Verdict::Deliver(uuid) => {
                SelectionVerdict::Deliver(line("command's UUID", uuid, 1, CODE_BYTES)?)
            }
            wit::Verdict::Issue(request) => {
                SelectionVerdict::Issue(contract::command_request(request)?)
            }
            wit::Verdict::Wait(seconds) => SelectionVerdict::Wait { seconds },
            wit::Verdict::Abstain => SelectionVerdict::Abstain,
        })
    }
}

fn queued(command: QueuedCommand) -> wit::QueuedCommand {
    wit::QueuedCommand {
        uuid: command.uuid,
        request_type: command.request_type,
        queued_at_ms: command.queued_at_ms,
        not_now: command.not_now,
    }
}

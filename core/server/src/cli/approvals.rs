//! `lanyard approvals`: what waits for a person's answer.

use serde_json::{Value, json};

use super::{Outcome, arguments::ApprovalsAction, client::Client, path, print, print_json, show};

pub(super) async fn run(client: &Client, action: ApprovalsAction, json_output: bool) -> Outcome {
    let (id, body) = match action {
        ApprovalsAction::List { state, all } => {
            let mut target = path(&["approvals"]);
            if !all {
                let state = &path(&[&state])["/api/v1/".len()..];
                target.push_str(&format!("?state={state}"));
            }
            let approvals = &client.get(&target).await?["approvals"];
            return if json_output {
                print_json(approvals)
            } else {
                print(&show::approvals(approvals))
            };
        }
        ApprovalsAction::Show { id } => {
            let approval = client.get(&path(&["approvals", &id])).await?;
            return shown(&approval, json_output);
        }
        ApprovalsAction::Approve { id, note, by } => {
            let body = json!({ "approved": true, "note": note, "by": by.name() });
            (id, body)
        }
        ApprovalsAction::Deny { id, reason, by } => {
            let body = json!({ "approved": false, "note": reason, "by": by.name() });
            (id, body)
        }
    };
    let target = path(&["approvals", &id, "answer"]);
    let approval = client.send_json("PUT", &target, &body).await?;
    shown(&approval, json_output)
}

fn shown(approval: &Value, json_output: bool) -> Outcome {
    if json_output {
        print_json(approval)
    } else {
        print(&show::approval(approval))
    }
}

//! `lanyard command`: queued, listed, shown, taken back.

use std::error::Error;

use serde_json::Value;

use super::{
    Outcome, arguments::CommandAction, client::Client, path, print, print_json, query, send, show,
};

pub(super) async fn run(client: &Client, action: CommandAction, json_output: bool) -> Outcome {
    match action {
        CommandAction::Send {
            words,
            many,
            unchecked,
            plist,
        } => {
            let sending = send::Sending {
                words,
                many,
                unchecked,
                plist,
            };
            sending.run(client, json_output).await
        }
        CommandAction::List {
            device,
            state,
            limit,
        } => {
            let commands = list(client, device, state, limit).await?;
            if json_output {
                print_json(&Value::Array(commands))
            } else {
                print(&show::command_list(&commands))
            }
        }
        CommandAction::Show { uuid } => {
            let answer = client.get(&path(&["commands", &uuid])).await?;
            if json_output {
                print_json(&answer)
            } else {
                print(&show::commands(&answer))
            }
        }
        CommandAction::Cancel { uuid } => {
            client
                .send("DELETE", &path(&["commands", &uuid]), Vec::new())
                .await?;
            print(&format!("{uuid} will not be sent."))
        }
    }
}

/// Page after page, until there are so many or no more.
async fn list(
    client: &Client,
    device: Option<String>,
    state: Option<String>,
    limit: usize,
) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut commands: Vec<Value> = Vec::new();
    let mut after = None;
    loop {
        let target = query(
            &["commands"],
            &[
                ("device", device.clone()),
                ("state", state.clone()),
                ("limit", Some((limit - commands.len()).to_string())),
                ("after", after),
            ],
        );
        let page = client.get(&target).await?;
        commands.extend(page["commands"].as_array().into_iter().flatten().cloned());
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() || commands.len() >= limit {
            return Ok(commands);
        }
    }
}

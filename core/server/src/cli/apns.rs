//! `lanyard apns`: push certificates, and whether APNs takes them.

use super::{Outcome, arguments::ApnsAction, client::Client, path, print, print_json, show};

pub(super) async fn run(client: &Client, action: ApnsAction, json_output: bool) -> Outcome {
    match action {
        ApnsAction::Status => {
            let topics = &client.get(&path(&["apns"])).await?["topics"];
            if json_output {
                print_json(topics)
            } else {
                print(&show::push_topics(topics))
            }
        }
        ApnsAction::Reload => {
            let answer = client
                .send("POST", &path(&["apns", "reload"]), Vec::new())
                .await?;
            if json_output {
                print_json(&answer)
            } else {
                print(&show::reloaded(&answer))
            }
        }
    }
}

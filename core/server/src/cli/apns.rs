//! `lanyard apns`: push certificates, the way to them, and whether APNs takes them.

mod certificate;

use std::path::Path;

use super::{Connect, Outcome, arguments::ApnsAction, path, print, print_json, show};

pub(super) async fn run(
    client: Connect<'_>,
    data: &Path,
    action: ApnsAction,
    json_output: bool,
) -> Outcome {
    match action {
        ApnsAction::Status => {
            let topics = &client()?.get(&path(&["apns"])).await?["topics"];
            if json_output {
                print_json(topics)
            } else {
                print(&show::push_topics(topics))
            }
        }
        ApnsAction::Reload => {
            let answer = client()?
                .send("POST", &path(&["apns", "reload"]), Vec::new())
                .await?;
            if json_output {
                print_json(&answer)
            } else {
                print(&show::reloaded(&answer))
            }
        }
        ApnsAction::Csr { anew } => certificate::request(data, anew),
        ApnsAction::Import { file } => certificate::import(data, &file).await,
    }
}

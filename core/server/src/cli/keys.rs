//! `lanyard keys`: the sealing keys of the running server.

use super::{Outcome, arguments::KeysAction, client::Client, path, print, print_json, show};

pub(super) async fn run(client: &Client, action: KeysAction, json_output: bool) -> Outcome {
    match action {
        KeysAction::List => {
            let keys = &client.get(&path(&["keys"])).await?["keys"];
            if json_output {
                print_json(keys)
            } else {
                print(&show::keys(keys))
            }
        }
        KeysAction::Add => {
            let id = id(client.send("POST", &path(&["keys"]), Vec::new()).await?);
            print(&format!(
                "{id} is there and not used yet. Copy the key file to every other node, then `lanyard keys rotate`."
            ))
        }
        KeysAction::Rotate => {
            let target = path(&["keys", "rotate"]);
            let id = id(client.send("POST", &target, Vec::new()).await?);
            print(&format!(
                "{id} is current. What older keys sealed is sealed anew while the server serves: `lanyard keys list`."
            ))
        }
        KeysAction::Retire { id } => {
            client
                .send("DELETE", &path(&["keys", &id]), Vec::new())
                .await?;
            print(&format!(
                "{id} is out of the key file. Take it out of the files of other nodes as well."
            ))
        }
    }
}

fn id(answer: serde_json::Value) -> String {
    answer["id"].as_str().unwrap_or_default().to_owned()
}

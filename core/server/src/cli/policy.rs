//! `lanyard policy`: reads policies from files, and hands them to the server.

use std::{collections::HashMap, error::Error, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lanyard_pki::Digest;
use lanyard_wasm::Manifest;
use serde_json::Value;

use super::{
    Outcome, arguments::PolicyAction, client::Client, plugin::signing::beside, print, print_json,
    show,
};
use crate::{
    http::Application,
    policy::{Document, hold_settings_against},
};

const POLICIES: &str = "/api/v1/policies";

pub(super) async fn run(client: &Client, action: PolicyAction, json_output: bool) -> Outcome {
    match action {
        PolicyAction::Apply { file } => {
            let application = read(&file)?;
            let body = serde_json::to_value(application)?;
            let applied = client.send_json("POST", POLICIES, &body).await?;
            report(&applied, json_output)
        }
        PolicyAction::Rollback { number } => {
            let path = format!("{POLICIES}/{number}/rollback");
            let applied = client.send("POST", &path, Vec::new()).await?;
            report(&applied, json_output)
        }
        PolicyAction::Diff { file } => {
            let mut new = read(&file)?;
            new.fill_in_digests()?;
            let current = client.get(&format!("{POLICIES}/current")).await?;
            let before: Document = match current {
                Value::Null => Document::default(),
                revision => serde_json::from_value(revision["document"].clone())?,
            };
            let differences = new.document.differences(&before);
            if json_output {
                print_json(&differences.into())
            } else if differences.is_empty() {
                print("No difference.")
            } else {
                print(&differences.join("\n"))
            }
        }
        PolicyAction::List => {
            let answer = client.get(POLICIES).await?;
            if json_output {
                print_json(&answer["revisions"])
            } else {
                print(&show::revisions(&answer["revisions"]))
            }
        }
        PolicyAction::Show { number } => {
            let number = number.map_or_else(|| "current".to_owned(), |number| number.to_string());
            let revision = client.get(&format!("{POLICIES}/{number}")).await?;
            match revision {
                revision if json_output => print_json(&revision),
                Value::Null => print("No policy was ever applied."),
                revision => {
                    let document: Document = serde_json::from_value(revision["document"].clone())?;
                    let text = toml::to_string_pretty(&document)?;
                    print(&format!("# revision {}\n{text}", revision["number"]))
                }
            }
        }
    }
}

fn report(applied: &Value, json_output: bool) -> Outcome {
    if json_output {
        return print_json(applied);
    }
    let mut text = format!("Revision {} is in force.", applied["number"]);
    for line in applied["differences"].as_array().into_iter().flatten() {
        text.push_str(&format!("\n  {}", line.as_str().unwrap_or_default()));
    }
    print(&text)
}

/// Reads a policy and the files that it names, which stand beside it, with their signatures.
fn read(file: &Path) -> Result<Application, Box<dyn Error>> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
    let document: Document = toml::from_str(&text).map_err(|error| format!("{shown}: {error}"))?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let (mut components, mut signatures) = (HashMap::new(), HashMap::new());
    for binding in &document.bindings {
        let plugin = folder.join(&binding.plugin);
        let component = fs::read(&plugin).map_err(|error| {
            format!(
                "{shown}: {}: {}: {error}",
                binding.title(),
                plugin.display()
            )
        })?;
        // What is no component, the server says.
        if let Ok(Some(manifest)) = Manifest::of(&component)
            && let Some(schema) = manifest.settings_schema
        {
            hold_settings_against(&schema, &binding.settings)
                .map_err(|error| format!("{shown}: {}: {error}", binding.title()))?;
        }
        components.insert(binding.plugin.clone(), STANDARD.encode(component));
        if let Some(signature) = beside(&plugin)? {
            signatures.insert(binding.plugin.clone(), signature);
        }
    }
    Ok(Application {
        document,
        components,
        signatures,
    })
}

impl Application {
    /// What the server would fill in.
    fn fill_in_digests(&mut self) -> Result<(), base64::DecodeError> {
        for binding in &mut self.document.bindings {
            let component = STANDARD.decode(&self.components[&binding.plugin])?;
            binding.sha256 = Some(hex::encode(Digest::sha256(&component)));
        }
        Ok(())
    }
}

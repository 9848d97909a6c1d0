//! `lanyard doctor`: what stands between this server and a real device, each with what mends it.

mod certificates;
mod files;
mod reach;

use std::path::Path;

use serde_json::{Value, json};

use super::{Outcome, print, print_json};
use crate::configuration::Configuration;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Ok,
    /// It works, and will disappoint somebody.
    Warn,
    /// It does not work.
    Fail,
}

/// What was looked at, how it is, and what to do about it.
struct Finding {
    level: Level,
    what: &'static str,
    said: String,
    fix: Option<String>,
}

/// All that was found.
#[derive(Default)]
struct Report(Vec<Finding>);

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl Report {
    fn ok(&mut self, what: &'static str, said: impl Into<String>) {
        self.add(Level::Ok, what, said.into(), None);
    }

    fn warn(&mut self, what: &'static str, said: impl Into<String>, fix: impl Into<String>) {
        self.add(Level::Warn, what, said.into(), Some(fix.into()));
    }

    fn fail(&mut self, what: &'static str, said: impl Into<String>, fix: impl Into<String>) {
        self.add(Level::Fail, what, said.into(), Some(fix.into()));
    }

    fn add(&mut self, level: Level, what: &'static str, said: String, fix: Option<String>) {
        self.0.push(Finding {
            level,
            what,
            said,
            fix,
        });
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|found| found.level == level).count()
    }

    fn to_json(&self) -> Value {
        let findings = self.0.iter().map(|found| {
            json!({
                "level": found.level.as_str(),
                "what": found.what,
                "said": found.said,
                "fix": found.fix,
            })
        });
        findings.collect()
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for found in &self.0 {
            text.push_str(&format!(
                "{:<5} {:<22} {}\n",
                found.level.as_str(),
                found.what,
                found.said
            ));
            if let Some(fix) = &found.fix {
                text.push_str(&format!("{:28} → {fix}\n", ""));
            }
        }
        // Certificates are others' words.
        text.retain(|each| each == '\n' || !super::show::steers(each));
        text
    }
}

/// Looks at everything, prints it, and fails if something does not work.
pub(super) async fn run(data: &Path, json_output: bool) -> Outcome {
    let report = examine(data).await;
    if json_output {
        print_json(&report.to_json())?;
    } else {
        print(report.to_text().trim_end())?;
    }
    match report.count(Level::Fail) {
        0 => Ok(()),
        1 => Err("one thing does not work".into()),
        count => Err(format!("{count} things do not work").into()),
    }
}

async fn examine(data: &Path) -> Report {
    let mut report = Report::default();
    let configuration = match Configuration::load(data) {
        Ok(configuration) => configuration,
        Err(error) => {
            let fix = "mend what it names; docs/configuration.md has every key";
            report.fail("configuration", causes(&error), fix);
            return report;
        }
    };
    report.ok(
        "configuration",
        data.join(crate::configuration::FILE).display().to_string(),
    );
    files::examine(&mut report, &configuration);
    certificates::examine(&mut report, &configuration);
    reach::examine(&mut report, &configuration).await;
    report
}

/// An error with everything that led to it, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text.replace('\n', " ")
}

//! Decides about certificates by what the request proves and asks for: whether its challenge holds, its key, its names, and who wants it for
//! which device. What an operator wants to see first waits for them; everything else is issued or refused at once.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod settings;
mod subject;
#[cfg(test)]
mod tests;

use lanyard_sdk::{
    Approval, Challenge, Fact, Plugin, RaApproval, RaQuestion, RaVerdict, Reason, Unavailable,
};

pub use settings::Settings;

/// The approval.
pub struct ChallengeApproval(Settings);

impl Plugin for ChallengeApproval {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        Ok(Self(settings))
    }
}

impl RaApproval for ChallengeApproval {
    fn decide(&self, question: RaQuestion) -> Result<RaVerdict, Unavailable> {
        let objection = self
            .to_challenge(&question)
            .or_else(|| self.to_key(&question))
            .or_else(|| self.to_subject(&question))
            .or_else(|| self.to_names(&question));
        if let Some(reason) = objection {
            return Ok(with_facts(reason, &question).deny());
        }
        if let Some(rule) = self
            .0
            .manual_approval
            .iter()
            .find(|rule| rule.fits(&question))
        {
            let reason =
                Reason::new("needs-approval", rule.message()).relying_on("rule", rule.name.clone());
            return Ok(with_facts(reason, &question).pending());
        }
        Ok(RaVerdict::Approve(Approval {
            validity_seconds: self.0.validity_seconds(),
            key_usages: self.0.key_usages(),
            relied_on: facts(&question),
        }))
    }
}

impl ChallengeApproval {
    fn to_challenge(&self, question: &RaQuestion) -> Option<Reason> {
        if self.0.without_challenge.contains(&question.purpose) {
            return None;
        }
        match &question.challenge {
            Challenge::Held => None,
            Challenge::Absent => Some(Reason::new(
                "challenge-absent",
                "The request has no challenge.",
            )),
            Challenge::Refused(_) => Some(Reason::new(
                "challenge-refused",
                "The request's challenge does not hold.",
            )),
        }
    }

    fn to_key(&self, question: &RaQuestion) -> Option<Reason> {
        let (kind, bits) = (&question.request.key_type, question.request.key_bits);
        let fits = self.0.keys.iter().any(|key| key.fits(kind, bits));
        (!fits).then(|| {
            Reason::new(
                "key-not-allowed",
                "The request's key is of a kind or size that is not allowed.",
            )
        })
    }

    fn to_subject(&self, question: &RaQuestion) -> Option<Reason> {
        let parts = subject::parts(&question.request.subject);
        let (attribute, _) = self.0.subject.iter().find(|(name, patterns)| {
            let mut values = parts.iter().filter(|(kind, _)| kind == *name).peekable();
            values.peek().is_none() || !values.all(|(_, value)| patterns.match_text(value))
        })?;
        let reason = Reason::new(
            "subject-not-allowed",
            "The request asks for a subject that is not allowed.",
        );
        Some(reason.relying_on("attribute", attribute.clone()))
    }

    fn to_names(&self, question: &RaQuestion) -> Option<Reason> {
        let allowed = self.0.names.as_ref()?;
        let names = &question.request.requested_san;
        let name = names.iter().find(|name| !allowed.match_text(name))?;
        let reason = Reason::new(
            "name-not-allowed",
            "The request asks for a name that is not allowed.",
        );
        Some(reason.relying_on("name", shown(name)))
    }
}

fn with_facts(mut reason: Reason, question: &RaQuestion) -> Reason {
    reason.relied_on.extend(facts(question));
    reason
}

/// What every verdict relies upon.
fn facts(question: &RaQuestion) -> Vec<Fact> {
    let challenge = match &question.challenge {
        Challenge::Held => "held",
        Challenge::Absent => "absent",
        Challenge::Refused(why) => why,
    };
    let mut facts = vec![
        Fact::new("purpose", question.purpose.clone()),
        Fact::new("challenge", challenge),
        Fact::new("subject", shown(&question.request.subject)),
        Fact::new("key-type", question.request.key_type.clone()),
        Fact::new("key-bits", i64::from(question.request.key_bits)),
    ];
    if let Some(person) = &question.person {
        facts.push(Fact::new("person", person.id.clone()));
    }
    if let Some(device) = &question.device {
        facts.push(Fact::new("device", device.udid.clone()));
    }
    facts
}

/// What a stranger wrote, as a fact may carry it: on one line, and not long.
fn shown(text: &str) -> String {
    let printable = text.chars().filter(|character| !character.is_control());
    printable.take(200).collect()
}

lanyard_sdk::export! {
    ChallengeApproval: ra_approval;
    grants: {};
    settings_schema: include_str!("../settings.schema.json");
}

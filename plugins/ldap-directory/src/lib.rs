//! Persons of an LDAP directory: they sign in by binding with their password, may have to be in a group, and are looked up later. Groups become
//! attributes of the person and settings of the enrollment. The plugin sees neither server nor service account, and never a password.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod settings;
#[cfg(test)]
mod tests;

use lanyard_sdk::{
    Allowance, Attribute, Directory, EnrollmentApproval, EnrollmentQuestion, EnrollmentVerdict,
    Fact, Inquiry, Person, Plugin, Reason, Secret, SignIn, Standing, Step, Unavailable,
    ldap::{self, BindOutcome, Entry, Search},
};

use settings::Schema;
pub use settings::Settings;

/// Bit of `userAccountControl`: ADS_UF_ACCOUNTDISABLE.
const ACCOUNT_DISABLED: u32 = 2;
/// Most groups that are read.
const GROUPS: u32 = 200;

/// The directory.
pub struct LdapDirectory(Settings);

impl Plugin for LdapDirectory {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        Ok(Self(settings))
    }
}

impl Directory for LdapDirectory {
    fn begin(&self, request: SignIn, password: &Secret) -> Result<Step, Unavailable> {
        let Some(entry) = self.find(self.0.user_filter(), "user", &request.user_name)? else {
            return Ok(Step::Abstain);
        };
        // The password first: who does not know it learns nothing of the account.
        let account = match ldap::bind(&self.0.directory, &entry.dn, password)? {
            BindOutcome::Accepted => self.account(&entry),
            BindOutcome::Rejected => Some(Reason::new(
                "wrong-password",
                "User name or password is wrong.",
            )),
            BindOutcome::Disabled => Some(disabled()),
            BindOutcome::Locked => Some(Reason::new("account-locked", "This account is locked.")),
            BindOutcome::Expired => Some(Reason::new(
                "password-expired",
                "This password has expired. Change it, and try again.",
            )),
        };
        if let Some(reason) = account {
            return Ok(reason.deny());
        }
        let groups = self.groups(&entry)?;
        if !self.is_allowed(&groups) {
            return Ok(not_in_group(groups).deny());
        }
        Ok(Step::Authenticated(self.person(&entry, groups)?))
    }

    fn lookup(&self, request: Inquiry) -> Result<Standing, Unavailable> {
        let filter = format!("({}={{id}})", self.0.id_attribute());
        let Some(entry) = self.find(&filter, "id", &request.person_id)? else {
            return Ok(Standing::Unknown);
        };
        if let Some(reason) = self.account(&entry) {
            return Ok(Standing::Disabled(reason));
        }
        let groups = self.groups(&entry)?;
        Ok(if self.is_allowed(&groups) {
            Standing::Active(self.person(&entry, groups)?)
        } else {
            Standing::Disabled(not_in_group(groups))
        })
    }
}

/// The settings of an enrollment, by the groups that its person had at sign-in. Where two groups set the same, the first in the list counts.
impl EnrollmentApproval for LdapDirectory {
    fn decide(&self, question: EnrollmentQuestion) -> Result<EnrollmentVerdict, Unavailable> {
        let attributes = question.person.attributes.iter();
        let groups: Vec<String> = attributes
            .filter(|attribute| attribute.name == "groups")
            .flat_map(|attribute| attribute.values.iter().cloned())
            .collect();
        let mut settings: Vec<Fact> = Vec::new();
        for of_group in &self.0.enrollment_settings {
            if !is_among(&of_group.group, &groups) {
                continue;
            }
            for (name, value) in &of_group.settings {
                if settings.iter().all(|known| known.name != *name) {
                    settings.push(Fact::new(name, value.clone()));
                }
            }
        }
        Ok(EnrollmentVerdict::Allow(Allowance {
            settings,
            relied_on: vec![Fact::new("groups", groups)],
        }))
    }
}

impl LdapDirectory {
    /// The one entry; none if there is none, and an error if there are several, for nobody may choose among persons.
    fn find(&self, filter: &str, name: &str, value: &str) -> Result<Option<Entry>, Unavailable> {
        let mut attributes = vec![
            self.0.id_attribute().to_owned(),
            self.0.name_attribute().to_owned(),
            "mail".to_owned(),
            "memberOf".to_owned(),
            "userAccountControl".to_owned(),
        ];
        let disabled = self.0.disabled.as_ref();
        attributes.extend(disabled.map(|disabled| disabled.attribute.clone()));
        let mut found = Search::new(filter)
            .value(name, value)
            .attributes(attributes)
            .run(&self.0.directory)?;
        if found.len() > 1 {
            return Err(Unavailable(format!("{filter} finds more than one entry")));
        }
        Ok(found.pop())
    }

    /// Why an account may not be used.
    fn account(&self, entry: &Entry) -> Option<Reason> {
        let control = entry.first("userAccountControl");
        let control = control.and_then(|bits| bits.parse::<u32>().ok());
        let by_control = self.0.schema == Schema::ActiveDirectory
            && control.is_some_and(|bits| bits & ACCOUNT_DISABLED != 0);
        let by_attribute = self.0.disabled.as_ref().is_some_and(|disabled| {
            let values = entry.values(&disabled.attribute).iter();
            values.into_iter().any(|value| {
                let mut disabling = disabled.values.iter();
                disabling.any(|known| known.eq_ignore_ascii_case(value))
            })
        });
        (by_control || by_attribute).then(disabled)
    }

    fn groups(&self, entry: &Entry) -> Result<Vec<String>, Unavailable> {
        let Some(filter) = self.0.group_filter() else {
            return Ok(entry.values("memberOf").to_vec());
        };
        let found = Search::new(filter)
            .value("dn", entry.dn.clone())
            .attributes(["cn"])
            .at_most(GROUPS)
            .run(&self.0.directory)?;
        Ok(found.into_iter().map(|group| group.dn).collect())
    }

    fn is_allowed(&self, groups: &[String]) -> bool {
        let allowed = &self.0.allowed_groups;
        allowed.is_empty() || allowed.iter().any(|group| is_among(group, groups))
    }

    fn person(&self, entry: &Entry, groups: Vec<String>) -> Result<Person, Unavailable> {
        let attribute = self.0.id_attribute();
        let id = entry.first(attribute).ok_or_else(|| {
            Unavailable(format!("{} has no {attribute} to be known by", entry.dn))
        })?;
        let mut attributes = vec![Attribute {
            name: "groups".to_owned(),
            values: groups,
        }];
        if !entry.values("mail").is_empty() {
            attributes.push(Attribute {
                name: "mail".to_owned(),
                values: entry.values("mail").to_vec(),
            });
        }
        Ok(Person {
            id: id.to_owned(),
            display_name: entry
                .first(self.0.name_attribute())
                .unwrap_or(id)
                .to_owned(),
            attributes,
        })
    }
}

fn disabled() -> Reason {
    Reason::new("account-disabled", "This account is disabled.")
}

fn not_in_group(groups: Vec<String>) -> Reason {
    Reason::new(
        "not-in-group",
        "You may not enroll devices here. Ask your administrator.",
    )
    .relying_on("groups", groups)
}

/// Names of groups are compared as they stand, without case: both are the server's spelling.
fn is_among(group: &str, groups: &[String]) -> bool {
    groups.iter().any(|known| known.eq_ignore_ascii_case(group))
}

lanyard_sdk::export! {
    LdapDirectory: directory, enrollment_approval;
    grants: {
        ldap: "finds the person who signs in and the groups, and binds as the person",
        secrets: "the password goes into the bind, and is never read",
    };
    settings_schema: include_str!("../settings.schema.json");
}

//! What an operator sets.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name of `[ldap.NAME]` in the configuration; the binding grants it.
    pub(crate) directory: String,
    /// Whose attribute names are meant where none are set.
    #[serde(default)]
    pub(crate) schema: Schema,
    /// Finds a person by the name that was typed, `{user}`.
    user_filter: Option<String>,
    /// Attribute that names a person for ever.
    id_attribute: Option<String>,
    /// Attribute with the name to show.
    name_attribute: Option<String>,
    /// Finds the groups of a person by their distinguished name, `{dn}`. Without one, groups are the values of `memberOf`.
    group_filter: Option<String>,
    /// Distinguished names of groups: who is in none of them may not enroll. Default: everybody may.
    #[serde(default)]
    pub(crate) allowed_groups: Vec<String>,
    /// An attribute that says, by one of these values, that an account is disabled.
    pub(crate) disabled: Option<Disabled>,
    /// Settings of an enrollment by its person's group, for later questions: `setting.NAME`.
    #[serde(default)]
    pub(crate) enrollment_settings: Vec<GroupSettings>,
}

/// Attribute names and filters as a family of servers has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Schema {
    /// RFC 2798 and `groupOfNames`.
    #[default]
    Openldap,
    /// Microsoft's.
    ActiveDirectory,
}

/// How a disabled account is known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disabled {
    pub(crate) attribute: String,
    pub(crate) values: Vec<String>,
}

/// What members of a group get.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupSettings {
    pub(crate) group: String,
    pub(crate) settings: BTreeMap<String, String>,
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.directory.is_empty() {
            return Err("`directory` is empty: name one of `[ldap.NAME]`".to_owned());
        }
        for (key, filter, place) in [
            ("user_filter", &self.user_filter, "{user}"),
            ("group_filter", &self.group_filter, "{dn}"),
        ] {
            if filter
                .as_ref()
                .is_some_and(|filter| !filter.contains(place))
            {
                return Err(format!("`{key}` has no {place} in it"));
            }
        }
        let disabled = self.disabled.as_ref();
        if disabled.is_some_and(|disabled| disabled.values.is_empty()) {
            return Err("`disabled.values` is empty: nobody would ever be disabled".to_owned());
        }
        Ok(())
    }

    pub(crate) fn user_filter(&self) -> &str {
        self.user_filter.as_deref().unwrap_or(match self.schema {
            Schema::Openldap => "(&(objectClass=person)(uid={user}))",
            Schema::ActiveDirectory => {
                "(&(objectCategory=person)(objectClass=user)(|(sAMAccountName={user})(userPrincipalName={user})))"
            }
        })
    }

    pub(crate) fn id_attribute(&self) -> &str {
        self.id_attribute.as_deref().unwrap_or(match self.schema {
            Schema::Openldap => "entryUUID",
            Schema::ActiveDirectory => "userPrincipalName",
        })
    }

    pub(crate) fn name_attribute(&self) -> &str {
        self.name_attribute.as_deref().unwrap_or(match self.schema {
            Schema::Openldap => "cn",
            Schema::ActiveDirectory => "displayName",
        })
    }

    pub(crate) fn group_filter(&self) -> Option<&str> {
        self.group_filter.as_deref().or(match self.schema {
            Schema::Openldap => Some("(&(objectClass=groupOfNames)(member={dn}))"),
            Schema::ActiveDirectory => None,
        })
    }
}

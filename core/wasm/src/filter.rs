//! Filters of LDAP searches as plugins write them: text with placeholders, whose values are escaped (RFC 4515, 3).

use std::collections::BTreeMap;

/// Longest filter, as written and as filled in, in bytes.
const MOST_BYTES: usize = 4096;
/// Most filters within one another: what reads them goes down one call for each.
const MOST_DEPTH: usize = 32;

/// Why a filter is not used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the filter has more than {MOST_BYTES} bytes")]
    Long,
    #[error("the filter has more than {MOST_DEPTH} filters within one another")]
    Deep,
    #[error(
        "the filter has a brace that belongs to no placeholder such as {{user}}; write \\7b and \\7d for braces"
    )]
    Brace,
    #[error("the filter has the placeholder {{{0}}}, and there is no value of that name")]
    Unknown(String),
    #[error("the filter has no placeholder {{{0}}} for the value of that name")]
    Unused(String),
    #[error(
        "the filter has the placeholder {{{0}}} outside of the value of a comparison, such as (uid={{user}})"
    )]
    Misplaced(String),
}

/// The filter with its values in their places. A value is looked for and never understood: it stands to the right of a comparison's
/// sign, and no character of it means anything.
pub(crate) fn fill_in(
    template: &str,
    values: &BTreeMap<String, String>,
) -> Result<String, Malformed> {
    if template.len() > MOST_BYTES {
        return Err(Malformed::Long);
    }
    let mut unused: Vec<&str> = values.keys().map(String::as_str).collect();
    let mut filter = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        filter.push_str(before);
        let placeholder = brace
            .strip_prefix('{')
            .and_then(|name| name.split_once('}'));
        let Some((name, after)) = placeholder.filter(|(name, _)| !name.contains('{')) else {
            return Err(Malformed::Brace);
        };
        let value = values
            .get(name)
            .ok_or_else(|| Malformed::Unknown(name.to_owned()))?;
        let comparison = filter
            .rfind(['(', ')'])
            .map_or("", |paren| &filter[paren..]);
        if !comparison.starts_with('(') || !comparison.contains('=') {
            return Err(Malformed::Misplaced(name.to_owned()));
        }
        filter.push_str(&ldap3::ldap_escape(value.as_str()));
        unused.retain(|unused| *unused != name);
        rest = after;
    }
    filter.push_str(rest);
    if let Some(unused) = unused.first() {
        return Err(Malformed::Unused((*unused).to_owned()));
    }
    if filter.len() > MOST_BYTES {
        return Err(Malformed::Long);
    }
    if depth(&filter) > MOST_DEPTH {
        return Err(Malformed::Deep);
    }
    Ok(filter)
}

/// How deep parentheses go; what is escaped has none.
fn depth(filter: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for character in filter.chars() {
        match character {
            '(' => now += 1,
            ')' => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, values: &[(&str, &str)]) -> Result<String, Malformed> {
        let values = values.iter();
        let values = values.map(|&(name, value)| (name.to_owned(), value.to_owned()));
        fill_in(template, &values.collect())
    }

    #[test]
    fn a_value_cannot_leave_its_place() {
        for (value, escaped) in [
            ("ada", "ada"),
            ("*", "\\2a"),
            ("x)(uid=*", "x\\29\\28uid=\\2a"),
            ("a\\2a\0", "a\\5c2a\\00"),
            ("{user}", "{user}"),
            ("änne", "änne"),
        ] {
            let filter = filled("(&(a=b)(uid={user}))", &[("user", value)]).unwrap();
            assert_eq!(filter, format!("(&(a=b)(uid={escaped}))"));
        }
    }

    #[test]
    fn a_template_that_leaves_questions_is_refused() {
        let unknown = Malformed::Unknown("user".to_owned());
        assert_eq!(filled("(uid={user})", &[]), Err(unknown));
        let unused = Malformed::Unused("user".to_owned());
        assert_eq!(filled("(uid=x)", &[("user", "x")]), Err(unused));
        for brace in ["(uid={)", "(uid=})", "(uid={a{b})"] {
            assert_eq!(filled(brace, &[]), Err(Malformed::Brace), "{brace}");
        }
        for misplaced in ["{user}", "({user}=x)", "(&(a=b){user})", "(user{user}=x)"] {
            let error = Malformed::Misplaced("user".to_owned());
            assert_eq!(
                filled(misplaced, &[("user", "x")]),
                Err(error),
                "{misplaced}"
            );
        }
        assert_eq!(
            filled("(uid={user})", &[("user", &"*".repeat(2000))]),
            Err(Malformed::Long)
        );
        let nested = |depth: usize| {
            let (open, close) = ("(!".repeat(depth), ")".repeat(depth));
            filled(&format!("{open}(a=b){close}"), &[])
        };
        assert!(nested(31).is_ok());
        assert_eq!(nested(32), Err(Malformed::Deep));
        assert_eq!(nested(1300), Err(Malformed::Deep));
    }
}

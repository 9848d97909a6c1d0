//! The parts of a subject as RFC 4514 writes it.

/// Attribute types and values, unescaped where a character stands behind a backslash. A comma in a value is escaped, and so cannot pass
/// for the end of a part.
pub(crate) fn parts(subject: &str) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    let mut part = (String::new(), None::<String>);
    let mut characters = subject.chars();
    while let Some(character) = characters.next() {
        match (character, &mut part) {
            (',' | '+', _) => parts.push(ended(std::mem::take(&mut part))),
            ('=', (_, value @ None)) => *value = Some(String::new()),
            ('\\', (_, Some(value))) => value.extend(characters.next()),
            (other, (_, Some(value))) => value.push(other),
            (other, (kind, None)) => kind.push(other),
        }
    }
    parts.push(ended(part));
    parts
}

fn ended((kind, value): (String, Option<String>)) -> (String, String) {
    (kind.trim().to_owned(), value.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_comma_ends_no_part() {
        let part = |kind: &str, value: &str| (kind.to_owned(), value.to_owned());
        assert_eq!(
            parts(r"CN=a\,O=Evil,O=Example+OU=x=y"),
            [
                part("CN", "a,O=Evil"),
                part("O", "Example"),
                part("OU", "x=y")
            ]
        );
        assert_eq!(parts(""), [part("", "")]);
        assert_eq!(parts(r"CN=\"), [part("CN", "")]);
    }
}

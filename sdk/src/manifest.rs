//! What a component says of itself: JSON in the custom section `lanyard:manifest`, which is read without running anything. `export!`
//! has it made by the compiler, of what the crate and the macro's line say already.

/// The manifest before it is JSON.
pub struct Manifest {
    /// The crate's name.
    pub name: &'static str,
    /// The crate's version.
    pub version: &'static str,
    /// The hook points, by the contract's names.
    pub hooks: &'static [&'static str],
    /// Capabilities that it wants, each with the reason; `None` if it says nothing of them.
    pub grants: Option<&'static [(&'static str, &'static str)]>,
    /// JSON itself: a JSON Schema of the settings.
    pub settings_schema: Option<&'static str>,
}

impl Manifest {
    /// Length of the JSON, in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.written::<0>().length
    }

    /// The JSON; `N` is its [`length`](Self::length).
    #[must_use]
    pub const fn json<const N: usize>(&self) -> [u8; N] {
        self.written().bytes
    }

    // A static's initialiser has neither traits nor allocation: loops are written out.
    const fn written<const N: usize>(&self) -> Writer<N> {
        let mut json = Writer {
            bytes: [0; N],
            length: 0,
        };
        json.raw("{\"name\":");
        json.text(self.name);
        json.raw(",\"version\":");
        json.text(self.version);
        json.raw(",\"hooks\":[");
        let mut at = 0;
        while at < self.hooks.len() {
            json.comma(at);
            json.text(self.hooks[at]);
            at += 1;
        }
        json.raw("]");
        if let Some(grants) = self.grants {
            json.raw(",\"grants\":{");
            let mut at = 0;
            while at < grants.len() {
                json.comma(at);
                json.text(grants[at].0);
                json.raw(":");
                json.text(grants[at].1);
                at += 1;
            }
            json.raw("}");
        }
        if let Some(schema) = self.settings_schema {
            json.raw(",\"settings_schema\":");
            json.raw(schema);
        }
        json.raw("}");
        json
    }
}

/// Writes what there is room for, and counts the rest.
struct Writer<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Writer<N> {
    const fn byte(&mut self, byte: u8) {
        if self.length < N {
            self.bytes[self.length] = byte;
        }
        self.length += 1;
    }

    const fn raw(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            self.byte(bytes[at]);
            at += 1;
        }
    }

    /// Before all members but the first.
    const fn comma(&mut self, at: usize) {
        if at > 0 {
            self.raw(",");
        }
    }

    /// A string of JSON (RFC 8259, section 7).
    const fn text(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let bytes = text.as_bytes();
        self.byte(b'"');
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if byte < 0x20 {
                self.raw("\\u00");
                self.byte(HEX[(byte >> 4) as usize]);
                self.byte(HEX[(byte & 15) as usize]);
            } else {
                if byte == b'"' || byte == b'\\' {
                    self.byte(b'\\');
                }
                self.byte(byte);
            }
            at += 1;
        }
        self.byte(b'"');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const FULL: Manifest = Manifest {
        name: "ldap-directory",
        version: "0.1.0",
        hooks: &["directory", "event"],
        grants: Some(&[
            ("ldap", "finds the \"person\",\n\\ and binds: größer"),
            ("log", ""),
        ]),
        settings_schema: Some("{ \"type\": \"object\" }\n"),
    };
    const SHORT: Manifest = Manifest {
        hooks: &["event"],
        grants: None,
        settings_schema: None,
        ..FULL
    };

    #[test]
    fn the_compiler_writes_json() {
        const WRITTEN: [u8; FULL.length()] = FULL.json();
        let read: Value = serde_json::from_slice(&WRITTEN).unwrap();
        assert_eq!(
            read,
            json!({
                "name": "ldap-directory",
                "version": "0.1.0",
                "hooks": ["directory", "event"],
                "grants": { "ldap": "finds the \"person\",\n\\ and binds: größer", "log": "" },
                "settings_schema": { "type": "object" },
            })
        );
        const SHORTER: [u8; SHORT.length()] = SHORT.json();
        let read: Value = serde_json::from_slice(&SHORTER).unwrap();
        assert_eq!(
            read,
            json!({ "name": "ldap-directory", "version": "0.1.0", "hooks": ["event"] })
        );
    }
}

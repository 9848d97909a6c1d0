//! Hexadecimal, as device tokens and fingerprints are written.

/// Lower-case hexadecimal.
pub(crate) fn encode(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Reads hexadecimal digits, in pairs and of either case.
pub(crate) fn decode(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| {
            let pair = &digits[at..at + 2];
            // `from_str_radix` takes a sign, which is no digit here.
            pair.bytes()
                .all(|digit| digit.is_ascii_hexdigit())
                .then(|| u8::from_str_radix(pair, 16).ok())?
        })
        .collect()
}

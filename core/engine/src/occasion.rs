//! The time and the randomness of a decision.

use std::time::{SystemTime, UNIX_EPOCH};

use lanyard_policy::Decision;
use uuid::Uuid;

/// A new occasion to ask a hook.
pub(crate) fn decision(now: SystemTime) -> Decision {
    Decision {
        id: Uuid::new_v4().to_string(),
        at_ms: millis(now),
        seed: rand::random(),
    }
}

pub(crate) fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Lower-case hexadecimal.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A serial number: positive, 127 bits of randomness.
pub(crate) fn serial() -> [u8; 16] {
    let mut serial: [u8; 16] = rand::random();
    // Neither negative nor with a leading zero that an encoder would drop.
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

//! UUIDs of what must be recognised when it comes again: payloads of profiles, wishes of plugins, decisions about events.

use lanyard_pki::Digest;
use uuid::Uuid;

/// A UUID that is always the same for the same octets.
pub(crate) fn stable_uuid(octets: &[u8]) -> Uuid {
    let digest = Digest::sha256(octets);
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(half).into_uuid()
}
